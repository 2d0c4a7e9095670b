//! A hostile guest: random accesses to everything a guest can reach of the machine, then the demo's picture.
//!
//! The kernel command line says what to do: `seed=N count=N only=config,bars,rings,ports,vram,platform`. The same seed
//! gives the same accesses. On the serial port: the seed, progress, `chaos: done seed=... accesses=...`, then
//! `hash ...`, the checksum of the picture as this guest drew it in its own memory. After that `hash` is answered and
//! `quit` or the power button switches the machine off.

#![no_std]
#![no_main]

mod access;
mod config;
mod guard;
mod options;
mod platform;
mod ports;
mod random;
mod rings;
mod target;
mod windows;

use access::Machine;
use caraway_demo::screen::Screen;
use caraway_demo_scene::{HEIGHT, Raster, Scene, TICKS_PER_SECOND, WIDTH};
use caraway_guest_rt::once::TakeOnce;
use caraway_guest_rt::qxl::{EVENT_DISPLAY, QxlError};
use caraway_guest_rt::serial::LineReader;
use caraway_guest_rt::{boot, cpu, irq, power, print, serial};
use options::{KINDS, Kind, Options};
use random::Random;
use target::{QxlMap, Targets};

/// Least and most steps of a round.
const STEPS: (u32, u32) = (48, 192);

static PIXELS: TakeOnce<[u32; WIDTH * HEIGHT]> = TakeOnce::new([0; WIDTH * HEIGHT]);

caraway_guest_rt::entry!(main);

fn main() -> ! {
    serial::init();
    irq::init();
    irq::start_ticks(TICKS_PER_SECOND);
    match Options::parse(boot::command_line()) {
        Ok(options) => run(&options),
        Err(word) => print!("chaos: what is {word:?}?\n"),
    }
    serve(None)
}

fn run(options: &Options) -> ! {
    let seed = options.seed;
    print!("\nchaos: seed={seed:#x} count={}\n", options.count);
    let mut machine = Machine::new(options.count);
    let targets = Targets::find(&mut machine);
    print!(
        "chaos: {} PCI functions, {} QXL\n",
        targets.iter().count(),
        if targets.qxl().is_some() { "with" } else { "without" }
    );
    let shares = rampage(&mut machine, &targets, options);

    targets.restore();
    machine.park();
    serial::init();
    irq::init();
    irq::start_ticks(TICKS_PER_SECOND);
    for ((_, name), share) in KINDS.iter().zip(shares) {
        print!("chaos: {share} accesses of kind {name}\n");
    }
    print!("chaos: done seed={seed:#x} accesses={}\n", machine.done());
    let screen = draw();
    match &screen {
        Ok(screen) => print!("hash {:016x}\n", screen.hash()),
        Err(error) => print!("chaos: no picture after seed={seed:#x}: {error}\n"),
    }
    serve(screen.ok())
}

/// Makes the accesses, in rounds: each begins with a device that is as broken as the last one left it, or whole, and
/// mixes a few kinds. How many accesses were of each kind.
fn rampage(machine: &mut Machine, targets: &Targets, options: &Options) -> [u64; KINDS.len()] {
    let mut shares = [0; KINDS.len()];
    let mut random = Random::new(options.seed);
    let wanted = if targets.qxl().is_some() {
        options.kinds
    } else {
        options.kinds & !needs_qxl()
    };
    if wanted == 0 {
        print!("chaos: nothing here that `only` names\n");
        return shares;
    }
    let mut told = 0;
    while !machine.is_over() {
        if random.below(8) >= 2 {
            targets.restore();
            refresh(&mut random, targets.map().as_ref());
        }
        targets.guard(machine);
        let kinds = round_kinds(&mut random, wanted);
        let mut map = targets.map();
        machine.park();
        for _ in 0..random.between(STEPS.0, STEPS.1) {
            let index = random.below(KINDS.len() as u32) as usize;
            if kinds & 1 << index == 0 {
                continue;
            }
            if needs_qxl() & 1 << index != 0 && random.once_in(4) {
                refresh(&mut random, map.as_ref());
            }
            let before = machine.done();
            step(machine, &mut random, targets, KINDS[index].0, &mut map);
            shares[index] += machine.done() - before;
        }
        machine.flush();
        let tenth = machine.done() * 10 / options.count.max(1);
        if tenth > told {
            told = tenth;
            serial::init();
            print!("chaos: {} of {}\n", machine.done(), options.count);
        }
    }
    shares
}

/// Resets the QXL device or not, and makes it draw again or not: a device that found a violation does nothing else.
fn refresh(random: &mut Random, map: Option<&QxlMap>) {
    let (reset, revive) = (!random.once_in(4), !random.once_in(4));
    let (width, height) = (random.between(320, 1024), random.between(240, 768));
    if let Some(map) = map.filter(|_| reset) {
        map.reset();
        if revive {
            map.revive(width, height);
        }
    }
}

/// Kinds that do nothing without a QXL device.
fn needs_qxl() -> u32 {
    (0..).zip(KINDS).fold(0, |bits, (index, (kind, _))| {
        bits | u32::from(matches!(kind, Kind::Rings | Kind::Ports | Kind::Vram)) << index
    })
}

/// Some of the kinds wanted, at least one; `wanted` is not empty. Not all of them: config space that changes all the
/// time hides the device from the others.
fn round_kinds(random: &mut Random, wanted: u32) -> u32 {
    loop {
        let kinds = wanted & random.next() as u32;
        if kinds != 0 {
            return kinds;
        }
    }
}

fn step(machine: &mut Machine, random: &mut Random, targets: &Targets, kind: Kind, map: &mut Option<QxlMap>) {
    match (kind, &map) {
        (Kind::Config, _) => {
            config::step(machine, random, targets);
            machine.flush();
            // Where things are now.
            *map = targets.map();
            targets.guard(machine);
            machine.park();
        }
        (Kind::Bars, map) => windows::step(machine, random, targets, map.as_ref()),
        (Kind::Platform, _) => platform::step(machine, random),
        (Kind::Rings, Some(map)) => rings::step(machine, random, map),
        (Kind::Ports, Some(map)) => ports::step(machine, random, map),
        (Kind::Vram, Some(map)) => windows::surface_memory(machine, random, map),
        (_, None) => {}
    }
    machine.flush();
}

/// Takes the display over as a guest that was just started does, and draws the demo's picture at rest.
fn draw() -> Result<Screen, QxlError> {
    let Some(raster) = PIXELS.take().and_then(|pixels| Raster::new(pixels)) else {
        return Err(QxlError::NoMemory);
    };
    let mut screen = Screen::open(raster)?;
    let mut scene = Scene::new();
    scene.freeze();
    scene.paint(&mut screen);
    screen.show_pointer(scene.state().pointer)?;
    screen.finish()?;
    Ok(screen)
}

fn serve(mut screen: Option<Screen>) -> ! {
    let mut line = LineReader::new();
    loop {
        cpu::wait(cpu::EVENT_TICK | cpu::EVENT_SERIAL | EVENT_DISPLAY);
        if let Some(screen) = &mut screen {
            screen.collect();
        }
        serial::receive(|byte| {
            line.push(byte, |line| match (line, &screen) {
                ("quit", _) => power::off(),
                ("hash", Some(screen)) => print!("hash {:016x}\n", screen.hash()),
                ("hash", None) => print!("chaos: no picture\n"),
                (other, _) => print!("chaos: what is {other:?}?\n"),
            });
        });
        if power::button_pressed() {
            power::off();
        }
    }
}
