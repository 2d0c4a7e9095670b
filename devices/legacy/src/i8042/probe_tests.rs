//! The sequences by which Linux 6.1 looks for a controller, a keyboard and a mouse.

use caraway_base::bus::Outcome;
use caraway_ports::input::{Button, InputSink as _, Scancode};

use super::test_bench::{AUX, Bench, OUTPUT_FULL, Packet, packets};

/// Bytes after which Linux gives a controller up that does not run dry.
const FLUSH_LIMIT: usize = 16;

/// The driver of the controller, polled as while it probes.
struct Driver<'a>(&'a Bench);

impl Driver<'_> {
    fn flush(&self) -> usize {
        let mut count = 0;
        while self.0.status() & OUTPUT_FULL != 0 {
            self.0.data();
            count += 1;
            assert!(count <= FLUSH_LIMIT, "no controller");
        }
        count
    }

    /// A command with its parameters, and what it answers with the status it came with.
    fn command(&self, command: u8, parameters: &[u8]) {
        assert_eq!(self.0.status() & 0x02, 0);
        assert_eq!(self.0.command(command), Outcome::Done);
        for byte in parameters {
            assert_eq!(self.0.status() & 0x02, 0);
            assert_eq!(self.0.out(*byte), Outcome::Done);
        }
    }

    fn answer(&self) -> u8 {
        let status = self.0.status();
        assert_eq!(status & (OUTPUT_FULL | AUX), OUTPUT_FULL);
        self.0.data()
    }

    fn config(&self) -> u8 {
        self.command(0x20, &[]);
        self.answer()
    }

    fn loop_aux(&self, byte: u8) -> u8 {
        self.command(0xd3, &[byte]);
        let status = self.0.status();
        assert_eq!(status & (OUTPUT_FULL | AUX), OUTPUT_FULL | AUX);
        self.0.data()
    }

    /// Looks for the controller and its two ports, and leaves both on with interrupts.
    fn probe(&self) {
        self.flush();
        for _ in 0..2 {
            self.command(0xaa, &[]);
            assert_eq!(self.answer(), 0x55);
        }
        let config = self.config();
        assert_eq!(self.config(), config);
        // Keyboard off, its interrupt off.
        let config = (config | 0x10) & !0x01;
        self.command(0x60, &[config]);
        self.flush();

        // The mouse port: looping, then whether its enable bit follows the commands.
        assert_eq!(self.loop_aux(0x5a), 0x5a);
        self.command(0xa7, &[]);
        assert_eq!(self.config() & 0x20, 0x20);
        self.command(0xa8, &[]);
        assert_eq!(self.config() & 0x20, 0x00);
        // Whether its interrupt arrives.
        self.0.interrupts();
        self.command(0x60, &[(config & !0x20) | 0x02]);
        self.0.mouse.edges();
        self.command(0xd3, &[0xa5]);
        assert_eq!((self.0.mouse.edges(), self.0.keyboard.edges()), (1, 0));
        assert_eq!(self.0.status() & AUX, AUX);
        assert_eq!(self.0.data(), 0xa5);
        self.command(0x60, &[config | 0x20]);
        // No multiplexer: the version comes back as sent.
        self.flush();
        for byte in [0xf0, 0x56, 0xa4] {
            assert_eq!(self.loop_aux(byte), byte);
        }
        self.command(0x60, &[(config & !0x30) | 0x03]);
    }

    /// To the keyboard, answers by interrupt.
    fn keyboard(&self, bytes: &[u8], answers: &[u8]) {
        let mut got = Vec::new();
        for byte in bytes {
            self.0.out(*byte);
            got.extend(self.0.interrupts().keys);
        }
        assert_eq!(got, answers, "{bytes:x?}");
    }

    /// To the mouse, answers by interrupt.
    fn mouse(&self, bytes: &[u8], answers: &[u8]) {
        let mut got = Vec::new();
        for byte in bytes {
            self.command(0xd4, &[*byte]);
            got.extend(self.0.interrupts().aux);
        }
        assert_eq!(got, answers, "{bytes:x?}");
    }

    fn attach_keyboard(&self) {
        self.keyboard(&[0xf2], &[0xfa, 0xab, 0x41]);
        self.keyboard(&[0xf5], &[0xfa]);
        // Lights, rate, on.
        self.keyboard(&[0xed, 0x00], &[0xfa, 0xfa]);
        self.keyboard(&[0xf3, 0x00], &[0xfa, 0xfa]);
        self.keyboard(&[0xf4], &[0xfa]);
    }

    /// The mouse says `id` before. Touchpads are asked for first; none may be found.
    fn attach_mouse(&self, id: u8) {
        self.mouse(&[0xf2], &[0xfa, id]);
        self.mouse(&[0xf6], &[0xfa]);
        // Synaptics: four resolutions, then the status would have 0x47 in the middle.
        self.mouse(&[0xe8, 0, 0xe8, 0, 0xe8, 0, 0xe8, 0], &[0xfa; 8]);
        self.mouse(&[0xe9], &[0xfa, 0x00, 0x00, 0x64]);
        // Genius: would answer 0x00 0x33 0x55.
        self.mouse(&[0xe8, 3, 0xe6, 0xe6, 0xe6], &[0xfa; 5]);
        self.mouse(&[0xe9], &[0xfa, 0x00, 0x03, 0x64]);
        // Logitech: would answer other than what was set.
        self.mouse(&[0xe8, 0, 0xe6, 0xe6, 0xe6], &[0xfa; 5]);
        self.mouse(&[0xe9], &[0xfa, 0x00, 0x00, 0x64]);
        // TrackPoint: no such command.
        self.mouse(&[0xe1], &[0xfe]);
        self.mouse(&[0xff], &[0xfa, 0xaa, 0x00]);
        // IntelliMouse, then Explorer.
        for (rates, id) in [([200, 100, 80], 3), ([200, 200, 80], 4)] {
            for rate in rates {
                self.mouse(&[0xf3, rate], &[0xfa, 0xfa]);
            }
            self.mouse(&[0xf2], &[0xfa, id]);
        }
        // Horizontal wheel of another one.
        for rate in [200, 80, 40] {
            self.mouse(&[0xf3, rate], &[0xfa, 0xfa]);
        }
        self.mouse(&[0xf2], &[0xfa, 4]);
        self.mouse(&[0xf3, 100, 0xe8, 3, 0xe6, 0xf4], &[0xfa; 6]);
    }
}

