//! Assembles guests: 32-bit PVH kernels, flat, paging off, and 64-bit ones with a bzImage's header, identity-mapped.
//!
//! What takes interrupts is 64-bit: hosts that interpret ring 0 deliver none to 32-bit code.

use std::sync::Arc;

use iced_x86::code_asm::{CodeAssembler, CodeLabel, al, ax, byte_ptr, cl, dx, eax, ecx, edi, edx, esi, esp, ptr, rax};

/// Where the segment lies; the note is in its first bytes, the code follows.
const BASE: u32 = 0x10_0000;
const CODE_OFFSET: u32 = 0x100;
/// Where the code starts.
const CODE: u32 = BASE + CODE_OFFSET;
/// Interrupt table, stack and scratch memory of guests.
const IDT: u32 = 0x20_1000;
const TABLE_POINTER: u32 = 0x20_2000;
pub(super) const STACK: u32 = 0x21_0000;
pub(super) const SCRATCH: u32 = 0x22_0000;
/// Local APIC and IOAPIC.
pub(super) const APIC: u32 = 0xfee0_0000;
const IOAPIC: u32 = 0xfec0_0000;

pub(super) struct Program {
    pub(super) asm: CodeAssembler,
}

impl Program {
    pub(super) fn new() -> Self {
        let mut asm = CodeAssembler::new(32).unwrap();
        asm.mov(esp, STACK).unwrap();
        Self { asm }
    }

    /// A 64-bit guest. The loader has given it page tables for 4 GiB and segments at 0x10 and 0x18.
    pub(super) fn long() -> Self {
        let mut asm = CodeAssembler::new(64).unwrap();
        asm.mov(esp, STACK).unwrap();
        Self { asm }
    }

    pub(super) fn label(&mut self) -> CodeLabel {
        self.asm.create_label()
    }

    pub(super) fn here(&mut self) -> CodeLabel {
        let mut label = self.label();
        self.place(&mut label);
        label
    }

    pub(super) fn place(&mut self, label: &mut CodeLabel) {
        self.asm.set_label(label).unwrap();
        // A label needs an instruction of its own.
        self.asm.nop().unwrap();
    }

    pub(super) fn print(&mut self, text: &str) {
        self.asm.mov(dx, 0x3f8).unwrap();
        for byte in text.bytes() {
            self.asm.mov(al, u32::from(byte)).unwrap();
            self.asm.out(dx, al).unwrap();
        }
    }

    pub(super) fn exit(&mut self, code: u32) {
        self.asm.mov(al, code).unwrap();
        self.asm.out(0xf4, al).unwrap();
    }

    /// Writes a byte, word or double word to a port.
    pub(super) fn out8(&mut self, port: u16, value: u8) {
        self.asm.mov(dx, u32::from(port)).unwrap();
        self.asm.mov(al, u32::from(value)).unwrap();
        self.asm.out(dx, al).unwrap();
    }

    pub(super) fn out16(&mut self, port: u16, value: u16) {
        self.asm.mov(dx, u32::from(port)).unwrap();
        self.asm.mov(ax, u32::from(value)).unwrap();
        self.asm.out(dx, ax).unwrap();
    }

    pub(super) fn out32(&mut self, port: u16, value: u32) {
        self.asm.mov(dx, u32::from(port)).unwrap();
        self.asm.mov(eax, value).unwrap();
        self.asm.out(dx, eax).unwrap();
    }

    /// Writes what is in eax.
    pub(super) fn out_eax(&mut self, port: u16) {
        self.asm.mov(dx, u32::from(port)).unwrap();
        self.asm.out(dx, eax).unwrap();
    }

    pub(super) fn in_eax(&mut self, port: u16) {
        self.asm.mov(dx, u32::from(port)).unwrap();
        self.asm.in_(eax, dx).unwrap();
    }

    pub(super) fn store32(&mut self, address: u32, value: u32) {
        self.asm.mov(edi, address).unwrap();
        self.asm.mov(eax, value).unwrap();
        self.asm.mov(ptr(edi), eax).unwrap();
    }

    pub(super) fn load_eax(&mut self, address: u32) {
        self.asm.mov(edi, address).unwrap();
        self.asm.mov(eax, ptr(edi)).unwrap();
    }

    /// Loops until the byte at `address` is `value`.
    pub(super) fn wait_for_byte(&mut self, address: u32, value: u8) {
        self.asm.mov(edi, address).unwrap();
        let again = self.here();
        self.asm.mov(cl, byte_ptr(edi)).unwrap();
        self.asm.cmp(cl, u32::from(value)).unwrap();
        self.asm.jne(again).unwrap();
    }

    pub(super) fn halt_forever(&mut self) {
        let again = self.here();
        self.asm.hlt().unwrap();
        self.asm.jmp(again).unwrap();
    }

