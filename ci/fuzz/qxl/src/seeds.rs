//! Programs a corpus starts from: what drivers, firmware and a few well-known attackers do.

use crate::{
    program::{
        Access, Audience, BarMove, Brush, Config, Cursor, Data, Dispi, Draw, Fill, Glyph, Head, Image, Mask, Message,
        Monitors, Nothing, Op, Palette, Patch, Path, PortWrite, Primary, Push, RawHeader, RawMemory, Rects, Register,
        RingIndex, Save, Segment, Shape, Slot, Small, Surface, Text, Update, UpdateCommand, Value, WindowAccess, Wish,
        Words,
    },
    wire::Wire as _,
};

fn program(shape: u8, operations: &[Op]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Config { shape, heads: 15 }.write(&mut bytes);
    operations.iter().for_each(|op| op.write(&mut bytes));
    bytes
}

fn small(value: u8) -> Small {
    Small { value }
}

fn port(port: u8, value: u8) -> Op {
    Op::Port(PortWrite { port, value })
}

fn solid(colour: u32) -> Brush {
    Brush {
        kind: 1,
        colour,
        ..Brush::default()
    }
}

fn patch(at: u8, width: u8, value: u64) -> Patch {
    Patch {
        at: at + 1,
        width: width - 1,
        value,
    }
}

/// A drawable on the left upper corner of the primary surface.
fn draw(kind: u8) -> Draw {
    Draw {
        kind,
        bbox: [0, 0, 16, 16],
        area: [0, 0, 16, 16],
        brush: solid(0x00ff_8040),
        rop: 8,
        scale: 1,
        ..Draw::default()
    }
}

fn image(format: u8) -> Image {
    Image {
        width: 16,
        height: 16,
        format,
        bitmap_flags: 4,
        ..Image::default()
    }
}

fn surface(id: u16, format: u8, how: u8) -> Surface {
    Surface {
        how,
        id,
        format,
        width: 32,
        height: 32,
        place: 8192 * u32::from(id),
        ..Surface::default()
    }
}

/// Ends most programs: an update, a driver's interrupt, a save.
fn ending() -> Vec<Op> {
    vec![
        Op::Update(Update {
            area: [0, 0, 48, 64],
            ..Update::default()
        }),
        Op::Interrupt(Nothing {}),
        Op::Save(Save::default()),
        port(23, 0),
        Op::Collect(Nothing {}),
    ]
}

fn with_primary(shape: u8, operations: Vec<Op>) -> Vec<u8> {
    let mut all = vec![Op::BringUp(small(0x1c))];
    all.extend(operations);
    all.extend(ending());
    program(shape, &all)
}

