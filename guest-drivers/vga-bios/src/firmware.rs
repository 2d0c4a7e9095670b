//! The part of a PC's firmware: puts the VGA BIOS where it runs, prepares what it expects, and lets it initialise.

use caraway_guest_rt::mmio::{self, Width};
use caraway_guest_rt::pci::{self, Function};
use caraway_guest_rt::qxl::abi;
use caraway_guest_rt::real_mode::{self, FarPointer, Registers};

/// Where the BIOS of the VGA device lies in every PC.
const VGA_ROM: u32 = 0xc_0000;
const VGA_ROM_SEGMENT: u16 = 0xc000;
/// An option ROM is entered at its fourth byte.
const ENTRY_OFFSET: u16 = 3;
const SIGNATURE: u64 = 0xaa55;
/// Unit of the length in the third byte.
const BLOCK: u32 = 512;
const ROM_LIMIT: u32 = 0x1_0000;

/// Ids of the q35's host bridge, and its registers of what each 16 KiB from c0000 on are; the first byte is another's.
const Q35: u32 = 0x29c0_8086;
const PAM: u8 = 0x90;
/// RAM for reads and writes.
const PAM_C0000: u32 = 0x3333_3300;

const VECTORS: u32 = 256;
/// Two handlers for the vectors that nothing else serves.
const HANDLERS: u32 = 0x600;
const IRET: [u8; 1] = [0xcf];
/// `stc; retf 2`: the service is not there, as the carry flag says.
const REFUSE: [u8; 4] = [0xf9, 0xca, 0x02, 0x00];
const SYSTEM_SERVICES: u32 = 0x15;

const BIOS_DATA: u32 = 0x400;
const BIOS_DATA_SIZE: u32 = 0x100;
const EBDA_SEGMENT: u32 = 0x40e;
const EQUIPMENT: u32 = 0x410;
const MEMORY_SIZE: u32 = 0x413;
/// The extended BIOS data area, at the end of conventional memory; its first byte is its size in KiB.
const EBDA: u32 = 0x9_fc00;
const EBDA_KIB: u64 = 1;
const CONVENTIONAL_KIB: u64 = 639;
/// Mouse port, and a display of 80x25 colour cells.
const EQUIPMENT_WORD: u64 = 0x24;

/// Makes the VGA BIOS serve interrupt 10h.
pub(crate) fn start() -> Result<(), &'static str> {
    let function = pci::find(abi::VENDOR, abi::DEVICE).ok_or("no QXL device")?;
    function.enable();
    unlock();
    shadow(function)?;
    prepare();
    let entry = FarPointer {
        offset: ENTRY_OFFSET,
        segment: VGA_ROM_SEGMENT,
    };
    let registers = Registers {
        eax: u32::from(function.device()) << 3 | u32::from(function.function()),
        ..Registers::default()
    };
    real_mode::call(entry, &registers);
    if FarPointer::of_interrupt(0x10).segment == VGA_ROM_SEGMENT {
        Ok(())
    } else {
        Err("the VGA BIOS has not taken interrupt 10h")
    }
}

/// Makes RAM of what lies at c0000 to cffff on a q35 board, where firmware that ran before may have locked it.
fn unlock() {
    let bridge = Function::new(0, 0);
    if bridge.read(0) == Q35 {
        bridge.write(PAM, bridge.read(PAM) & 0xff | PAM_C0000);
    }
}

/// Copies the expansion ROM to where it runs.
fn shadow(function: Function) -> Result<(), &'static str> {
    let base = function.enable_expansion_rom().ok_or("no expansion ROM")?;
    let result = copy(base);
    function.disable_expansion_rom();
    result?;
    if real_mode::read(VGA_ROM, Width::B2) == Some(SIGNATURE) {
        Ok(())
    } else {
        Err("no RAM at c0000")
    }
}

fn copy(base: u32) -> Result<(), &'static str> {
    if mmio::read(base, Width::B2) != Some(SIGNATURE) {
        return Err("no option ROM in the expansion ROM");
    }
    let blocks = mmio::read(base + 2, Width::B1).unwrap_or(0) as u32;
    for offset in (0..(blocks * BLOCK).min(ROM_LIMIT)).step_by(8) {
        let bytes = mmio::read(base + offset, Width::B8).ok_or("the expansion ROM is not in the PCI window")?;
        real_mode::write(VGA_ROM + offset, Width::B8, bytes);
    }
    Ok(())
}

/// Interrupt vectors and BIOS data area of a PC with nothing in it.
fn prepare() {
    let refuse = HANDLERS + IRET.len() as u32;
    real_mode::write_bytes(HANDLERS, &IRET);
    real_mode::write_bytes(refuse, &REFUSE);
    for number in 0..VECTORS {
        let handler = if number == SYSTEM_SERVICES { refuse } else { HANDLERS };
        real_mode::write(4 * number, Width::B4, handler.into());
    }
    for offset in (0..BIOS_DATA_SIZE).step_by(8) {
        real_mode::write(BIOS_DATA + offset, Width::B8, 0);
    }
    real_mode::write(EBDA_SEGMENT, Width::B2, u64::from(EBDA >> 4));
    real_mode::write(EQUIPMENT, Width::B2, EQUIPMENT_WORD);
    real_mode::write(MEMORY_SIZE, Width::B2, CONVENTIONAL_KIB);
    real_mode::write(EBDA, Width::B1, EBDA_KIB);
}
