//! Numbers of the QXL ABI, revision 4 and later: ids, offsets in ROM and RAM header, ports.

/// PCI vendor id.
pub const VENDOR: u16 = 0x1b36;
/// PCI device id.
pub const DEVICE: u16 = 0x0100;
/// The first revision with asynchronous ports and a monitors configuration.
pub const MIN_REVISION: u8 = 4;

/// First word of the ROM.
pub const ROM_MAGIC: u32 = 0x4f52_5851;
/// ROM: pages of the RAM BAR.
pub const ROM_PAGES_OFFSET: usize = 0x20;
/// ROM: offset of the RAM header in the RAM BAR.
pub const ROM_RAM_HEADER_OFFSET: usize = 0x2c;
/// ROM: the first slot id a driver uses.
pub const ROM_SLOTS_START: usize = 0x40;
/// ROM: bits of an address that are the generation.
pub const ROM_SLOT_GEN_BITS: usize = 0x42;
/// ROM: bits of an address that are the slot id.
pub const ROM_SLOT_ID_BITS: usize = 0x43;
/// ROM: the generation of new slots.
pub const ROM_SLOT_GENERATION: usize = 0x44;
/// Bytes of the ROM that are needed.
pub const ROM_SIZE: usize = 0x48;

/// First word of the RAM header.
pub const RAM_MAGIC: u32 = 0x4152_5851;
/// RAM header: interrupts that are pending.
pub const RAM_INT_PENDING: usize = 0x0004;
/// RAM header: interrupts that reach the line.
pub const RAM_INT_MASK: usize = 0x0008;
/// RAM header: the command ring.
pub const RAM_COMMAND_RING: usize = 0x100c;
/// RAM header: the cursor ring.
pub const RAM_CURSOR_RING: usize = 0x1220;
/// RAM header: the release ring.
pub const RAM_RELEASE_RING: usize = 0x1434;
/// RAM header: argument of UPDATE_AREA.
pub const RAM_UPDATE_AREA: usize = 0x1488;
/// RAM header: surface of UPDATE_AREA.
pub const RAM_UPDATE_SURFACE: usize = 0x1498;
/// RAM header: argument of MEMSLOT_ADD.
pub const RAM_MEM_SLOT: usize = 0x149c;
/// RAM header: argument of CREATE_PRIMARY.
pub const RAM_CREATE_SURFACE: usize = 0x14ac;
/// RAM header: argument of MONITORS_CONFIG.
pub const RAM_MONITORS_CONFIG: usize = 0x14dc;
/// Bytes of the RAM header.
pub const RAM_HEADER_SIZE: usize = 0x14e4;

/// The command ring may hold something new.
pub const PORT_NOTIFY_COMMAND: u16 = 0;
/// The cursor ring may hold something new.
pub const PORT_NOTIFY_CURSOR: u16 = 1;
/// Writes an area back to guest memory.
pub const PORT_UPDATE_AREA: u16 = 2;
/// Brings the interrupt line in step with the pending word.
pub const PORT_UPDATE_IRQ: u16 = 3;
/// The guest is out of command memory.
pub const PORT_NOTIFY_OOM: u16 = 4;
/// Back to power-on.
pub const PORT_RESET: u16 = 5;
/// Adds a memory slot.
pub const PORT_MEMSLOT_ADD: u16 = 8;
/// Creates the primary surface.
pub const PORT_CREATE_PRIMARY: u16 = 12;
/// As [`PORT_UPDATE_AREA`], finished by interrupt.
pub const PORT_UPDATE_AREA_ASYNC: u16 = 16;
/// As [`PORT_MEMSLOT_ADD`], finished by interrupt.
pub const PORT_MEMSLOT_ADD_ASYNC: u16 = 17;
/// As [`PORT_CREATE_PRIMARY`], finished by interrupt.
pub const PORT_CREATE_PRIMARY_ASYNC: u16 = 18;
/// Writes every surface back to guest memory, finished by interrupt.
pub const PORT_FLUSH_SURFACES_ASYNC: u16 = 22;
/// Takes a monitors configuration, finished by interrupt.
pub const PORT_MONITORS_CONFIG_ASYNC: u16 = 24;
/// Ports of the I/O BAR.
pub const PORT_COUNT: u16 = 32;

/// Pixels of 32 bits without alpha.
pub const FORMAT_32_XRGB: u32 = 32;