/// Every kind of drawable with every kind of source.
fn drawing() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, operations: Vec<Op>| seeds.push((name.to_owned(), with_primary(0, operations)));
    for kind in [1, 6, 7, 8] {
        add(&format!("draw-{kind}"), vec![Op::Draw(draw(kind))]);
    }
    for format in 1..=9 {
        let mut operations = vec![Op::Palette(Palette {
            count: 256,
            seed: 3,
            ..Palette::default()
        })];
        operations.push(Op::Image(Image {
            palette: 1,
            padding: i16::from(format % 3),
            bitmap_flags: 4 * (format % 2) | 0x10 * (format % 5),
            ..image(format)
        }));
        for kind in [2, 3, 5, 9, 12, 13] {
            operations.push(Op::Draw(Draw { image: 1, ..draw(kind) }));
            // Commands are objects too, so what they use moves back.
            operations.push(Op::Image(Image {
                palette: 0xbf,
                ..image(8)
            }));
        }
        add(&format!("image-{format}"), operations);
    }
    add(
        "scaled",
        vec![
            Op::Image(image(8)),
            Op::Draw(Draw {
                image: 1,
                bbox: [2, 3, 40, 60],
                area: [1, 2, 9, 11],
                scale: 0,
                ..draw(3)
            }),
        ],
    );
    let masked = |kind, flags| {
        vec![
            Op::Image(image(2)),
            Op::Draw(Draw {
                mask: Mask {
                    flags,
                    position: [0, 0],
                    image: 1,
                },
                ..draw(kind)
            }),
        ]
    };
    for (kind, flags) in [(1, 0), (6, 1), (7, 0), (8, 1)] {
        add(&format!("mask-{kind}"), masked(kind, flags));
    }
    add(
        "pattern",
        vec![
            Op::Image(image(8)),
            Op::Draw(Draw {
                brush: Brush {
                    kind: 2,
                    image: 1,
                    position: [3, 4],
                    ..Brush::default()
                },
                rop: 0x40,
                ..draw(1)
            }),
        ],
    );
    add(
        "copy-bits",
        vec![
            Op::Draw(draw(1)),
            Op::Draw(Draw {
                area: [4, 4, 0, 0],
                ..draw(4)
            }),
        ],
    );
    add(
        "clipped",
        vec![
            Op::Clip(Rects {
                rects: vec![[0, 0, 4, 4], [8, 8, 12, 20], [5, 5, 5, 9]],
                split: 16,
                ..Rects::default()
            }),
            Op::Draw(Draw { clip: 1, ..draw(1) }),
        ],
    );
    for (name, flags) in [("stroke", 0), ("stroke-styled", 8), ("stroke-gap", 12)] {
        add(
            name,
            vec![
                Op::Words(Words { words: vec![48, 32] }),
                Op::Path(Path {
                    segments: vec![
                        Segment {
                            flags: 1 | 2,
                            points: vec![[2, 2], [20, 22], [24, 4]],
                        },
                        Segment {
                            flags: 1 | 8 | 0x10,
                            points: vec![[0, 0], [9, 30], [30, 9]],
                        },
                    ],
                    ..Path::default()
                }),
                Op::Draw(Draw {
                    scale: flags,
                    extra: [1, 2, 0, 0],
                    word: 8 << 16 | 2,
                    ..draw(10)
                }),
            ],
        );
    }
    for flags in [1, 2, 4, 9, 12] {
        let glyph = Glyph {
            position: [4, 12, 0, -8],
            width: 7,
            height: 9,
        };
        add(
            &format!("text-{flags}"),
            vec![
                Op::Text(Text {
                    glyphs: vec![glyph.clone(), glyph],
                    flags,
                    seed: 77,
                    ..Text::default()
                }),
                Op::Draw(Draw {
                    extra: [1, 1, 0, 0],
                    word: 8,
                    ..draw(11)
                }),
            ],
        );
    }
    add(
        "composite",
        vec![
            Op::Words(Words {
                words: vec![0x8000, 0, 0, 0, 0x8000, 0],
            }),
            Op::Image(image(8)),
            Op::Image(image(9)),
            Op::Draw(Draw {
                image: 1,
                extra: [3, 2, 0, 0],
                word: 3 | 1 << 8 | 2 << 14,
                ..draw(14)
            }),
        ],
    );
    add(
        "own-content",
        [2, 9, 12, 13, 14]
            .map(|kind| {
                Op::Draw(Draw {
                    how: 2,
                    word: 3,
                    area: [0, 0, 8, 8],
                    ..draw(kind)
                })
            })
            .into(),
    );
    add(
        "quic",
        vec![
            Op::Image(Image {
                kind: 1,
                bitmap_flags: 0,
                padding: 16,
                ..image(4)
            }),
            Op::Draw(Draw { image: 1, ..draw(3) }),
        ],
    );
    seeds
}

