//! What the tests share.

use bytes::{Bytes, BytesMut};
use caraway_protocol::header::{Frame, FrameDecoder, FrameEncoder, HeaderKind, Limits};
use caraway_protocol::{Message, Progress, Result};

/// The bytes of a hex dump.
pub(crate) fn bytes_of(dump: &str) -> Vec<u8> {
    let digits: Vec<u32> = dump.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

/// Takes the one message `wire` holds, and checks that nothing is left over.
pub(crate) fn frame(kind: HeaderKind, limits: Limits, wire: &[u8]) -> Frame {
    let mut buffer = BytesMut::from(wire);
    match FrameDecoder::new(kind, limits).decode(&mut buffer).unwrap() {
        Progress::Done(frame) => {
            assert!(buffer.is_empty(), "{} bytes are left over", buffer.len());
            frame
        }
        Progress::Need(bytes) => panic!("{bytes} bytes are missing"),
    }
}

/// `message` through encoder and decoder.
pub(crate) fn through_the_wire<M: Message>(message: &M, kind: HeaderKind) -> Result<M> {
    let mut wire = Vec::new();
    FrameEncoder::new(kind).encode_into(message, &mut wire)?;
    let encoded = FrameEncoder::new(kind).encode(message)?;
    assert_eq!(encoded.to_bytes(), wire, "segments and single buffer differ");
    assert_eq!(encoded.len(), wire.len());
    assert!(encoded.segments().all(|segment| !segment.is_empty()));
    let frame = frame(kind, Limits::FromServer, &wire);
    assert_eq!((frame.id, frame.serial), (message.id(), 1));
    assert_eq!(frame.body, message.to_body()?);
    frame.message()
}

/// Every prefix of `body` must decode to something or to an error.
pub(crate) fn decode_prefixes<M: Message>(id: u16, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for length in 0..body.len() {
        let _ = M::decode(id, &body.slice(..length));
    }
}
