# The ring-0 kernel: everything that runs with privilege, and nothing else.
#
# Some KVM hosts run ring 3 on the processor and interpret ring 0 one instruction at a time, with gaps: no SSE, no
# int n, no sysret, no bit-count instructions. So this part is small, integer-only, and written in assembly so that
# no compiler chooses its instructions (guest-drivers/check-ring0 checks them). It offers ring 3 port I/O, also many
# accesses at once, a wait for events, and calls into 16-bit code (real_mode.s); it acknowledges interrupts and turns
# them into event bits.
#
# Selectors: 08 kernel code, 10 kernel data, 18|3 user data, 20|3 user code, 28 TSS; on the way to real mode 38 code of
#            32 bits, 40 code and 48 data of 16 bits.
# Vectors:   00-1f exceptions, 20-2f the PIC (masked; spurious only), 30-47 IOAPIC pins 0-23, 4f LAPIC spurious.

.set KERNEL_CODE, 0x08
.set KERNEL_DATA, 0x10
.set USER_DATA,   0x1b
.set USER_CODE,   0x23
.set TSS_SELECTOR, 0x28
.set VECTORS,     0x50
.set FIRST_PIN_VECTOR, 0x30
.set PINS,        24
.set FIRST_PCI_PIN, 16
.set UNCLAIMED_LIMIT, 1000
.set COM1,        0x3f8
.set START_INFO_MAGIC, 0x336ec578
.set START_INFO_CMDLINE, 24
.set COMMAND_LINE_LIMIT, 1023
.set SERVICES,    9
.set PORT_OPERATIONS, 6
.set PCI_SOURCES, 5
.set WIDE_PORT, 0x10000

# ---- PVH note: owner "Xen", type 18 (32-bit physical entry). Some loaders read eight bytes of descriptor.
.section .note.pvh, "a", @note
.p2align 2
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_start
    .long 0

.section .ring0.text, "ax", @progbits

# ---- Entry: 32-bit protected mode, paging off, flat segments, ebx = start info (the PVH convention).
.code32
.global pvh_start
pvh_start:
    cli
    cld
    mov eax, cr4
    or eax, 0x620                   # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, offset ring0_pml4
    mov cr3, eax
    mov ecx, 0xc0000080             # EFER: LME
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    and eax, 0xfffffff3             # EM, TS off
    or eax, 0x80010023              # PG, WP, NE, MP, PE
    mov cr0, eax
    lgdt [ring0_gdtr]
    .byte 0xea                      # far jump to the 64-bit code segment
    .long ring0_start64
    .word KERNEL_CODE

.code64
ring0_start64:
    mov eax, KERNEL_DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [rip + ring0_stack_top]

    # Task state: the stack for interrupts from ring 3, and one of its own for exceptions (IST 1).
    lea rdi, [rip + ring0_tss]
    lea rax, [rip + ring0_stack_top]
    mov [rdi + 4], rax
    lea rax, [rip + ring0_exception_stack_top]
    mov [rdi + 36], rax
    mov word ptr [rdi + 102], 104   # no I/O permission map
    mov eax, edi
    lea rdi, [rip + ring0_gdt_tss]
    mov word ptr [rdi], 103
    mov [rdi + 2], ax
    shr eax, 16
    mov [rdi + 4], al
    mov byte ptr [rdi + 5], 0x89    # present, available 64-bit TSS (also after a warm start, when it was busy)
    mov byte ptr [rdi + 6], 0
    mov [rdi + 7], ah
    mov qword ptr [rdi + 8], 0
    mov eax, TSS_SELECTOR
    ltr ax

    # Interrupt gates: stubs are 16 bytes apart.
    lea rdi, [rip + ring0_idt]
    lea rax, [rip + ring0_stubs]
    xor ecx, ecx
1:  mov [rdi], ax
    mov word ptr [rdi + 2], KERNEL_CODE
    mov word ptr [rdi + 4], 0x8e00  # present, interrupt gate, no IST
    cmp ecx, 32
    jae 2f
    mov byte ptr [rdi + 4], 1       # exceptions on IST 1