/// Surfaces, cursors, messages, updates.
fn commands() -> Vec<(String, Vec<u8>)> {
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
fn drivers() -> Vec<(String, Vec<u8>)> {
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

/// The screen before a driver.
fn vga() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, operations: Vec<Op>| seeds.push((name.to_owned(), program(0, &operations)));
    let window = |offset, count| {
        Op::WindowWrite(WindowAccess {
            offset,
            data: (0..count).map(|byte: u8| byte.wrapping_mul(37)).collect(),
        })
    };
    let register = |set, index, value| Op::Register(Register { set, index, value });
    let refresh = || Op::Refresh(Value { value: 300 });
    for mode in 0..4 {
        add(
            &format!("vga-{mode}"),
            vec![
                Op::VgaMode(small(mode)),
                window(0x18000, 100),
                window(100, 60),
                refresh(),
                Op::Fill(Fill {
                    at: 0x8000,
                    count: 4000,
                    seed: 5,
                }),
                register(3, 0x0d, 40),
                register(3, 0x18, 90),
                register(2, 0x13, 3),
                refresh(),
                Op::WindowRead(WindowAccess {
                    offset: 0x18000,
                    data: vec![0; 4],
                }),
                Op::Save(Save::default()),
                register(3, 0x09, 0x80),
                refresh(),
                register(0, 1, 0x28),
                refresh(),
            ],
        );
    }
    // Attributes that blink, underline, other fonts, double width.
    add(
        "vga-text-tricks",
        vec![
            Op::VgaMode(small(0)),
            Op::WindowWrite(WindowAccess {
                offset: 0x18000,
                data: (0..60).map(|index| if index % 2 == 0 { 0xc5 } else { 0x89 }).collect(),
            }),
            register(2, 0x10, 0x0e),
            register(3, 0x14, 7),
            register(0, 3, 0x25),
            register(3, 0x0e, 0),
            refresh(),
            refresh(),
            register(3, 6, 100),
            register(0, 1, 9),
            refresh(),
            register(0, 1, 8),
            refresh(),
        ],
    );
    // Every write mode, function and read mode of the graphics controller.
    let mut operations = vec![Op::VgaMode(small(1)), window(0, 16)];
    for mode in 0..4 {
        operations.extend([
            register(1, 5, mode | 8 * (mode & 1)),
            register(1, 3, mode << 3 | mode),
            register(1, 8, 0xf5),
            register(1, 1, mode),
            Op::WindowRead(WindowAccess {
                offset: 3,
                data: vec![0; 8],
            }),
            window(8, 20),
        ]);
    }
    operations.push(refresh());
    add("vga-write-modes", operations);
    for depth in 0..6 {
        add(
            &format!("dispi-{depth}"),
            vec![
                Op::Dispi(Dispi {
                    width: 160,
                    height: 100,
                    depth,
                    enable: 0x20 * (depth % 2),
                }),
                Op::Fill(Fill {
                    at: 0,
                    count: 3000,
                    seed: depth,
                }),
                refresh(),
                register(4, 6, 200),
                register(4, 8, 9),
                register(4, 9, 11),
                register(4, 5, 1),
                window(0x40, 40),
                refresh(),
                Op::Save(Save::default()),
                register(4, 4, 3),
                Op::VgaRead(Access {
                    offset: 1,
                    data: vec![0; 2],
                }),
            ],
        );
    }
    let all: Vec<Op> = (0..27)
        .flat_map(|port| {
            [
                Op::VgaRead(Access {
                    offset: port,
                    data: vec![0],
                }),
                Op::VgaWrite(Access {
                    offset: port,
                    data: vec![1, 2],
                }),
            ]
        })
        .collect();
    add("vga-ports", all);
    add(
        "vga-banks",
        vec![
            Op::VgaMode(small(2)),
            register(1, 6, 0x05),
            register(4, 5, 0xffff),
            window(0, 30),
            window(0x10000, 4),
            Op::Save(Save::default()),
            register(1, 6, 0x09),
            window(0x10000, 30),
            register(1, 6, 0x0d),
            window(0x18000, 30),
        ],
    );
    // A driver that comes, and firmware that takes the screen back.
    seeds.push((
        "vga-and-driver".to_owned(),
        program(
            1,
            &[
                Op::VgaMode(small(0)),
                refresh(),
                Op::BringUp(small(0)),
                Op::Draw(draw(1)),
                Op::VgaMode(small(2)),
                refresh(),
                Op::Save(Save::default()),
                Op::BringUp(small(0)),
            ],
        ),
    ));
    seeds
}

/// What others had to mend.
fn attacks() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, operations: Vec<Op>| seeds.push((name.to_owned(), with_primary(0, operations)));
    for (name, shape, split) in [
        ("to-itself", 4, 0),
        ("to-the-first", 2, 8),
        ("empty-loop", 3, 8),
        ("more", 8, 0),
    ] {
        add(
            &format!("chunks-{name}"),
            vec![
                Op::Data(Data {
                    split,
                    shape,
                    size: 1024,
                    start: vec![1, 2, 3],
                }),
                Op::Image(Image { data: 1, ..image(8) }),
                Op::Draw(Draw { image: 1, ..draw(3) }),
            ],
        );
    }
    add(
        "chunks-only-empty",
        vec![
            Op::Data(Data {
                shape: 4,
                ..Data::default()
            }),
            Op::Image(Image { data: 1, ..image(8) }),
            Op::Draw(Draw { image: 1, ..draw(3) }),
        ],
    );
    for special in [0xc0, 0xc1, 0xd0, 0xd2, 0xe0, 0xe1, 0xe4, 0xe6] {
        add(
            &format!("address-{special:x}"),
            vec![
                Op::Image(Image {
                    data: special,
                    ..image(8)
                }),
                Op::Draw(Draw { image: 1, ..draw(3) }),
                Op::Draw(Draw {
                    image: special,
                    clip: special,
                    ..draw(3)
                }),
                Op::Push(Push {
                    kind: 1,
                    body: special,
                    ..Push::default()
                }),
            ],
        );
    }
    add(
        "strides",
        vec![
            Op::Image(Image {
                padding: -8,
                ..image(8)
            }),
            Op::Draw(Draw { image: 1, ..draw(3) }),
            Op::Surface(Surface {
                padding: -4,
                ..surface(1, 0, 0)
            }),
            Op::Surface(Surface {
                padding: -64,
                ..surface(2, 0, 0)
            }),
        ],
    );
    add(
        "surface-at-the-end",
        vec![
            Op::Surface(Surface {
                place: (512 << 10) - 4096,
                ..surface(1, 0, 0)
            }),
            Op::Surface(Surface {
                place: (512 << 10) - 4000,
                ..surface(2, 0, 0)
            }),
            Op::Surface(surface(1, 0, 0)),
            Op::Surface(surface(1, 0, 2)),
            Op::Surface(surface(1, 0, 2)),
        ],
    );
    add(
        "huge-counts",
        vec![
            Op::Clip(Rects {
                rects: vec![[0, 0, 9, 9]],
                patch: patch(0, 4, 0xffff_ffff),
                ..Rects::default()
            }),
            Op::Draw(Draw { clip: 1, ..draw(1) }),
            Op::Image(Image {
                patch: patch(0x14, 8, 0xffff_ffff_ffff_ffff),
                ..image(8)
            }),
            Op::Draw(Draw { image: 1, ..draw(3) }),
            Op::Shape(Shape {
                width: 513,
                height: 512,
                ..Shape::default()
            }),
            Op::Cursor(Cursor {
                shape: 1,
                ..Cursor::default()
            }),
        ],
    );
    add(
        "rings",
        vec![
            Op::RingIndex(RingIndex {
                ring: 0,
                field: 0,
                value: 33,
            }),
            port(0, 0),
            port(5, 0),
            Op::RingIndex(RingIndex {
                ring: 2,
                field: 2,
                value: -1,
            }),
            port(23, 0),
        ],
    );
    add(
        "bars",
        vec![
            Op::Bar(BarMove { bar: 0, place: 3 }),
            Op::SetMode(small(1)),
            port(5, 0),
            Op::Bar(BarMove { bar: 0, place: 4 }),
            Op::Slot(Slot {
                how: 0,
                id: 5,
                start: 64,
                size: 0,
            }),
            Op::Bar(BarMove { bar: 1, place: 5 }),
            Op::BringUp(small(0)),
        ],
    );
    add("every-port", (0..32).map(|number| port(number, 0)).collect());
    let records = (1..40_u16).map(|at| Op::Save(Save { at: 7 * at, with: 0xff }));
    add(
        "records",
        vec![Op::Surface(surface(1, 0, 0)), Op::Draw(draw(1))]
            .into_iter()
            .chain(records)
            .collect(),
    );
    add(
        "raw",
        vec![
            Op::RawMemory(RawMemory {
                region: 2,
                at: 100,
                data: vec![0xff; 40],
            }),
            Op::RawMemory(RawMemory {
                region: 1,
                at: 0,
                data: vec![1; 40],
            }),
            Op::Draw(draw(1)),
            Op::Pause(Nothing {}),
            Op::Resume(Nothing {}),
            Op::PortAccess(Access {
                offset: 2,
                data: vec![1, 2, 3, 4],
            }),
            Op::PortRead(Access {
                offset: 1,
                data: vec![0; 2],
            }),
        ],
    );
    seeds
}

/// All of them with their names.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    [drawing(), commands(), drivers(), vga(), attacks()].concat()
}
