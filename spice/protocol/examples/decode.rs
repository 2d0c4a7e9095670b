//! Prints the messages in captured bytes: `decode CHANNEL DIRECTION HEX`, with CHANNEL one of main, display, inputs,
//! cursor, port, usbredir, webdav, smartcard and DIRECTION server or client. The bytes start behind the link stage and
//! have mini headers. Without arguments it prints the first messages a display channel may see.

use std::error::Error;
use std::fmt::Debug;
use std::io::Write;

use bytes::BytesMut;
use caraway_protocol::header::{Frame, FrameDecoder, HeaderKind, Limits};
use caraway_protocol::{Message, Progress, cursor, display, inputs, main_channel, smartcard, spicevmc};

/// SET_ACK, SURFACE_CREATE of 640 x 480, DRAW_FILL of all of it.
const CAPTURE: &str = "
    03 00 08 00 00 00 01 00 00 00 14 00 00 00
    3a 01 14 00 00 00 00 00 00 00 80 02 00 00 e0 01 00 00 20 00 00 00 01 00 00 00
    2e 01 29 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 e0 01 00 00 80 02 00 00
    00 01 99 66 33 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (channel, direction, hex) = match &arguments[..] {
        [] => ("display", "server", CAPTURE),
        [channel, direction, hex] => (channel.as_str(), direction.as_str(), hex.as_str()),
        _ => {
            return Err(
                "usage: decode main|display|inputs|cursor|port|usbredir|webdav|smartcard server|client HEX".into(),
            );
        }
    };
    let show = match (channel, direction) {
        ("main", "server") => show::<main_channel::ServerMessage>,
        ("main", "client") => show::<main_channel::ClientMessage>,
        ("display", "server") => show::<display::ServerMessage>,
        ("display", "client") => show::<display::ClientMessage>,
        ("inputs", "server") => show::<inputs::ServerMessage>,
        ("inputs", "client") => show::<inputs::ClientMessage>,
        ("cursor", "server") => show::<cursor::ServerMessage>,
        ("cursor", "client") => show::<cursor::ClientMessage>,
        ("port" | "usbredir" | "webdav", "server") => show::<spicevmc::ServerMessage>,
        ("port" | "usbredir" | "webdav", "client") => show::<spicevmc::ClientMessage>,
        ("smartcard", "server") => show::<smartcard::ServerMessage>,
        ("smartcard", "client") => show::<smartcard::ClientMessage>,
        _ => return Err(format!("no channel {channel} with a direction {direction}").into()),
    };
    let mut buffer = BytesMut::from(&bytes_of(hex)?[..]);
    let mut decoder = FrameDecoder::new(HeaderKind::Mini, Limits::FromServer);
    while !buffer.is_empty() {
        match decoder.decode(&mut buffer)? {
            Progress::Done(frame) => writeln!(std::io::stdout(), "{}", show(&frame))?,
            Progress::Need(bytes) => return Err(format!("the capture ends {bytes} bytes early").into()),
        }
    }
    Ok(())
}

fn show<M: Message + Debug>(frame: &Frame) -> String {
    match frame.message::<M>() {
        Ok(message) => format!("{:>3} {}: {message:#?}", frame.serial, message.name()),
        Err(error) => format!("{:>3} id {}: {error}", frame.serial, frame.id),
    }
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return Err("an odd number of hex digits".into());
    }
    let pair = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.chunks(2).map(pair).collect()
}
