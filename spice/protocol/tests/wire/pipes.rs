//! The bytes of the channels that pass something through, and of card readers' devices.

use bytes::{Bytes, BytesMut};
use caraway_protocol::smartcard::{
    self, NO_READER, VSC_DATA_MAX, VSC_HEADER_BYTES, VSC_INIT, VscError, VscMessage, VscType,
};
use caraway_protocol::spicevmc::{ClientMessage, Compressed, Compression, PortEvent, PortInit, ServerMessage};
use caraway_protocol::{Error, Message, Progress};

use crate::support::bytes_of;

#[test]
fn a_port_is_named_behind_a_pointer() {
    let init = ServerMessage::PortInit(PortInit {
        name: "org.a".to_owned(),
        opened: true,
    });
    let body = init.to_body().unwrap();
    assert_eq!(body, bytes_of("06000000 09000000 01 6f72672e6100"));
    assert_eq!(ServerMessage::decode(201, &body), Ok(init));
    let null = Bytes::from(bytes_of("06000000 00000000 01 6f72672e6100"));
    assert!(matches!(ServerMessage::decode(201, &null), Err(Error::Null { .. })));
    let longer = Bytes::from(bytes_of("07000000 09000000 01 6f72672e6100"));
    assert!(matches!(
        ServerMessage::decode(201, &longer),
        Err(Error::Truncated { .. })
    ));
}

#[test]
fn a_size_goes_with_what_is_compressed_only() {
    let plain = Compressed {
        compression: Compression::None,
        uncompressed: 0,
        bytes: Bytes::from_static(b"ab"),
    };
    let lz4 = Compressed {
        compression: Compression::Lz4,
        uncompressed: 2,
        bytes: Bytes::from_static(b" ab"),
    };
    let bodies = [plain, lz4].map(|compressed| ClientMessage::CompressedData(compressed).to_body().unwrap());
    assert_eq!(bodies[0], bytes_of("00 6162"));
    assert_eq!(bodies[1], bytes_of("01 02000000 206162"));
    for short in ["", "01", "01 020000"] {
        let body = Bytes::from(bytes_of(short));
        assert!(ClientMessage::decode(102, &body).is_err(), "{short:?}");
    }
}

#[test]
fn events_have_different_ids_in_the_two_directions() {
    let event = Bytes::from_static(&[2]);
    assert_eq!(
        ServerMessage::decode(202, &event),
        Ok(ServerMessage::PortEvent(PortEvent::Break))
    );
    assert_eq!(
        ClientMessage::decode(201, &event),
        Ok(ClientMessage::PortEvent(PortEvent::Break))
    );
    assert!(matches!(
        ClientMessage::decode(202, &event),
        Ok(ClientMessage::Unknown { id: 202, .. })
    ));
}

#[test]
fn a_card_message_is_little_endian_on_the_channel_and_big_endian_at_the_device() {
    let message = VscMessage {
        kind: VscType::Error,
        reader: 3,
        data: Bytes::copy_from_slice(&u32::from(VscError::CannotAddMoreReaders).to_le_bytes()),
    };
    let body = smartcard::ServerMessage::Data(message.clone()).to_body().unwrap();
    assert_eq!(body, bytes_of("02000000 03000000 04000000 02000000"));
    let device = message.encode_device();
    assert_eq!(device, bytes_of("00000002 00000003 00000004 02000000"));
    assert_eq!(
        VscMessage::decode_device(&mut BytesMut::from(&device[..])),
        Ok(Progress::Done(message))
    );
    assert_eq!(VSC_INIT.len(), 12);
}

#[test]
fn a_card_message_of_a_device_may_come_in_pieces_of_any_size() {
    let kinds = [VscType::Init, VscType::Apdu, VscType::FlushComplete];
    let messages: Vec<VscMessage> = kinds
        .into_iter()
        .zip([0_usize, 300, VSC_DATA_MAX])
        .map(|(kind, length)| VscMessage {
            kind,
            reader: NO_READER,
            data: vec![7; length].into(),
        })
        .collect();
    let stream: Vec<u8> = messages.iter().flat_map(VscMessage::encode_device).collect();
    for piece in [1, 11, 12, 13, 4096] {
        let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
        for bytes in stream.chunks(piece) {
            buffer.extend_from_slice(bytes);
            while let Progress::Done(message) = VscMessage::decode_device(&mut buffer).unwrap() {
                found.push(message);
            }
        }
        assert_eq!((&found, buffer.len()), (&messages, 0), "pieces of {piece}");
    }
}

#[test]
fn a_card_message_that_is_longer_than_there_is_is_refused() {
    for length in [5_u32, 0x7fff_ffff, u32::MAX] {
        let words = [7, 0, length].map(u32::to_le_bytes);
        let body = Bytes::from([words.as_flattened(), &[0; 4]].concat());
        let error = smartcard::ClientMessage::decode(101, &body).err();
        assert!(
            matches!(error, Some(Error::Truncated { field: "data", .. })),
            "{length}: {error:?}"
        );
    }
    let device = |length: u32| {
        let words = [7, 0, length].map(u32::to_be_bytes);
        VscMessage::decode_device(&mut BytesMut::from(words.as_flattened()))
    };
    let longest = u32::try_from(VSC_DATA_MAX).unwrap();
    assert_eq!(device(longest), Ok(Progress::Need(VSC_DATA_MAX)));
    for length in [longest + 1, u32::MAX] {
        assert!(
            matches!(device(length), Err(Error::Limit { field: "length", .. })),
            "{length}"
        );
    }
    for length in 0..VSC_HEADER_BYTES {
        let body = Bytes::from(vec![0; length]);
        assert!(smartcard::ClientMessage::decode(101, &body).is_err(), "{length}");
        let need = VscMessage::decode_device(&mut BytesMut::from(&body[..]));
        assert_eq!(need, Ok(Progress::Need(VSC_HEADER_BYTES - length)));
    }
}
