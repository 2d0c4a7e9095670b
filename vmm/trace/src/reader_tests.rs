//! The file format.

use std::io::Write as _;

use bytes::Bytes;

use crate::{
    Limits, TraceReader,
    open::decompress,
    record::{Command, Event, Request, What},
};

const HEADER: &str = "SPICE_REPLAY 1\n";

/// All records, or the error; and whether the file was cut.
fn read(body: impl AsRef<[u8]>) -> (Result<Vec<Event>, String>, bool) {
    read_within(body, Limits::default())
}

fn read_within(body: impl AsRef<[u8]>, limits: Limits) -> (Result<Vec<Event>, String>, bool) {
    let file = [HEADER.as_bytes(), body.as_ref()].concat();
    let mut reader = TraceReader::new(file.as_slice(), limits).unwrap();
    let events = reader.by_ref().collect::<Result<_, _>>();
    (events.map_err(|error| error.to_string()), reader.is_cut())
}

#[track_caller]
fn error(body: impl AsRef<[u8]>) -> String {
    read(body).0.unwrap_err()
}

fn message(events: &[Event]) -> &Bytes {
    match events {
        [
            Event {
                what: What::Command(Command::Message(text)),
                ..
            },
        ] => text,
        other => panic!("{other:?}"),
    }
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A message command whose block is compressed, with sizes as told.
fn compressed(size: usize, packed: &[u8]) -> Vec<u8> {
    let head = format!("event 0 0 4 9\nbinary 1 message {size}:{}:", packed.len());
    [head.as_bytes(), packed, b"\n"].concat()
}

#[test]
fn another_file_is_no_recording() {
    for other in [
        "",
        "SPICE_REPLAY 2\nevent 0 1 2 3\n",
        "SPICE_REPLAY 1",
        "\u{1b}[2J\n",
        &"x".repeat(5000),
    ] {
        let error = TraceReader::new(other.as_bytes(), Limits::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("line 1, byte 0: not a QXL recording: the first line is \""),
            "{error}"
        );
        assert!(!error.contains('\u{1b}') && error.len() < 200, "{error}");
    }
}

#[test]
fn errors_name_place_field_and_value() {
    for (body, expected) in [
        ("event 0 1 2 x\n", "line 2, byte 15: event time = x"),
        ("event 0 2 2 7\n", "line 2, byte 15: event kind = 2"),
        ("event 0 0 6 7\n", "line 2, byte 15: event type = 6"),
        ("event 0 1 2 7\nevent 0 1 2 7\n", "line 3, byte 29: event counter = 0"),
        (
            "event 0 1 2\n",
            "line 2, byte 15: \"event\" expected, found \"event 0 1 2\"",
        ),
        (
            "event  0 1 2 7\n",
            "line 2, byte 15: \"event\" expected, found \"event  0 1 2 7\"",
        ),
        ("event 0 1 2 +7\n", "line 2, byte 15: event time = +7"),
        (
            "event 0 0 3 7\ncursor\n",
            "line 3, byte 29: \"cursor_cmd\" expected, found \"cursor\"",
        ),
        (
            "event 0 0 3 7\ncursor_cmd\ntype 1\npoint16 1 40000\n",
            "line 5, byte 47: point16 = 40000",
        ),
        (
            "event 0 0 5 7\nsurface_cmd\nsurface_id 4294967296\n",
            "line 4, byte 41: surface_id = 4294967296",
        ),
        (
            "event 0 0 1 7\ndrawable\nrect bbox 0 0 1 1\ntype 0\neffect 1\nmm_time 1\nbitmap_offset 0\n",
            "line 8, byte 82: drawables of very old drivers (bitmap_offset) are not supported",
        ),
        (
            "event 0 0 4 7\nmessage\nand more\n",
            "line 3, byte 29: \"binary\" expected, found \"message\"",
        ),
        (
            "event 0 0 4 7\nbinary 0 text 3:abc\n",
            "line 3, byte 29: \"binary 0 message\" expected, found \"binary 0 text 3\"",
        ),
        (
            "event 0 0 4 7\nbinary 0 message 3:abcd\n",
            "line 3, byte 29: \"an end of line after the block\" expected, found \"d\"",
        ),
    ] {
        assert_eq!(error(body), expected);
    }
    let long = error("x".repeat(257));
    assert_eq!(long, "line 2, byte 15: a line of more than 256 bytes");
}

#[test]
fn the_end_in_a_record_is_told_and_what_came_before_counts() {
    let whole = "event 0 1 2 7\nevent 1 0 4 8\nbinary 0 message 3:abc\n";
    assert_eq!(read(whole), (read(whole).0, false));
    for cut in 1..whole.len() {
        let (events, told) = read(&whole[..cut]);
        let expected = usize::from(cut >= 14);
        assert_eq!(events.unwrap().len(), expected, "{cut}");
        assert_eq!(told, cut != 14, "{cut}");
    }
}

#[test]
fn a_screen_that_was_refused_has_no_body() {
    let (events, cut) = read("event 0 1 20 7\nevent 1 1 29 8\n");
    let expected = |number| What::Request(Request { number, primary: None });
    let whats: Vec<What> = events.unwrap().into_iter().map(|event| event.what).collect();
    assert_eq!((whats, cut), (vec![expected(20), expected(29)], false));
}

#[test]
fn blocks_may_be_compressed_each() {
    let packed = zlib(&[7; 1000]);
    let (events, _) = read(compressed(1000, &packed));
    assert_eq!(message(&events.unwrap()), &vec![7; 1000]);
    let trailing = [packed.as_slice(), b"x"].concat();
    let broken = &packed[..packed.len() - 1];
    for wrong in [
        compressed(999, &packed),
        compressed(1001, &packed),
        compressed(1000, &trailing),
    ] {
        assert!(
            error(&wrong).contains("binary message: the zlib stream does not give"),
            "{}",
            error(&wrong)
        );
    }
    assert!(error(compressed(1000, broken)).contains("the zlib stream does not give 1000 bytes"));
}

#[test]
fn more_than_the_limits_is_refused_before_it_is_read() {
    let limits = Limits {
        block: 100,
        record: 150,
        file: 1000,
    };
    let block = |size: u32| format!("event 0 0 4 7\nbinary 0 message {size}:");
    let told = |body: String| read_within(body, limits).0.unwrap_err();
    assert_eq!(
        told(block(101)),
        "line 3, byte 29: block of 101 bytes, at most 100 are read"
    );
    assert_eq!(
        told(block(u32::MAX)),
        "line 3, byte 29: block of 4294967295 bytes, at most 100 are read"
    );
    let chunks = |more: u32| {
        format!(
            "event 0 0 3 7\ncursor_cmd\ntype 0\npoint16 1 1\nu.set.visible 1\nheader.unique 0\n\
         header.type 0\nheader.width 1\nheader.height 1\nheader.hot_spot_x 0\nheader.hot_spot_y 0\ndata_size 4\n\
         data_chunks {more} 4\n"
        )
    };
    assert!(
        told(chunks(0)).contains("record of 151 bytes, at most 150 are read"),
        "{}",
        told(chunks(0))
    );
    // Empty chunks without end are a record that is too long.
    let endless = chunks(u32::MAX) + &"binary 0 cursor 0:\n".repeat(100);
    let within = Limits {
        record: 1000,
        file: 5000,
        ..limits
    };
    assert!(
        read_within(endless, within)
            .0
            .unwrap_err()
            .contains("record of 1001 bytes")
    );
    let long: String = (0..100).map(|number| format!("event {number} 1 2 7\n")).collect();
    assert!(told(long).contains("file of 1"), "a long file");
    // What a compressed block comes to counts, too.
    let bomb = compressed(99, &zlib(&[0; 99]));
    assert!(
        read_within(bomb, Limits { record: 120, ..limits })
            .0
            .unwrap_err()
            .contains("at most 120")
    );
}

#[test]
fn chunks_have_to_come_to_their_total() {
    let cursor = |chunks: &str| {
        error(format!(
            "event 0 0 3 7\ncursor_cmd\ntype 0\npoint16 1 1\nu.set.visible 1\nheader.unique 0\nheader.type 0\n\
             header.width 1\nheader.height 1\nheader.hot_spot_x 0\nheader.hot_spot_y 0\ndata_size 4\n{chunks}"
        ))
    };
    assert!(cursor("data_chunks 0 4\nbinary 0 cursor 3:abc\n").ends_with("data_chunks total = 4"));
    assert!(
        cursor("data_chunks 1 4\nbinary 0 cursor 3:abc\nbinary 0 cursor 2:ab\n").ends_with("data_chunks total = 4")
    );
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let file = [
        HEADER.as_bytes(),
        b"event 0 1 2 7\n",
        b"event 1 0 4 8\nbinary 0 message 3:abc\n",
    ]
    .concat();
    let packed = zstd::encode_all(file.as_slice(), 3).unwrap();
    let read = |bytes: &[u8]| {
        let input = decompress(std::io::Cursor::new(bytes.to_vec())).unwrap();
        let mut reader = TraceReader::new(input, Limits::default())?;
        let events: Vec<Event> = reader.by_ref().collect::<Result<_, _>>()?;
        Ok::<_, crate::TraceError>((events.len(), reader.is_cut()))
    };
    assert_eq!(read(&file).unwrap(), (2, false));
    assert_eq!(read(&packed).unwrap(), (2, false));
    for cut in 4..packed.len() - 4 {
        // Never a panic; what was not decompressed is not there.
        read(&packed[..cut]).ok();
    }
    let mut broken = packed.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    assert!(read(&broken).is_err() || read(&broken).is_ok_and(|(events, _)| events < 2));
}