    /// Loads an interrupt table, empty so far.
    pub(super) fn interrupt_table(&mut self) {
        self.store32(TABLE_POINTER + 2, IDT);
        self.asm.mov(edi, TABLE_POINTER).unwrap();
        self.asm.mov(ax, 0xfff).unwrap();
        self.asm.mov(ptr(edi), ax).unwrap();
        self.asm.lidt(ptr(edi)).unwrap();
    }

    /// Makes `vector` lead to `handler`, an interrupt gate of a 64-bit guest.
    pub(super) fn gate(&mut self, vector: u32, handler: CodeLabel) {
        self.asm.lea(rax, ptr(handler)).unwrap();
        self.asm.mov(ecx, eax).unwrap();
        self.asm.and(eax, 0xffff).unwrap();
        self.asm.or(eax, 0x10 << 16).unwrap();
        self.asm.mov(edi, IDT + vector * 16).unwrap();
        self.asm.mov(ptr(edi), eax).unwrap();
        self.asm.and(ecx, 0xffff_0000_u32.cast_signed()).unwrap();
        self.asm.or(ecx, 0x8e00).unwrap();
        self.asm.mov(ptr(edi + 4), ecx).unwrap();
    }

    /// Switches the local APIC on.
    pub(super) fn enable_apic(&mut self) {
        self.store32(APIC + 0xf0, 0x1ff);
    }

    /// Programs IOAPIC input `input`: vector and flags in the low half of its entry, processor 0.
    pub(super) fn ioapic(&mut self, input: u32, entry: u32) {
        self.store32(IOAPIC, 0x11 + 2 * input);
        self.store32(IOAPIC + 0x10, 0);
        self.store32(IOAPIC, 0x10 + 2 * input);
        self.store32(IOAPIC + 0x10, entry);
    }

    /// Tells the local APIC that an interrupt was handled.
    pub(super) fn end_of_interrupt(&mut self) {
        self.store32(APIC + 0xb0, 0);
    }

    /// Copies `code` to `to`, below 1 MiB for a start-up IPI.
    pub(super) fn copy_code(&mut self, code: &[u8], to: u32) {
        let mut after = self.label();
        self.asm.call(after).unwrap();
        self.asm.db(code).unwrap();
        self.place(&mut after);
        self.asm.pop(esi).unwrap();
        self.asm.mov(edi, to).unwrap();
        self.asm.mov(ecx, u32::try_from(code.len()).unwrap()).unwrap();
        self.asm.rep().movsb().unwrap();
    }

    /// The finished kernel.
    pub(super) fn kernel(self) -> Arc<[u8]> {
        if self.asm.bitness() == 64 {
            self.bzimage()
        } else {
            self.elf()
        }
    }

    /// Setup header and code at the 64-bit entry.
    fn bzimage(mut self) -> Arc<[u8]> {
        let entry = u64::from(BASE) + 0x200;
        let code = self.asm.assemble(entry).unwrap();
        let mut file = vec![0; 2 * 512 + 0x200];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        // One setup sector, flags and version 2.15, loaded high, relocatable, with a 64-bit entry.
        put(0x1f1, &[1]);
        put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
        put(0x202, b"HdrS");
        put(0x206, &[0x0f, 0x02]);
        put(0x211, &[1]);
        put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
        put(0x230, &0x1000_u32.to_le_bytes());
        put(0x234, &[1, 0, 1, 0]);
        put(0x238, &2047_u32.to_le_bytes());
        put(0x258, &u64::from(BASE).to_le_bytes());
        put(0x260, &0x1_0000_u32.to_le_bytes());
        file.extend(code);
        file.resize(file.len().next_multiple_of(16), 0);
        file.into()
    }

    fn elf(mut self) -> Arc<[u8]> {
        // Execution must not run into what follows.
        self.asm.mov(edx, 0).unwrap();
        let code = self.asm.assemble(CODE.into()).unwrap();
        let size = u64::from(CODE_OFFSET) + code.len() as u64;
        let mut elf = Vec::new();
        elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        elf.extend(2_u16.to_le_bytes());
        elf.extend(62_u16.to_le_bytes());
        elf.extend(1_u32.to_le_bytes());
        for field in [u64::from(CODE), 64, 0] {
            elf.extend(field.to_le_bytes());
        }
        elf.extend(0_u32.to_le_bytes());
        for field in [64_u16, 56, 2, 0, 0, 0] {
            elf.extend(field.to_le_bytes());
        }
        let base = u64::from(BASE);
        for (kind, flags, bytes, align) in [(1_u32, 7_u32, size, 0x1000_u64), (4, 4, 20, 4)] {
            elf.extend(kind.to_le_bytes());
            elf.extend(flags.to_le_bytes());
            for field in [0x1000, base, base, bytes, bytes, align] {
                elf.extend(field.to_le_bytes());
            }
        }
        elf.resize(0x1000, 0);
        for word in [4_u32, 4, 18] {
            elf.extend(word.to_le_bytes());
        }
        elf.extend(b"Xen\0");
        elf.extend(CODE.to_le_bytes());
        elf.resize(0x1000 + CODE_OFFSET as usize, 0);
        elf.extend(code);
        elf.into()
    }
}
