//! The guest of the built-in demo VM.
//!
//! Draws its scene with QXL commands and, with the same operations, into memory of its own; reads keyboard and mouse;
//! is a small agent on the VDIPort; takes commands on the serial port. The checksum it prints is that of its own memory,
//! never of the device's.

#![no_std]
#![no_main]

mod agent;

use agent::{Agent, Pointing};
use caraway_demo::screen::Screen;
use caraway_demo_scene::{Raster, Scene, TICKS_PER_SECOND};
use caraway_guest_rt::input::{Input, InputEvent};
use caraway_guest_rt::once::TakeOnce;
use caraway_guest_rt::qxl::{EVENT_DISPLAY, QxlError};
use caraway_guest_rt::serial::LineReader;
use caraway_guest_rt::vdiport::VdiPortError;
use caraway_guest_rt::{cpu, irq, power, print, serial};

/// Make codes of the keys that switch a light of the keyboard, with the light's bit.
const LOCKS: [(u8, u8); 3] = [(0x46, 1), (0x45, 2), (0x3a, 4)];
/// Ticks between two looks at the power button.
const BUTTON_TICKS: u64 = 6;
/// Steps the picture makes up for at once when ticks were late.
const MAX_STEPS: u64 = 4;

static PIXELS: TakeOnce<[u32; caraway_demo_scene::WIDTH * caraway_demo_scene::HEIGHT]> =
    TakeOnce::new([0; caraway_demo_scene::WIDTH * caraway_demo_scene::HEIGHT]);

caraway_guest_rt::entry!(main);

fn main() -> ! {
    serial::init();
    irq::init();
    irq::start_ticks(TICKS_PER_SECOND);
    print!("\nCaraway demo guest: bare metal, QXL, PS/2, serial. Type `help` here.\n");
    let Some(raster) = PIXELS.take().and_then(|pixels| Raster::new(pixels)) else {
        print!("demo: no memory for the picture\n");
        cpu::halt()
    };
    match Screen::open(raster) {
        Ok(screen) => Demo::new(screen).run(),
        Err(error) => {
            print!("demo: no display: {error}\n");
            without_display()
        }
    }
}

/// Nothing to show: still answers the power button and `quit`.
fn without_display() -> ! {
    let mut line = LineReader::new();
    loop {
        cpu::wait(cpu::EVENT_TICK | cpu::EVENT_SERIAL);
        serial::receive(|byte| {
            line.push(byte, |line| {
                if line == "quit" {
                    power::off();
                }
            });
        });
        if power::button_pressed() {
            power::off();
        }
    }
}

/// The agent, if there is a port for it.
fn open_agent() -> Option<Agent> {
    match Agent::open() {
        Ok(agent) => Some(agent),
        Err(VdiPortError::NotFound) => None,
        Err(error) => {
            print!("demo: no agent: {error}\n");
            None
        }
    }
}

struct Demo {
    scene: Scene,
    screen: Screen,
    input: Input,
    agent: Option<Agent>,
    packets: u32,
    /// Of the keyboard that are on.
    lights: u8,
    held: Held,
    /// What the agent was last told the wheel is held at.
    turned: i32,
    line: LineReader,
    stepped: u64,
    looked: u64,
}

impl Demo {
    fn new(screen: Screen) -> Self {
        let now = cpu::ticks();
        Self {
            scene: Scene::new(),
            screen,
            input: Input::init(),
            agent: open_agent(),
            packets: 0,
            lights: 0,
            held: Held::default(),
            turned: 0,
            line: LineReader::new(),
            stepped: now,
            looked: now,
        }
    }

    fn run(mut self) -> ! {
        self.paint();
        match self.screen.finish() {
            Ok(()) => print!(
                "demo: ready {}x{}\n",
                caraway_demo_scene::WIDTH,
                caraway_demo_scene::HEIGHT
            ),
            Err(error) => self.recover(error),
        }
        loop {
            cpu::wait(
                cpu::EVENT_TICK
                    | cpu::EVENT_KEYBOARD
                    | cpu::EVENT_MOUSE
                    | cpu::EVENT_SERIAL
                    | cpu::EVENT_VDIPORT
                    | EVENT_DISPLAY,
            );
            self.screen.collect();
            self.read_input();
            if let Some(agent) = &mut self.agent {
                let (scene, turned) = (&mut self.scene, &mut self.turned);
                agent.attend(|to| point(scene, turned, to));
            }
            self.read_serial();
            let now = cpu::ticks();
            if now != self.stepped {
                for _ in 0..(now - self.stepped).min(MAX_STEPS) {
                    self.scene.tick();
                }
                self.stepped = now;
                // What was typed or moved is painted with the next step: many reports make one picture.
                self.paint();
            }
            if now - self.looked >= BUTTON_TICKS {
                self.looked = now;
                if power::button_pressed() {
                    print!("demo: power button\n");
                    power::off();
                }
            }
        }
    }

    fn read_input(&mut self) {
        let (scene, packets) = (&mut self.scene, &mut self.packets);
        let before = self.lights;
        let (lights, held) = (&mut self.lights, &mut self.held);
        self.input.poll(|event| match event {
            InputEvent::Scancode(byte) => {
                if let Some((_, light)) = LOCKS.into_iter().find(|(code, _)| *code == byte) {
                    *lights ^= light;
                }
                held.take(byte);
                scene.key(byte);
            }
            InputEvent::Mouse(packet) => {
                *packets = packets.wrapping_add(1);
                scene.motion(packet.dx, packet.dy);
                scene.wheel(packet.dz);
                scene.buttons(packet.buttons);
            }
        });
        if self.lights != before {
            self.input.set_lights(self.lights);
        }
    }

