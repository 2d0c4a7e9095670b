//! I/O port numbers (ABI 7) and which of them work when.

pub(crate) const NOTIFY_COMMAND: u8 = 0;
pub(crate) const NOTIFY_CURSOR: u8 = 1;
pub(crate) const UPDATE_AREA: u8 = 2;
pub(crate) const UPDATE_IRQ: u8 = 3;
pub(crate) const OUT_OF_MEMORY: u8 = 4;
pub(crate) const RESET: u8 = 5;
pub(crate) const SET_MODE: u8 = 6;
pub(crate) const LOG: u8 = 7;
pub(crate) const ADD_SLOT: u8 = 8;
pub(crate) const DELETE_SLOT: u8 = 9;
pub(crate) const DETACH_PRIMARY: u8 = 10;
pub(crate) const ATTACH_PRIMARY: u8 = 11;
pub(crate) const CREATE_PRIMARY: u8 = 12;
pub(crate) const DESTROY_PRIMARY: u8 = 13;
pub(crate) const DESTROY_SURFACE: u8 = 14;
pub(crate) const DESTROY_ALL: u8 = 15;
pub(crate) const UPDATE_AREA_ASYNC: u8 = 16;
pub(crate) const ADD_SLOT_ASYNC: u8 = 17;
pub(crate) const CREATE_PRIMARY_ASYNC: u8 = 18;
pub(crate) const DESTROY_PRIMARY_ASYNC: u8 = 19;
pub(crate) const DESTROY_SURFACE_ASYNC: u8 = 20;
pub(crate) const DESTROY_ALL_ASYNC: u8 = 21;
pub(crate) const FLUSH_SURFACES_ASYNC: u8 = 22;
pub(crate) const FLUSH_RELEASE: u8 = 23;
pub(crate) const MONITORS_ASYNC: u8 = 24;

/// Whether the end of the command is told by interrupt. FLUSH_RELEASE is synchronous although its number is not.
pub(crate) const fn is_asynchronous(port: u8) -> bool {
    matches!(port, UPDATE_AREA_ASYNC..=FLUSH_SURFACES_ASYNC | MONITORS_ASYNC)
}

/// Whether the effect is there when the write returns.
pub(crate) const fn is_synchronous(port: u8) -> bool {
    matches!(
        port,
        UPDATE_AREA | RESET | SET_MODE | ADD_SLOT..=DESTROY_ALL | FLUSH_RELEASE
    )
}

/// Whether a guest could let commands wait one behind the other: there is one asynchronous command at a time, and a mode
/// takes the place of all that waits.
pub(crate) const fn may_pile_up(port: u8) -> bool {
    port != SET_MODE && (is_synchronous(port) || port == OUT_OF_MEMORY)
}

/// Whether the command is carried out in VGA mode.
pub(crate) const fn works_in_vga_mode(port: u8) -> bool {
    matches!(
        port,
        RESET
            | SET_MODE
            | ADD_SLOT
            | DELETE_SLOT
            | CREATE_PRIMARY
            | UPDATE_IRQ
            | LOG
            | ADD_SLOT_ASYNC
            | CREATE_PRIMARY_ASYNC
    )
}

/// Whether a command dropped in VGA mode is answered as if it were done, so that a driver does not wait for it.
pub(crate) const fn interrupts_in_vga_mode(port: u8) -> bool {
    matches!(port, UPDATE_AREA_ASYNC..=MONITORS_ASYNC)
}
