//! The VGA core without a driver.

use super::*;

/// The screen before a driver.
pub(super) fn vga() -> Vec<(String, Vec<u8>)> {
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
            register(1, 5, mode | (8 * (mode & 1))),
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