    fn read_serial(&mut self) {
        // A line at a time: a command may take as long as it likes.
        let mut bytes = [0; 256];
        let mut count = 0;
        serial::receive(|byte| {
            if let Some(cell) = bytes.get_mut(count) {
                *cell = byte;
                count += 1;
            }
        });
        for byte in bytes.into_iter().take(count) {
            let mut line = [0; 80];
            let mut length = 0;
            self.line.push(byte, |text| {
                for (cell, byte) in line.iter_mut().zip(text.bytes()) {
                    *cell = byte;
                    length += 1;
                }
            });
            if let Some(Ok(command)) = line
                .get(..length)
                .filter(|line| !line.is_empty())
                .map(core::str::from_utf8)
            {
                self.command(command);
            }
        }
    }

    fn command(&mut self, command: &str) {
        match command {
            "help" => print!(
                "help    this list\n\
                 state   keys, mouse reports, buttons, pointer\n\
                 freeze  stop what moves and finish drawing\n\
                 hash    checksum of the picture\n\
                 go      move again\n\
                 video on, video off  have the video play or leave its place empty\n\
                 frames  how many frames of the video were drawn\n\
                 agent   the connection of the agent, and its clipboard\n\
                 pointer agent, pointer mouse  have the agent move the pointer, too, or only the mouse\n\
                 heads 1, heads 2  show the picture on one head, or its halves on two\n\
                 redraw  reset the display device and draw everything anew\n\
                 reset   restart the machine\n\
                 quit    switch the machine off\n"
            ),
            "state" => self.print_state(),
            "freeze" => {
                self.scene.freeze();
                if self.settle() {
                    print!("frozen\n");
                }
            }
            "hash" => {
                if self.settle() {
                    print!("hash {:016x}\n", self.screen.hash());
                }
            }
            "go" => {
                self.scene.go();
                print!("going\n");
            }
            "video on" | "video off" => {
                self.scene.set_video(command == "video on");
                if self.settle() {
                    print!("{command}\n");
                }
            }
            "frames" => print!("frames {}\n", self.scene.state().frames),
            "agent" => match &self.agent {
                Some(agent) => agent.print_state(),
                None => print!("agent none\n"),
            },
            "pointer agent" | "pointer mouse" => match &mut self.agent {
                Some(agent) => {
                    agent.set_pointing(command == "pointer agent");
                    print!("{command}\n");
                }
                None => print!("agent none\n"),
            },
            "heads 1" | "heads 2" => match self.screen.show_heads(command == "heads 2") {
                Ok(()) => print!("{command}\n"),
                Err(error) => self.recover(error),
            },
            "redraw" => {
                if self.redraw() {
                    print!("redrawn\n");
                }
            }
            "reset" => power::reset(),
            "quit" => power::off(),
            other => print!("unknown command: {other}\n"),
        }
    }

    fn print_state(&self) {
        let state = self.scene.state();
        print!(
            "state keys={} motions={} buttons={} x={} y={} wheel={} frozen={} outstanding={} lights={} held={}\n",
            state.keys,
            self.packets,
            state.buttons,
            state.pointer.x,
            state.pointer.y,
            state.wheel,
            u8::from(state.frozen),
            self.screen.outstanding(),
            self.lights,
            self.held.count()
        );
    }

    /// Takes the input that has arrived, paints it and waits until the device has drawn it.
    fn settle(&mut self) -> bool {
        self.read_input();
        self.paint();
        match self.screen.finish() {
            Ok(()) => true,
            Err(error) => {
                self.recover(error);
                false
            }
        }
    }

    fn paint(&mut self) {
        self.scene.paint(&mut self.screen);
        let pointer = self.scene.state().pointer;
        if let Err(error) = self.screen.show_pointer(pointer) {
            self.recover(error);
        }
    }

    /// Starts the display from its reset and draws everything.
    fn redraw(&mut self) -> bool {
        let result = self.screen.restart().and_then(|()| {
            self.scene.invalidate();
            self.scene.paint(&mut self.screen);
            self.screen.show_pointer(self.scene.state().pointer)?;
            self.screen.finish()
        });
        if let Err(error) = result {
            print!("demo: display: {error}\n");
        }
        result.is_ok()
    }

    fn recover(&mut self, error: QxlError) {
        print!("demo: display: {error}; starting it again\n");
        if self.redraw() {
            print!("demo: display is back\n");
        }
    }
}

/// Keys that are down, by scan code; those behind a prefix apart.
#[derive(Default)]
struct Held {
    down: [u128; 2],
    has_prefix: bool,
}

impl Held {
    fn take(&mut self, byte: u8) {
        let keys = &mut self.down[usize::from(core::mem::replace(&mut self.has_prefix, byte == 0xe0))];
        let key = 1 << (byte & 0x7f);
        match byte {
            // Prefixes: of the keypad's twins, and of Pause, whose keys are told of as any.
            0xe0 | 0xe1 => {}
            0x80.. => *keys &= !key,
            _ => *keys |= key,
        }
    }

    fn count(&self) -> u32 {
        self.down.iter().map(|keys| keys.count_ones()).sum()
    }
}

/// Brings the pointer where the agent was told; a step of the wheel is a button that was not down before.
fn point(scene: &mut Scene, turned: &mut i32, to: Pointing) {
    let at = scene.state().pointer;
    scene.motion(to.x.saturating_sub(at.x), to.y.saturating_sub(at.y));
    if to.wheel != *turned {
        scene.wheel(to.wheel);
        *turned = to.wheel;
    }
    scene.buttons(to.buttons);
}
