//! What was written is read again.

use std::{fs::File, io::Read as _, path::Path};

use caraway_ports::display::DisplayCommand;
use proptest::prelude::*;

use crate::{Limits, Player, TraceReader, TraceWriter, emit, strategies};

/// The commands of a recording.
fn replayed(file: &[u8]) -> Vec<DisplayCommand> {
    let mut player = Player::new();
    let mut reader = TraceReader::new(file, Limits::default()).unwrap();
    let mut commands = Vec::new();
    for event in &mut reader {
        commands.extend(player.translate(event.unwrap().what));
    }
    assert!(!reader.is_cut());
    assert_eq!((player.dropped(), player.last_dropped()), (0, None));
    commands
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn commands_that_were_written_are_replayed_as_they_were(last in strategies::command(), time in any::<u64>()) {
        let mut expected = strategies::surfaces().to_vec();
        if let DisplayCommand::CreateSurface(spec) = &last && spec.id == 0 {
            // A screen that is there goes first.
            expected.push(DisplayCommand::DestroySurface(0));
        }
        expected.push(last);
        let mut writer = TraceWriter::new(Vec::new()).unwrap();
        for command in &expected {
            prop_assert!(writer.write(time, command).unwrap());
        }
        let seen = replayed(&writer.into_inner());
        // Commands have no equality of their own; this text has every field.
        prop_assert_eq!(format!("{seen:?}"), format!("{expected:?}"));
    }
}

#[test]
fn a_new_screen_replaces_the_old_one() {
    let [screen, _] = strategies::surfaces();
    let mut writer = TraceWriter::new(Vec::new()).unwrap();
    writer.write(1, &screen).unwrap();
    writer.write(2, &screen).unwrap();
    let seen = replayed(&writer.into_inner());
    assert!(
        matches!(
            seen.as_slice(),
            [
                DisplayCommand::CreateSurface(_),
                DisplayCommand::DestroySurface(0),
                DisplayCommand::CreateSurface(_)
            ]
        ),
        "{seen:?}"
    );
}

#[test]
fn what_the_format_cannot_say_is_not_written() {
    let mut writer = TraceWriter::new(Vec::new()).unwrap();
    let monitors = DisplayCommand::Monitors {
        heads: Vec::new(),
        max: 1,
    };
    assert!(!writer.write(0, &monitors).unwrap());
    assert_eq!(writer.into_inner(), b"SPICE_REPLAY 1\n");
}

/// Recordings of another program, written again, are the same bytes; chunks are put together, so only recordings
/// without lists of several are compared.
#[test]
fn a_recording_of_another_program_is_written_again_byte_for_byte() {
    for name in ["console", "gtk-ums", "cursor-kms"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/traces/{name}.rec.zst"));
        let mut original = Vec::new();
        crate::open(&path).unwrap().read_to_end(&mut original).unwrap();
        let mut written = b"SPICE_REPLAY 1\n".to_vec();
        for event in TraceReader::new(original.as_slice(), Limits::default()).unwrap() {
            emit::event(&mut written, &event.unwrap()).unwrap();
        }
        assert!(written == original, "{name}");
        assert!(File::open(path).unwrap().metadata().unwrap().len() < original.len() as u64);
    }
}