2:  mov edx, eax
    shr edx, 16
    mov [rdi + 6], dx
    mov qword ptr [rdi + 8], 0
    add rdi, 16
    add rax, 16
    inc ecx
    cmp ecx, VECTORS
    jb 1b
    lidt [rip + ring0_idtr]

    # The PIC: out of the way of the exceptions, everything masked.
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 0x20
    out 0x21, al
    mov al, 0x28
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xff
    out 0x21, al
    out 0xa1, al

    # int3, the way in for ring 3: a gate it may use, on the stack for interrupts from ring 3. (Not syscall: some hosts
    # that interpret ring 0 leave ring 3's rights in force after it.)
    lea rdi, [rip + ring0_idt + 3 * 16]
    lea rax, [rip + ring0_service]
    mov [rdi], ax
    mov word ptr [rdi + 4], 0xee00  # present, interrupt gate, ring 3, no IST
    shr eax, 16
    mov [rdi + 6], ax

    # The command line, copied to where ring 3 can read it; empty when there is none.
    lea rdi, [rip + GUEST_COMMAND_LINE]
    mov esi, ebx
    test esi, esi
    jz 2f
    cmp dword ptr [rsi], START_INFO_MAGIC
    jne 2f
    mov rsi, [rsi + START_INFO_CMDLINE]
    test rsi, rsi
    jz 2f
    mov ecx, COMMAND_LINE_LIMIT
1:  mov al, [rsi]
    test al, al
    jz 2f
    mov [rdi], al
    inc rsi
    inc rdi
    dec ecx
    jnz 1b
2:  mov byte ptr [rdi], 0

    # Down to ring 3, interrupts on.
    lea rax, [rip + guest_stack_top]
    push USER_DATA
    push rax
    push 0x202
    push USER_CODE
    lea rax, [rip + guest_start]
    push rax
    iretq

# ---- Services, by int3. eax = number, edi = port or mask, esi = value; result in eax; rcx, rdx, r11 are lost.
ring0_service:
    cmp eax, SERVICES
    jae 8f
    mov edx, edi
    mov ecx, eax
    lea rax, [rip + ring0_services]
    jmp qword ptr [rax + rcx * 8]
8:  mov eax, -1
    iretq
ring0_in8:
    xor eax, eax
    in al, dx
    iretq
ring0_in16:
    xor eax, eax
    in ax, dx
    iretq
ring0_in32:
    in eax, dx
    iretq
ring0_out8:
    mov eax, esi
    out dx, al
    iretq
ring0_out16:
    mov eax, esi
    out dx, ax
    iretq
ring0_out32:
    mov eax, esi
    out dx, eax
    iretq
# Halt until one of the events in edi is pending. sti takes effect after hlt has begun: no event falls in between.
ring0_wait:
    mov eax, [rip + GUEST_EVENTS]
    and eax, edi
    jnz 1f
    sti
    hlt
    cli
    jmp ring0_wait
1:  iretq

# Many port accesses: edi = an array of 8 bytes each (port u16, operation u8, unused, value u32), esi = how many. What
# is read replaces the value. rdi and rsi are lost too.
ring0_batch:
    test esi, esi
    jz 2f
1:  movzx edx, word ptr [rdi]
    movzx ecx, byte ptr [rdi + 2]
    cmp ecx, PORT_OPERATIONS
    jae 3f
    mov eax, [rdi + 4]
    lea r11, [rip + ring0_operations]
    jmp qword ptr [r11 + rcx * 8]
ring0_batch_in8:
    xor eax, eax
    in al, dx
    mov [rdi + 4], eax
    jmp 3f
ring0_batch_in16:
    xor eax, eax
    in ax, dx
    mov [rdi + 4], eax
    jmp 3f
ring0_batch_in32:
    in eax, dx
    mov [rdi + 4], eax
    jmp 3f
ring0_batch_out8:
    out dx, al
    jmp 3f
ring0_batch_out16:
    out dx, ax
    jmp 3f
ring0_batch_out32:
    out dx, eax
3:  add rdi, 8
    dec esi
    jnz 1b
2:  xor eax, eax
    iretq

# ---- Interrupts. On the stack: vector, 0, rip, cs, rflags, rsp, ss.
ring0_interrupt:
    push rax
    push rcx
    push rdx
    mov eax, [rsp + 24]
    sub eax, FIRST_PIN_VECTOR
    jb 9f                           # spurious, from the PIC: no end of interrupt
    cmp eax, PINS
    jae 9f                          # spurious, from the LAPIC: likewise
    cmp eax, FIRST_PCI_PIN
    jae 3f

    # ISA lines: an event bit each; the tick is counted as well.
    lea rcx, [rip + ring0_pin_events]
    mov eax, [rcx + rax * 4]
    test eax, 1
    jz 1f
    inc qword ptr [rip + GUEST_TICKS]
