//! Messages of the channels that pass something through.

use caraway_protocol::{smartcard, spicevmc};
use proptest::prelude::*;

use super::{blob, client_common, server_common, text, unknown};

fn compressed() -> impl Strategy<Value = spicevmc::Compressed> {
    (any::<u8>(), any::<u32>(), blob()).prop_map(|(kind, uncompressed, bytes)| spicevmc::Compressed {
        compression: kind.into(),
        // It is not sent without compression.
        uncompressed: if kind == 0 { 0 } else { uncompressed },
        bytes,
    })
}

pub(crate) fn spicevmc_server() -> impl Strategy<Value = spicevmc::ServerMessage> {
    use spicevmc::ServerMessage as M;
    let init = (text(), any::<bool>()).prop_map(|(name, opened)| M::PortInit(spicevmc::PortInit { name, opened }));
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        2 => blob().prop_map(M::Data),
        2 => compressed().prop_map(M::CompressedData),
        1 => init,
        1 => any::<u8>().prop_map(|event| M::PortEvent(event.into())),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn spicevmc_client() -> impl Strategy<Value = spicevmc::ClientMessage> {
    use spicevmc::ClientMessage as M;
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        2 => blob().prop_map(M::Data),
        2 => compressed().prop_map(M::CompressedData),
        1 => any::<u8>().prop_map(|event| M::PortEvent(event.into())),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

fn vsc() -> impl Strategy<Value = smartcard::VscMessage> {
    (0..12_u32, any::<u32>(), blob()).prop_map(|(kind, reader, data)| smartcard::VscMessage {
        kind: kind.into(),
        reader,
        data,
    })
}

pub(crate) fn smartcard_server() -> impl Strategy<Value = smartcard::ServerMessage> {
    use smartcard::ServerMessage as M;
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        2 => vsc().prop_map(M::Data),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn smartcard_client() -> impl Strategy<Value = smartcard::ClientMessage> {
    use smartcard::ClientMessage as M;
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        2 => vsc().prop_map(M::Data),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}
