//! Kinds of clipboards' contents, and what X11 calls them.

use bytes::Bytes;
use caraway_protocol::agent::ClipboardKind;
use x11rb::protocol::xproto::{Atom, AtomEnum};

use super::Atoms;

/// Names of a kind, the best first.
fn names(kind: ClipboardKind, atoms: &Atoms) -> Vec<Atom> {
    match kind {
        ClipboardKind::Text => vec![
            atoms.UTF8_STRING,
            atoms.TEXT_PLAIN_UTF8,
            atoms.TEXT_PLAIN,
            atoms.TEXT,
            AtomEnum::STRING.into(),
        ],
        ClipboardKind::Png => vec![atoms.IMAGE_PNG],
        ClipboardKind::Bmp => vec![atoms.IMAGE_BMP, atoms.IMAGE_X_BMP, atoms.IMAGE_X_MS_BMP],
        ClipboardKind::Tiff => vec![atoms.IMAGE_TIFF],
        ClipboardKind::Jpeg => vec![atoms.IMAGE_JPEG],
        ClipboardKind::None | ClipboardKind::FileList | ClipboardKind::Unknown(_) => Vec::new(),
    }
}

/// Those that can be had in both worlds, as clients like them best.
const KINDS: [ClipboardKind; 5] = [
    ClipboardKind::Text,
    ClipboardKind::Png,
    ClipboardKind::Bmp,
    ClipboardKind::Tiff,
    ClipboardKind::Jpeg,
];

/// What a program offers under these names: each kind, and the name to ask for.
pub(super) fn offered(targets: &[Atom], atoms: &Atoms) -> Vec<(ClipboardKind, Atom)> {
    let best = |kind| names(kind, atoms).into_iter().find(|name| targets.contains(name));
    KINDS.into_iter().filter_map(|kind| Some((kind, best(kind)?))).collect()
}

/// The names under which what a client offers is to be had.
pub(super) fn targets(kinds: &[ClipboardKind], atoms: &Atoms) -> Vec<Atom> {
    kinds.iter().flat_map(|kind| names(*kind, atoms)).collect()
}

/// What a program means by a name, if the client offers it.
pub(super) fn kind_of(target: Atom, kinds: &[ClipboardKind], atoms: &Atoms) -> Option<ClipboardKind> {
    kinds.iter().copied().find(|kind| names(*kind, atoms).contains(&target))
}

/// What a client sent, for a program that asked under a name: the type it has there, and the bytes.
pub(super) fn to_program(target: Atom, data: Bytes, atoms: &Atoms) -> (Atom, Bytes) {
    if target == AtomEnum::STRING.into() {
        let text = String::from_utf8_lossy(&data);
        let latin = text
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'));
        return (target, latin.collect());
    }
    // A program that leaves the type to us.
    let kind = if target == atoms.TEXT {
        atoms.UTF8_STRING
    } else {
        target
    };
    (kind, data)
}

/// What a program gave, for a client: `kind` is what was asked for, `given` the type it came with.
pub(super) fn to_client(kind: ClipboardKind, given: Atom, data: Vec<u8>) -> Bytes {
    if kind != ClipboardKind::Text {
        return data.into();
    }
    let mut text = if given == AtomEnum::STRING.into() {
        data.into_iter().map(char::from).collect()
    } else {
        String::from_utf8(data).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    };
    while text.ends_with('\0') {
        text.pop();
    }
    text.into_bytes().into()
}