1:  lock or dword ptr [rip + GUEST_EVENTS], eax
2:  mov ecx, 0xfee000b0             # LAPIC end of interrupt
    mov dword ptr [rcx], 0
9:  pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

    # PCI lines are level-triggered and shared: take the pending bits of every device there and have it drop the
    # line (write to its UPDATE_IRQ port) before the end of interrupt.
3:  push rsi
    push rdi
    inc qword ptr [rip + GUEST_PCI_INTERRUPTS]
    lea rsi, [rip + GUEST_PCI_SOURCES]
    xor edi, edi                    # what any of them had pending
5:  mov rcx, [rsi]
    test rcx, rcx
    jz 6f
    xor edx, edx
    xchg [rcx], edx
    or edi, edx
    mov ecx, [rsi + 12]
    shl edx, cl
    lock or dword ptr [rip + GUEST_EVENTS], edx
    mov edx, [rsi + 8]
    test edx, WIDE_PORT
    jnz 8f
    out dx, al
    jmp 6f
8:  out dx, eax
6:  add rsi, 16
    lea rcx, [rip + GUEST_PCI_SOURCES + PCI_SOURCES * 16]
    cmp rsi, rcx
    jb 5b
    test edi, edi
    pop rdi
    pop rsi
    jz 4f
    mov dword ptr [rip + ring0_unclaimed], 0
    jmp 2b

    # Nobody's: bear with a late fall of the line, but mask one that stays up. The first one after an owner's is counted
    # apart: some hosts end an interrupt when they deliver it, see the line up still, and deliver it once more.
4:  lea rcx, [rip + GUEST_PCI_ECHOES]
    cmp dword ptr [rip + ring0_unclaimed], 0
    je 7f
    lea rcx, [rip + GUEST_PCI_UNCLAIMED]
7:  inc qword ptr [rcx]
    inc dword ptr [rip + ring0_unclaimed]
    cmp dword ptr [rip + ring0_unclaimed], UNCLAIMED_LIMIT
    jb 2b
    mov dword ptr [rip + ring0_unclaimed], 0
    mov ecx, 0xfec00000
    lea edx, [rax + rax + 0x10]     # low word of the pin's redirection entry
    mov [rcx], edx
    mov edx, [rcx + 0x10]
    or edx, 0x10000
    mov [rcx + 0x10], edx
    jmp 2b

# ---- Exceptions, on IST 1: vector, error code, rip, cs, rflags, rsp, ss.
# One from ring 3 is recorded and continues in ring 3, in the reporting function; one in ring 0 is reported here.
ring0_exception:
    test byte ptr [rsp + 24], 3
    jz ring0_dead
    pop rax
    mov [rip + GUEST_FAULT], rax
    pop rax
    mov [rip + GUEST_FAULT + 8], rax
    mov rax, [rsp]
    mov [rip + GUEST_FAULT + 16], rax
    mov rax, cr2
    mov [rip + GUEST_FAULT + 24], rax
    mov rax, [rsp + 24]
    mov [rip + GUEST_FAULT + 32], rax
    lea rax, [rip + guest_fault_start]
    mov [rsp], rax
    lea rax, [rip + guest_fault_stack_top]
    mov [rsp + 24], rax
    iretq

ring0_dead:
    lea rsi, [rip + ring0_dead_text]
    mov ecx, 36
    mov edx, COM1
    rep outsb
    mov rbx, [rsp]
    call ring0_hex
    mov rbx, [rsp + 8]
    call ring0_hex
    mov rbx, [rsp + 16]
    call ring0_hex
    mov rbx, cr2
    call ring0_hex
    mov al, 10
    out dx, al
1:  cli
    hlt
    jmp 1b
ring0_hex:
    mov al, 32
    out dx, al
    mov ecx, 16
1:  rol rbx, 4
    mov eax, ebx
    and eax, 15
    add eax, 48
    cmp eax, 58
    jb 2f
    add eax, 39