fn types_and_points(bench: &Bench) {
    bench.tap(Scancode::Plain(0x1e));
    bench.motion(-7, 8);
    bench.button(Button::Extra, true);
    bench.button(Button::Extra, false);
    let taken = bench.interrupts();
    assert_eq!(taken.keys, [0x1e, 0x9e]);
    let packet = |dx, dy, buttons| Packet {
        dx,
        dy,
        wheel: 0,
        buttons,
    };
    assert_eq!(
        packets(4, &taken.aux),
        [packet(-7, 8, 0), packet(0, 0, 0x10), packet(0, 0, 0)]
    );
}

#[test]
fn linux_finds_controller_keyboard_and_explorer_mouse() {
    let bench = Bench::new();
    let driver = Driver(&bench);
    driver.probe();
    driver.attach_keyboard();
    driver.attach_mouse(0);
    types_and_points(&bench);
}

/// What firmware left on and somebody typed meanwhile must not hide the controller.
#[test]
fn linux_finds_everything_while_somebody_types() {
    let bench = Bench::pointing(3);
    let typing = || {
        for code in (0x02..0x37).cycle().take(100) {
            bench.tap(Scancode::Plain(code));
        }
        for _ in 0..20 {
            bench.button(Button::Left, true);
            bench.motion(1000, 1000);
            bench.button(Button::Left, false);
        }
    };
    typing();
    let driver = Driver(&bench);
    driver.probe();
    typing();
    driver.flush();
    // Drivers see what is left of it before the keyboard is switched off and on.
    bench.interrupts();
    driver.attach_keyboard();
    driver.attach_mouse(3);
    types_and_points(&bench);
}

#[test]
fn linux_finds_everything_again_after_a_reset_by_the_controller() {
    use caraway_base::lifecycle::Lifecycle as _;
    let bench = Bench::pointing(4);
    bench.tap(Scancode::Plain(0x1e));
    assert_eq!(bench.command(0xfe), Outcome::Reset);
    bench.device.pause();
    bench.device.reset();
    bench.device.resume();
    assert_eq!(bench.device.pending(), 0);
    let driver = Driver(&bench);
    driver.probe();
    driver.attach_keyboard();
    driver.attach_mouse(0);
    types_and_points(&bench);
}

/// The way of firmware: everything polled, keyboard reset, set 2 translated.
#[test]
fn seabios_sets_the_keyboard_up() {
    let bench = Bench::new();
    let driver = Driver(&bench);
    driver.flush();
    driver.command(0xaa, &[]);
    assert_eq!(driver.answer(), 0x55);
    driver.command(0xab, &[]);
    assert_eq!(driver.answer(), 0x00);
    driver.command(0x60, &[0x30]);
    bench.out(0xff);
    assert_eq!([driver.answer(), driver.answer()], [0xfa, 0xaa]);
    for byte in [0xf5, 0xf0, 0x02] {
        bench.out(byte);
        assert_eq!(driver.answer(), 0xfa);
    }
    driver.command(0x60, &[0x61]);
    bench.out(0xf4);
    assert_eq!(driver.answer(), 0xfa);
    bench.keyboard.edges();
    bench.tap(Scancode::Extended(0x48));
    assert_eq!(bench.interrupts().keys, [0xe0, 0x48, 0xe0, 0xc8]);
}
