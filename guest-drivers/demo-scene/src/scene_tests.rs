use super::*;
use crate::{Color, HEIGHT, Image, Raster, VIDEO_AREA, WIDTH};
use std::vec;
use std::vec::Vec;

fn hash(scene: &mut Scene) -> u64 {
    let mut pixels = vec![0; WIDTH * HEIGHT];
    let mut raster = Raster::new(&mut pixels).unwrap();
    scene.invalidate();
    scene.paint(&mut raster);
    raster.hash()
}

fn frozen(script: impl FnOnce(&mut Scene)) -> u64 {
    let mut scene = Scene::new();
    script(&mut scene);
    scene.freeze();
    hash(&mut scene)
}

fn press(scene: &mut Scene, codes: &[u8]) {
    for code in codes {
        scene.key(*code);
        scene.key(*code | 0x80);
    }
}

/// A small deterministic generator for scripts.
struct Script(u64);

impl Script {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % below
    }

    fn step(&mut self, scene: &mut Scene) {
        match self.next(9) {
            0..=2 => press(scene, &[self.next(0x54) as u8]),
            3 => press(scene, &[[0x1c, 0x1c, 0x1c, 0x1c, 0x0e, 0x0f][self.next(6) as usize]]),
            4 => scene.motion(self.next(200) as i32 - 100, self.next(200) as i32 - 100),
            5 => scene.buttons(self.next(8) as u8),
            6 => scene.tick(),
            7 => scene.set_video(self.next(4) != 0),
            _ => scene.wheel(self.next(5) as i32 - 2),
        }
    }
}

#[test]
fn painting_bit_by_bit_gives_the_same_picture_as_painting_at_once() {
    for seed in 0..6 {
        let mut script = Script(seed);
        let mut scene = Scene::new();
        let mut pixels = vec![0; WIDTH * HEIGHT];
        let mut raster = Raster::new(&mut pixels).unwrap();
        for round in 0..150 {
            for _ in 0..script.next(if round % 10 == 0 { 120 } else { 6 }) {
                script.step(&mut scene);
            }
            scene.paint(&mut raster);
        }
        if seed % 2 == 0 {
            scene.freeze();
            scene.paint(&mut raster);
        }
        assert_eq!(raster.hash(), hash(&mut scene), "seed {seed}");
    }
}

#[test]
fn frozen_picture_depends_on_keys_pointer_buttons_and_wheel() {
    let at_rest = frozen(|_| {});
    assert_ne!(at_rest, frozen(|scene| press(scene, &[0x1e])));
    assert_ne!(
        at_rest,
        frozen(|scene| press(scene, &[0x2a])),
        "the count of keys is on the screen"
    );
    assert_ne!(at_rest, frozen(|scene| scene.motion(1, 0)));
    assert_ne!(at_rest, frozen(|scene| scene.buttons(4)));
    assert_ne!(at_rest, frozen(|scene| scene.wheel(1)));
    let clicked = frozen(|scene| {
        scene.buttons(1);
        scene.buttons(0);
    });
    assert_ne!(at_rest, clicked, "a press leaves a mark");
}

#[test]
fn frozen_picture_does_not_depend_on_time_or_on_how_motion_is_split() {
    let at_rest = frozen(|_| {});
    assert_eq!(at_rest, frozen(|scene| (0..77).for_each(|_| scene.tick())));
    let at_once = frozen(|scene| scene.motion(-150, 120));
    assert_eq!(at_once, frozen(|scene| (0..30).for_each(|_| scene.motion(-5, 4))));
}

#[test]
fn pointer_stays_on_the_screen() {
    let mut scene = Scene::new();
    scene.motion(5000, -5000);
    assert_eq!(scene.state().pointer, Point { x: 1023, y: 0 });
    scene.motion(i32::MIN, i32::MAX);
    assert_eq!(scene.state().pointer, Point { x: 0, y: 767 });
}

#[test]
fn thawed_tile_moves_on() {
    let mut scene = Scene::new();
    scene.freeze();
    let at_rest = hash(&mut scene);
    scene.tick();
    assert_eq!(hash(&mut scene), at_rest);
    scene.go();
    scene.tick();
    assert_ne!(hash(&mut scene), at_rest);
    assert!(!scene.state().frozen);
}

/// Checks the rules a device relies on.
struct Checker {
    commands: Vec<&'static str>,
}

impl Checker {
    fn check(&mut self, area: Rect, name: &'static str) {
        assert!(area.width > 0 && area.height > 0, "{name} of an empty area {area:?}");
        assert!(area.x >= 0 && area.y >= 0, "{name} outside the screen: {area:?}");
        assert!(
            area.right() <= WIDTH as i32 && area.bottom() <= HEIGHT as i32,
            "{name} outside: {area:?}"
        );
        self.commands.push(name);
    }
}

impl Painter for Checker {
    fn fill(&mut self, area: Rect, _: Color) {
        self.check(area, "fill");
    }

    fn copy(&mut self, area: Rect, _: &dyn Image) {
        self.check(area, "copy");
    }