2:  out dx, al
    dec ecx
    jnz 1b
    ret

.p2align 4
ring0_stubs:
.set vector, 0
.rept VECTORS
    .p2align 4
    .if (vector < 32) && ((0x60227d00 >> (vector & 31)) & 1)
    .else
    push 0                          # where the processor pushes no error code
    .endif
    .byte 0x6a, vector              # push vector
    .if vector < 32
    jmp ring0_exception
    .else
    jmp ring0_interrupt
    .endif
    .set vector, vector + 1
.endr

.section .ring0.data, "aw", @progbits
# Identity map of 4 GiB in 2 MiB pages, open to ring 3 but for the first (the kernel); IOAPIC and LAPIC uncached. The
# first megabyte, where firmware and the VGA window are, is open to ring 3 at 4 GiB.
.p2align 12
ring0_pml4:
    .quad ring0_pdpt + 7
    .fill 511, 8, 0
ring0_pdpt:
    .quad ring0_pd + 7
    .quad ring0_pd + 0x1007
    .quad ring0_pd + 0x2007
    .quad ring0_pd + 0x3007
    .quad ring0_low_pd + 7
    .fill 507, 8, 0
ring0_pd:
    .quad 0x83
.set page, 1
.rept 2047
    .if page >= 0x7f6
    .quad page * 0x200000 + 0x9f
    .else
    .quad page * 0x200000 + 0x87
    .endif
    .set page, page + 1
.endr
ring0_low_pd:
    .quad ring0_low_pt + 7
    .fill 511, 8, 0
ring0_low_pt:
.set page, 0
.rept 256
    .quad page * 0x1000 + 7
    .set page, page + 1
.endr
    .fill 256, 8, 0

ring0_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 08 kernel code, 64-bit
    .quad 0x00cf93000000ffff        # 10 kernel data
    .quad 0x00cff3000000ffff        # 18 user data
    .quad 0x00affb000000ffff        # 20 user code, 64-bit
ring0_gdt_tss:
    .quad 0, 0                      # 28 TSS, filled at start
    .quad 0x00cf9b000000ffff        # 38 code, 32-bit
    .quad 0x00009b000000ffff        # 40 code, 16-bit, base 0
    .quad 0x000093000000ffff        # 48 data, 64 KiB, base 0
ring0_gdt_end:
ring0_gdtr:
    .word ring0_gdt_end - ring0_gdt - 1
    .quad ring0_gdt
.p2align 3
ring0_idtr:
    .word VECTORS * 16 - 1
    .quad ring0_idt
.p2align 3
ring0_services:
    .quad ring0_in8, ring0_in16, ring0_in32, ring0_out8, ring0_out16, ring0_out32, ring0_wait
    .quad ring0_batch, ring0_real_mode
ring0_operations:
    .quad ring0_batch_in8, ring0_batch_in16, ring0_batch_in32, ring0_batch_out8, ring0_batch_out16, ring0_batch_out32
# Event bits of ISA lines by IOAPIC pin: the PIT arrives on pin 2 or, without a source override, on pin 0.
ring0_pin_events:
    .long 1, 2, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0
ring0_unclaimed:
    .long 1                         # nothing was claimed yet
ring0_dead_text:
    .ascii "ring 0 fault: vector error rip cr2 ="
ring0_dead_text_end:

.section .ring0.bss, "aw", @nobits
.p2align 4
ring0_idt:
    .skip VECTORS * 16
ring0_tss:
    .skip 112
    .skip 4096
.p2align 4
ring0_stack_top:
    .skip 4096
.p2align 4
ring0_exception_stack_top:

# ---- Ring 3: the first instructions, and the landing place of a fault.
.section .text.guest_start, "ax", @progbits
guest_start:
    lea rdi, [rip + guest_bss_start]
    lea rcx, [rip + guest_bss_end]
    sub rcx, rdi
    xor eax, eax
    rep stosb
    call guest_main
    ud2
guest_fault_start:
    call guest_fault
    ud2

.section .noinit.guest_stacks, "aw", @nobits
.p2align 12
    .skip 0x40000
guest_stack_top:
    .skip 0x4000
guest_fault_stack_top:

.section .noinit.guest_command_line, "aw", @nobits
GUEST_COMMAND_LINE:
    .skip COMMAND_LINE_LIMIT + 1
