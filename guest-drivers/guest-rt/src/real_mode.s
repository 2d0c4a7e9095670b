# A call into 16-bit code: ring 0 leaves long mode for real mode, calls, and comes back. For firmware services only;
# interrupts stay off meanwhile. Included behind ring0.s.
#
# edi = a block of 44 bytes (real_mode.rs has its layout) with the registers to call with, which are replaced by those
# the code returned with. The block, the few instructions in real mode and the stack lie below 1 MiB:
#
#   1000 to 7f00   stack
#   7f00           the block
#   8000           the instructions

.set CODE32,      0x38
.set CODE16,      0x40
.set DATA16,      0x48
.set REAL_STACK_TOP, 0x7f00
.set REAL_BLOCK,  0x7f00
.set REAL_BLOCK_SIZE, 44
.set REAL_BLOCK_ENTRY, 38
.set REAL_CODE,   0x8000
.set REAL_CODE_SIZE, 128

.section .ring0.text, "ax", @progbits
.code64
ring0_real_mode:
    push rbx
    push rbp
    push r8
    push r9
    push r10
    push r12
    push r13
    push r14
    push r15
    push rdi
    mov esi, edi
    mov edi, REAL_BLOCK
    mov ecx, REAL_BLOCK_SIZE
    rep movsb
    lea rsi, [rip + ring0_real16]
    mov edi, REAL_CODE
    mov ecx, REAL_CODE_SIZE
    rep movsb
    mov [rip + ring0_real_stack], rsp
    push CODE32
    lea rax, [rip + ring0_real_leave]
    push rax
    retfq

ring0_real_back64:
    mov rsp, [rip + ring0_real_stack]
    lidt [rip + ring0_idtr]
    lea rdi, [rip + ring0_gdt_tss]
    mov byte ptr [rdi + 5], 0x89    # available again, as at start
    mov eax, TSS_SELECTOR
    ltr ax
    pop rdi
    mov esi, REAL_BLOCK
    mov ecx, REAL_BLOCK_SIZE
    rep movsb
    pop r15
    pop r14
    pop r13
    pop r12
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rbx
    xor eax, eax
    iretq

# The steps between, by protected mode without paging.
.section .ring0.code32, "ax", @progbits
.code32
ring0_real_leave:
    mov eax, cr0
    and eax, 0x7fffffff             # PG off, and long mode with it
    mov cr0, eax
    mov ecx, 0xc0000080             # EFER: LME off
    rdmsr
    and eax, 0xfffffeff
    wrmsr
    lidt [ring0_real_idtr]
    mov eax, DATA16                 # the limits and sizes that real mode keeps
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    .byte 0xea                      # far jump
    .long REAL_CODE
    .word CODE16
ring0_real_back32:
    mov eax, KERNEL_DATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    mov ecx, 0xc0000080             # EFER: LME
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000              # PG; cr3 and PAE are as they were
    mov cr0, eax
    .byte 0xea                      # far jump
    .long ring0_real_back64
    .word KERNEL_CODE

# What runs below 1 MiB. An interrupt handler returns by iret, an option ROM's entry by retf: flags are pushed for both.
.section .ring0.code16, "ax", @progbits
.code16
ring0_real16:
    mov eax, cr0
    and al, 0xfe                    # PE off
    mov cr0, eax
    .byte 0xea                      # far jump
    .word ring0_real16_segments - ring0_real16 + REAL_CODE
    .word 0
ring0_real16_segments:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov esp, REAL_BLOCK
    popad
    pop es
    pop ds
    mov esp, REAL_STACK_TOP
    pushf
    .byte 0x2e, 0xff, 0x1e          # far call by cs:[block's entry]
    .word REAL_BLOCK + REAL_BLOCK_ENTRY
    mov esp, REAL_BLOCK + REAL_BLOCK_ENTRY
    pushf
    push ds
    push es
    pushad
    cli
    cld
    mov eax, cr0
    or al, 1                        # PE
    mov cr0, eax
    .byte 0x66, 0xea                # far jump with a 32-bit offset
    .long ring0_real_back32
    .word CODE32
    .org ring0_real16 + REAL_CODE_SIZE

.section .ring0.data, "aw", @progbits
.p2align 3
ring0_real_idtr:
    .word 0x3ff
    .long 0

.section .ring0.bss, "aw", @nobits
.p2align 3
ring0_real_stack:
    .skip 8
