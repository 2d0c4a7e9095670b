//! Assembles guests: 32-bit PVH kernels of one code segment, flat, paging off.

use std::sync::Arc;

use iced_x86::code_asm::{CodeAssembler, CodeLabel, al, ax, byte_ptr, cl, dx, eax, ecx, edi, edx, esi, esp, ptr};

/// Where the segment lies; the note is in its first bytes, the code follows.
const BASE: u32 = 0x10_0000;
const CODE_OFFSET: u32 = 0x100;
/// Where the code starts.
pub(super) const CODE: u32 = BASE + CODE_OFFSET;
/// Descriptor tables, stack and scratch memory of guests.
pub(super) const GDT: u32 = 0x20_0000;
pub(super) const IDT: u32 = 0x20_1000;
const TABLE_POINTER: u32 = 0x20_2000;
pub(super) const STACK: u32 = 0x21_0000;
pub(super) const SCRATCH: u32 = 0x22_0000;
/// Local APIC and IOAPIC.
pub(super) const APIC: u32 = 0xfee0_0000;
pub(super) const IOAPIC: u32 = 0xfec0_0000;

pub(super) struct Program {
    pub(super) asm: CodeAssembler,
}

impl Program {
    pub(super) fn new() -> Self {
        Self {
            asm: CodeAssembler::new(32).unwrap(),
        }
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

    /// Loads descriptor tables with flat segments at 0x10 and 0x18 and an empty interrupt table, and a stack.
    pub(super) fn tables(&mut self) {
        self.asm.mov(esp, STACK).unwrap();
        for (offset, value) in [
            (0x10, 0x0000_ffff),
            (0x14, 0x00cf_9b00),
            (0x18, 0x0000_ffff),
            (0x1c, 0x00cf_9300),
        ] {
            self.store32(GDT + offset, value);
        }
        self.table_pointer(GDT, 0x1f);
        self.asm.lgdt(ptr(edi)).unwrap();
        self.table_pointer(IDT, 0x7ff);
        self.asm.lidt(ptr(edi)).unwrap();
    }

    /// Base and limit for `lgdt` and `lidt`, at `edi`.
    fn table_pointer(&mut self, base: u32, limit: u16) {
        self.store32(TABLE_POINTER + 2, base);
        self.asm.mov(edi, TABLE_POINTER).unwrap();
        self.asm.mov(ax, u32::from(limit)).unwrap();
        self.asm.mov(ptr(edi), ax).unwrap();
    }

    /// Makes `vector` lead to `handler`, an interrupt gate.
    pub(super) fn gate(&mut self, vector: u32, handler: CodeLabel) {
        self.asm.lea(eax, ptr(handler)).unwrap();
        self.asm.mov(ecx, eax).unwrap();
        self.asm.and(eax, 0xffff).unwrap();
        self.asm.or(eax, 0x10 << 16).unwrap();
        self.asm.mov(edi, IDT + vector * 8).unwrap();
        self.asm.mov(ptr(edi), eax).unwrap();
        self.asm.and(ecx, 0xffff_0000_u32 as i32).unwrap();
        self.asm.or(ecx, 0x8e00).unwrap();
        self.asm.mov(ptr(edi + 4), ecx).unwrap();
    }

    /// Switches the local APIC on.
    pub(super) fn enable_apic(&mut self) {
        self.store32(APIC + 0xf0, 0x1ff);
    }

    /// Tells the local APIC that an interrupt was handled.
    pub(super) fn end_of_interrupt(&mut self) {
        self.store32(APIC + 0xb0, 0);
    }

    /// Copies the code between two labels to `to`, below 1 MiB for a start-up IPI.
    pub(super) fn copy_code(&mut self, from: CodeLabel, to: u32, length: u32) {
        self.asm.lea(esi, ptr(from)).unwrap();
        self.asm.mov(edi, to).unwrap();
        self.asm.mov(ecx, length).unwrap();
        self.asm.rep().movsb().unwrap();
    }

    /// The finished kernel.
    pub(super) fn elf(mut self) -> Arc<[u8]> {
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