    fn copy_bits(&mut self, area: Rect, from: Point) {
        self.check(area, "copy_bits");
        self.check(
            Rect {
                x: from.x,
                y: from.y,
                ..area
            },
            "copy_bits",
        );
    }
}

#[test]
fn every_operation_stays_inside_the_screen_and_all_kinds_are_used() {
    let mut checker = Checker { commands: Vec::new() };
    for seed in 0..20 {
        let mut script = Script(seed + 100);
        let mut scene = Scene::new();
        for _ in 0..200 {
            script.step(&mut scene);
            scene.paint(&mut checker);
        }
    }
    for name in ["fill", "copy", "copy_bits"] {
        assert!(checker.commands.contains(&name), "no {name}");
    }
}

#[test]
fn a_moving_picture_costs_few_operations() {
    let mut checker = Checker { commands: Vec::new() };
    let mut scene = Scene::new();
    scene.paint(&mut checker);
    checker.commands.clear();
    scene.tick();
    scene.paint(&mut checker);
    assert!(checker.commands.len() <= 4, "{:?}", checker.commands);
    checker.commands.clear();
    scene.paint(&mut checker);
    assert!(checker.commands.is_empty(), "nothing changed: {:?}", checker.commands);
}

/// Copies and fills of the video's place.
struct VideoOnly {
    copies: usize,
    fills: usize,
}

impl Painter for VideoOnly {
    fn fill(&mut self, area: Rect, _: Color) {
        self.fills += usize::from(area == VIDEO_AREA);
    }

    fn copy(&mut self, area: Rect, _: &dyn Image) {
        self.copies += usize::from(area == VIDEO_AREA);
    }

    fn copy_bits(&mut self, _: Rect, _: Point) {}
}

/// What a scene does to the video's place in so many steps.
fn steps(scene: &mut Scene, count: usize) -> (usize, usize) {
    let mut seen = VideoOnly { copies: 0, fills: 0 };
    for _ in 0..count {
        scene.tick();
        scene.paint(&mut seen);
    }
    (seen.copies, seen.fills)
}

#[test]
fn each_step_is_one_copy_to_the_same_place_until_it_is_frozen() {
    let mut scene = Scene::new();
    assert_eq!(steps(&mut scene, 10), (10, 0));
    assert_eq!(scene.state().frames, 10);
    scene.freeze();
    assert_eq!(steps(&mut scene, 10), (1, 0), "the frame it rests at");
    assert_eq!(scene.state().frames, 11);
    scene.go();
    assert_eq!(steps(&mut scene, 10), (10, 0));
}

#[test]
fn a_step_without_painting_is_no_frame() {
    let mut scene = Scene::new();
    steps(&mut scene, 1);
    (0..5).for_each(|_| scene.tick());
    assert_eq!(steps(&mut scene, 1), (1, 0));
    assert_eq!(scene.state().frames, 2);
}

#[test]
fn nothing_is_copied_while_there_is_no_video() {
    let mut scene = Scene::new();
    steps(&mut scene, 3);
    scene.set_video(false);
    assert_eq!(steps(&mut scene, 10), (0, 1), "its place is cleared");
    scene.freeze();
    assert_eq!(steps(&mut scene, 10), (0, 0));
    scene.invalidate();
    assert_eq!(steps(&mut scene, 10), (0, 1));
    assert_eq!(scene.state().frames, 3);
    scene.set_video(true);
    assert_eq!(steps(&mut scene, 10), (1, 0));
}

#[test]
fn frozen_picture_depends_on_whether_there_is_a_video_and_not_on_what_was_shown() {
    let at_rest = frozen(|_| {});
    let without = frozen(|scene| scene.set_video(false));
    assert_ne!(at_rest, without);
    let on_again = frozen(|scene| {
        scene.set_video(false);
        hash(scene);
        (0..7).for_each(|_| scene.tick());
        scene.set_video(true);
    });
    assert_eq!(at_rest, on_again);
}

#[test]
fn a_playing_video_changes_its_place_and_nothing_else_but_the_tile() {
    let picture = |ticks: usize| {
        let mut scene = Scene::new();
        (0..ticks).for_each(|_| scene.tick());
        let mut pixels = vec![0; WIDTH * HEIGHT];
        scene.paint(&mut Raster::new(&mut pixels).unwrap());
        pixels
    };
    let (one, other) = (picture(0), picture(1));
    let inside =
        |area: Rect, x: i32, y: i32| (area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y);
    let mut changed = 0;
    for (at, (one, other)) in (0..).zip(one.iter().zip(&other)) {
        let (x, y) = (at % WIDTH as i32, at / WIDTH as i32);
        if inside(VIDEO_AREA, x, y) {
            changed += i32::from(one != other);
        } else if !inside(STAGE_PANEL, x, y) {
            assert_eq!(one, other, "at {x}, {y}");
        }
    }
    assert!(changed > VIDEO_AREA.width * VIDEO_AREA.height / 2);
}
