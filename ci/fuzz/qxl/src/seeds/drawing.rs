//! Drawables.

use super::*;

/// Every kind of drawable with every kind of source.
pub(super) fn drawing() -> Vec<(String, Vec<u8>)> {
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
            bitmap_flags: (4 * (format % 2)) | (0x10 * (format % 5)),
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
