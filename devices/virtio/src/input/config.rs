//! The device-specific configuration (virtio 1.2, 5.8.4): the driver selects what it wants to know, and reads how many
//! bytes that is, and the bytes.

use caraway_ports::tablet::FARTHEST;

use super::code;

/// Offset of `select` in `struct virtio_input_config`.
pub(super) const SELECT: u64 = 0;
/// Of `subsel`.
pub(super) const SUBSELECT: u64 = 1;
/// Of what was selected, behind `select`, `subsel`, `size` and five bytes of no meaning.
const SELECTED: usize = 8;
/// Most bytes of it.
const SELECTED_BYTES: usize = 128;

// What can be selected.
const ID_NAME: u8 = 0x01;
const ID_SERIAL: u8 = 0x02;
const ID_DEVIDS: u8 = 0x03;
const EV_BITS: u8 = 0x11;
const ABS_INFO: u8 = 0x12;

const NAME: &[u8] = b"Caraway Virtio Tablet";
const SERIAL: &[u8] = b"caraway-tablet";

/// BUS_VIRTUAL of `linux/input.h`.
const BUS_VIRTUAL: u16 = 6;
/// Virtio's PCI vendor; the product is this project's first under it, its version counts changes of what it reports.
const VENDOR: u16 = 0x1af4;
const PRODUCT: u16 = 1;
const VERSION: u16 = 1;

/// The structure as it reads with this selection. What the device has not has size 0: properties among it, by which guests
/// tell a touch screen or a pad from what this is.
pub(super) fn image(select: u8, subselect: u8) -> [u8; SELECTED + SELECTED_BYTES] {
    let selected = selected(select, subselect);
    let mut image = [0; SELECTED + SELECTED_BYTES];
    let head = [select, subselect, u8::try_from(selected.len()).unwrap_or(0)];
    let (start, rest) = image.split_at_mut(SELECTED);
    for (to, from) in start.iter_mut().zip(head) {
        *to = from;
    }
    for (to, from) in rest.iter_mut().zip(selected) {
        *to = from;
    }
    image
}

fn selected(select: u8, subselect: u8) -> Vec<u8> {
    match (select, subselect) {
        (ID_NAME, 0) => NAME.to_vec(),
        (ID_SERIAL, 0) => SERIAL.to_vec(),
        (ID_DEVIDS, 0) => [BUS_VIRTUAL, VENDOR, PRODUCT, VERSION].map(u16::to_le_bytes).concat(),
        (EV_BITS, kind) => match u16::from(kind) {
            code::EV_KEY => bits(&code::BUTTONS),
            code::EV_REL => bits(&[code::REL_WHEEL]),
            code::EV_ABS => bits(&[code::ABS_X, code::ABS_Y]),
            _ => Vec::new(),
        },
        (ABS_INFO, axis) if matches!(u16::from(axis), code::ABS_X | code::ABS_Y) => {
            // Least, most, noise, flat area, resolution; the last three unknown.
            [0, u32::from(FARTHEST), 0, 0, 0].map(u32::to_le_bytes).concat()
        }
        _ => Vec::new(),
    }
}

/// A bitmap with these codes, as short as it can be.
fn bits(codes: &[u16]) -> Vec<u8> {
    let most = codes.iter().max().copied().unwrap_or(0);
    let mut bytes = vec![0; usize::from(most / 8) + 1];
    for code in codes {
        if let Some(byte) = bytes.get_mut(usize::from(code / 8)) {
            *byte |= 1 << (code % 8);
        }
    }
    bytes
}
