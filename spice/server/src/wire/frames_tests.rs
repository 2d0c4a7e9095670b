use super::*;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const MASK: [u8; 4] = [0xa1, 0x02, 0x73, 0xc4];
const MASKED: u8 = 0x80;

/// A frame of a client, with this first byte.
pub(crate) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | short as u8),
        middle @ 126..=0xffff => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Only the header of a frame of a client.
fn header(first: u8, length: &[u8]) -> Vec<u8> {
    let (code, more) = length.split_first().unwrap();
    [&[first, MASKED | code], more, &MASK].concat()
}

/// What a decoder makes of bytes: data, and what else has come.
fn decode(bytes: &[u8], room: usize) -> Result<(Vec<u8>, Vec<Event>), Violation> {
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::from(bytes));
    let (mut data, mut others) = (Vec::new(), Vec::new());
    loop {
        let mut space = vec![0; room];
        let mut out = ReadBuf::new(&mut space);
        match decoder.next(&mut input, &mut out)? {
            None => return Ok((data, others)),
            Some(Event::Data) => {
                assert!(!out.filled().is_empty());
                data.extend_from_slice(out.filled());
            }
            Some(other) => others.push(other),
        }
    }
}

fn violation(bytes: &[u8]) -> Violation {
    decode(bytes, 64).expect_err("refused")
}

#[test]
fn binary_and_text_are_data_whole_or_in_fragments_with_pings_between() {
    let ping = client_frame(FIN | PING, b"?");
    for kind in [BINARY, TEXT] {
        let frames = [
            client_frame(FIN | kind, b"one "),
            client_frame(kind, b"tw"),
            ping.clone(),
            client_frame(CONTINUATION, b""),
            client_frame(CONTINUATION, b"o"),
            client_frame(FIN | CONTINUATION, b" three"),
            client_frame(FIN | PONG, b"nobody asked"),
            client_frame(FIN | kind, b""),
        ];
        for room in [1, 3, 64] {
            let (data, others) = decode(&frames.concat(), room).unwrap();
            assert_eq!(data, b"one two three");
            assert_eq!(others, [Event::Ping(BytesMut::from(&b"?"[..]))]);
        }
    }
}

#[test]
fn lengths_of_all_three_kinds_are_read() {
    for length in [0, 1, 125, 126, 127, 65535, 65536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
        let (data, _) = decode(&client_frame(FIN | BINARY, &payload), 1000).unwrap();
        assert!(data == payload, "{length}");
    }
}

