//! Drivers: commands of every kind, revisions and modes.

use super::*;

/// Surfaces, cursors, messages, updates.
pub(super) fn commands() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, operations: Vec<Op>| seeds.push((name.to_owned(), with_primary(0, operations)));
    for format in 0..6 {
        let id = u16::from(format) + 1;
        add(
            &format!("surface-{format}"),
            vec![
                Op::Surface(surface(id, format, 4 * (format % 2))),
                Op::Draw(Draw { surface: id, ..draw(1) }),
                Op::Image(Image {
                    kind: 2,
                    surface: id,
                    ..image(8)
                }),
                Op::Draw(Draw {
                    image: 1,
                    reads: id as u8 + 1,
                    ..draw(3)
                }),
                Op::UpdateCommand(UpdateCommand {
                    surface: id,
                    area: [0, 0, 32, 32],
                    id: 7,
                    ..UpdateCommand::default()
                }),
                Op::Save(Save::default()),
                Op::Surface(surface(id, format, 2)),
            ],
        );
    }
    add(
        "surfaces-by-port",
        vec![
            Op::Surface(surface(1, 0, 0)),
            Op::Surface(surface(2, 0, 0)),
            port(14, 1),
            port(20, 2),
            port(21, 0),
            port(13, 0),
            port(15, 0),
        ],
    );
    for kind in 0..7 {
        add(
            &format!("cursor-{kind}"),
            vec![
                Op::Shape(Shape {
                    kind,
                    width: 17,
                    height: 9,
                    hot: [3, 99],
                    unique: kind,
                    split: 64 * u16::from(kind % 2),
                    ..Shape::default()
                }),
                Op::Cursor(Cursor {
                    shape: 1,
                    visible: 1,
                    ..Cursor::default()
                }),
                Op::Cursor(Cursor {
                    kind: 1,
                    position: [30, 40],
                    ..Cursor::default()
                }),
                Op::Cursor(Cursor {
                    kind: 3,
                    position: [5, 6],
                    ..Cursor::default()
                }),
                Op::Save(Save::default()),
                Op::Cursor(Cursor {
                    kind: 2,
                    ..Cursor::default()
                }),
            ],
        );
    }
    add(
        "messages",
        vec![
            Op::Message(Message {
                text: b"hello\x1b[31m\n".to_vec(),
            }),
            Op::RawHeader(RawHeader {
                field: 0x0c,
                value: u32::from_le_bytes(*b"text"),
            }),
            port(7, 0),
            Op::Refresh(Value { value: 500 }),
            port(7, 0),
        ],
    );
    add("many-messages", (0..14).map(|_| port(7, 0)).collect());
    add(
        "full-rings",
        (0..40)
            .map(|_| Op::Draw(Draw { how: 1, ..draw(1) }))
            .chain([port(0, 0), Op::Collect(Nothing {})])
            .collect(),
    );
    add(
        "monitors",
        vec![Op::Monitors(Monitors {
            heads: vec![
                Head {
                    area: [0, 0, 32, 48],
                    ..Head::default()
                },
                Head {
                    id: 1,
                    surface: 0,
                    area: [32, 0, 400, 48],
                },
            ],
            max: 4,
            ..Monitors::default()
        })],
    );
    add(
        "audience",
        vec![
            Op::Mask(Value { value: 0x3f }),
            Op::View(small(0x47)),
            Op::Audience(Audience {
                how: 3,
                capabilities: vec![0xff, 1],
            }),
            Op::Wish(Wish {
                heads: vec![[0, 0, 800, 600], [800, 0, 640, 480]],
            }),
            Op::Interrupt(Nothing {}),
            Op::Draw(draw(1)),
            Op::View(small(0)),
        ],
    );
    seeds
}

/// Drivers and modes of every revision.
pub(super) fn drivers() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (shape, revision) in [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1)] {
        for secondary in [0, 8] {
            let mut operations = vec![
                port(5, 0),
                Op::Mask(Value { value: 0x27 }),
                Op::Slot(Slot {
                    how: 1,
                    id: 3,
                    ..Slot::default()
                }),
                Op::BringUp(small(1 | 0x1c)),
                Op::Draw(draw(1)),
                Op::Doorbell(small(0)),
                Op::Update(Update {
                    how: 1,
                    area: [0, 0, 16, 16],
                    ..Update::default()
                }),
                Op::Interrupt(Nothing {}),
                Op::MachineReset(Nothing {}),
                Op::BringUp(small(2)),
                Op::Primary(Primary {
                    width: 40,
                    height: 30,
                    ..Primary::default()
                }),
                Op::Draw(draw(7)),
                port(19, 0),
                port(22, 0),
            ];
            operations.extend(ending());
            let name = format!("probe-{revision}-{secondary}");
            seeds.push((name, program(shape | secondary, &operations)));
        }
        for mode in [0, 1, 3] {
            let mut operations = vec![
                port(5, 0),
                Op::SetMode(small(mode)),
                Op::Draw(draw(1)),
                Op::Palette(Palette {
                    count: 16,
                    ..Palette::default()
                }),
                Op::Image(Image { palette: 1, ..image(3) }),
                Op::Draw(Draw { image: 1, ..draw(3) }),
                Op::Draw(Draw {
                    how: 2,
                    scale: 99,
                    ..draw(13)
                }),
            ];
            operations.extend(ending());
            operations.push(Op::Register(Register {
                set: 0,
                index: 1,
                value: 0,
            }));
            operations.push(Op::Refresh(Value { value: 0 }));
            seeds.push((format!("mode-{mode}-{revision}"), program(shape, &operations)));
        }
    }
    seeds
}
