//! Guests that mean no good.

use super::*;

/// What others had to mend.
pub(super) fn attacks() -> Vec<(String, Vec<u8>)> {
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
