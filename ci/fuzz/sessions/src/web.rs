//! The client's side of a WebSocket.

use bytes::BytesMut;

/// The request it begins with, as browsers send it.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: vm.example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: binary\r\n\r\n";

/// With zeros the content of a frame is what it says.
const MASK: [u8; 4] = [0; 4];

/// Takes apart what the server sends.
#[derive(Debug, Default)]
pub(crate) struct Web {
    /// What was read and is not a whole frame.
    raw: Vec<u8>,
    /// The answer to the request has come.
    is_open: bool,
}

impl Web {
    /// A masked frame whose first byte and length are whatever they are.
    pub(crate) fn frame(first: u8, length: u64, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..126), _) => frame.push(0x80 | short),
            (_, Ok(middle)) => {
                frame.push(0x80 | 126);
                frame.extend(middle.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(content);
        frame
    }

    /// Takes bytes of the server; what is in its binary frames goes `into` the rest of it.
    pub(crate) fn unwrap(&mut self, bytes: &[u8], into: &mut BytesMut) {
        self.raw.extend(bytes);
        if !self.is_open {
            let Some(end) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") else {
                return;
            };
            self.is_open = self.raw.starts_with(b"HTTP/1.1 101 ");
            self.raw.drain(..end + 4);
            if !self.is_open {
                // What it says about its refusal.
                return;
            }
        }
        while let Some((first, header, length)) = self.header() {
            let Some(content) = self.raw.get(header..header + length) else {
                return;
            };
            match first {
                0x82 => into.extend_from_slice(content),
                // Close, and the answer to a ping.
                0x88 | 0x8a => assert!(length < 126, "a control frame of {length} bytes"),
                other => panic!("a frame of the server that begins with {other:#x}"),
            }
            self.raw.drain(..header + length);
        }
    }

    /// The first byte of a frame, the bytes of its header and those of its content.
    fn header(&self) -> Option<(u8, usize, usize)> {
        let (first, short) = (*self.raw.first()?, *self.raw.get(1)?);
        assert!(short < 0x80, "servers do not mask");
        Some(match short {
            126 => {
                let length = u16::from_be_bytes(*self.raw.get(2..)?.first_chunk()?);
                (first, 4, usize::from(length))
            }
            127 => {
                let length = u64::from_be_bytes(*self.raw.get(2..)?.first_chunk()?);
                (first, 10, usize::try_from(length).expect("it is within reason"))
            }
            _ => (first, 2, usize::from(short)),
        })
    }
}