#[test]
fn a_frame_of_the_greatest_length_is_handed_on_as_it_comes_and_takes_no_memory() {
    let mut bytes = header(FIN | BINARY, &[127, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    bytes.extend_from_slice(&MASK);
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::from(&bytes[..]));
    let mut space = [1; 64];
    for count in [4, 3000] {
        let mut out = ReadBuf::new(&mut space);
        assert_eq!(decoder.next(&mut input, &mut out), Ok(Some(Event::Data)));
        assert_eq!(out.filled().len(), count.min(64));
        while decoder
            .next(&mut input, &mut ReadBuf::new(&mut [0; 64]))
            .unwrap()
            .is_some()
        {}
        assert!(input.is_empty());
        input.extend_from_slice(&[0; 3000]);
    }
    let frame = decoder.frame.as_ref().unwrap();
    assert!(matches!(frame.kind, Kind::Data) && frame.left == (1 << 63) - 1 - 4 - 3000);
}

#[test]
fn a_length_with_its_first_bit_set_is_refused() {
    let huge = header(FIN | BINARY, &[127, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(violation(&huge), Violation::Length);
}

#[test]
fn a_length_that_could_be_written_more_briefly_is_refused() {
    assert_eq!(violation(&header(FIN | BINARY, &[126, 0, 125])), Violation::Length);
    let long = header(FIN | BINARY, &[127, 0, 0, 0, 0, 0, 0, 255, 255]);
    assert_eq!(violation(&long), Violation::Length);
}

#[test]
fn a_frame_without_mask_is_refused() {
    assert_eq!(violation(&[FIN | BINARY, 1, b'x']), Violation::Unmasked);
    assert_eq!(violation(&[FIN | PING, 0]), Violation::Unmasked);
}

#[test]
fn reserved_bits_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(
            violation(&client_frame(FIN | bit | BINARY, b"x")),
            Violation::ReservedBit
        );
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in (3..=7).chain(11..=15) {
        assert_eq!(
            violation(&client_frame(FIN | opcode, b"")),
            Violation::ReservedOpcode,
            "{opcode}"
        );
    }
}

#[test]
fn a_control_frame_in_fragments_is_refused() {
    for kind in [PING, PONG, CLOSE] {
        assert_eq!(violation(&client_frame(kind, b"")), Violation::FragmentedControl);
    }
}

#[test]
fn a_control_frame_of_more_than_125_bytes_is_refused_before_it_has_come() {
    for kind in [PING, PONG, CLOSE] {
        assert_eq!(violation(&header(FIN | kind, &[126, 0, 126])), Violation::LongControl);
        let long = header(FIN | kind, &[127, 0x7f, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(violation(&long), Violation::LongControl);
    }
    let ping = client_frame(FIN | PING, &[7; MAX_CONTROL]);
    assert_eq!(
        decode(&ping, 1).unwrap().1,
        [Event::Ping(BytesMut::from(&[7; MAX_CONTROL][..]))]
    );
}

#[test]
fn a_continuation_of_nothing_is_refused() {
    assert_eq!(
        violation(&client_frame(FIN | CONTINUATION, b"")),
        Violation::NothingToContinue
    );
    let after = [client_frame(FIN | BINARY, b"x"), client_frame(CONTINUATION, b"y")].concat();
    assert_eq!(violation(&after), Violation::NothingToContinue);
}

#[test]
fn a_message_inside_another_is_refused() {
    for kind in [BINARY, TEXT] {
        let inside = [client_frame(BINARY, b"x"), client_frame(FIN | kind, b"y")].concat();
        assert_eq!(violation(&inside), Violation::Interrupted);
    }
}

#[test]
fn a_close_frame_has_no_code_or_a_proper_one() {
    let close = |payload: &[u8]| decode(&client_frame(FIN | CLOSE, payload), 1).map(|(_, others)| others);
    assert_eq!(close(b""), Ok(vec![Event::Close(None)]));
    for code in [1000, 1001, 1003, 1007, 1011, 3000, 4999] {
        let payload = [&u16::to_be_bytes(code), &b"bye"[..]].concat();
        assert_eq!(close(&payload), Ok(vec![Event::Close(Some(code))]));
    }
    assert_eq!(close(&[3]), Err(Violation::CloseCode));
    for code in [0, 999, 1004, 1005, 1006, 1012, 1015, 2999, 5000, 65535] {
        assert_eq!(close(&u16::to_be_bytes(code)), Err(Violation::CloseCode), "{code}");
    }
}

#[test]
fn the_server_s_frames_are_whole_and_not_masked() {
    let framed = |payload: &[u8]| {
        let mut out = BytesMut::new();
        data([payload].into_iter(), &mut out);
        out.to_vec()
    };
    assert_eq!(framed(b"abc"), b"\x82\x03abc");
    assert_eq!(framed(&[7; 125])[..3], [0x82, 125, 7]);
    assert_eq!(framed(&[7; 126])[..5], [0x82, 126, 0, 126, 7]);
    assert_eq!(framed(&[7; 0xffff])[..5], [0x82, 126, 255, 255, 7]);
    assert_eq!(framed(&[7; 0x1_0000])[..11], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, 7]);
    let mut out = BytesMut::new();
    pong(b"hi", &mut out);
    close(Some(1002), &mut out);
    close(None, &mut out);
    assert_eq!(out, &b"\x8a\x02hi\x88\x02\x03\xea\x88\x00"[..]);
}
