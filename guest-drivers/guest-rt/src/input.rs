//! The i8042: a PS/2 keyboard (scan code set 1 by translation) and a PS/2 mouse, with a wheel if it has one.

use crate::cpu::{self, in8, out8};

const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;
const COMMAND: u16 = 0x64;

const STATUS_OUTPUT: u8 = 0x01;
const STATUS_INPUT: u8 = 0x02;
const STATUS_AUX: u8 = 0x20;

const READ_CONFIG: u8 = 0x20;
const WRITE_CONFIG: u8 = 0x60;
const DISABLE_AUX: u8 = 0xa7;
const ENABLE_AUX: u8 = 0xa8;
const DISABLE_KEYBOARD: u8 = 0xad;
const ENABLE_KEYBOARD: u8 = 0xae;
const WRITE_AUX: u8 = 0xd4;

/// Both interrupts on, both clocks on, translation to set 1.
const CONFIG_SET: u8 = 0x43;
const CONFIG_CLEAR: u8 = 0x30;

const DEVICE_ACK: u8 = 0xfa;
const SET_DEFAULTS: u8 = 0xf6;
const ENABLE_REPORTING: u8 = 0xf4;
const SET_SAMPLE_RATE: u8 = 0xf3;
const IDENTIFY: u8 = 0xf2;
const SET_LIGHTS: u8 = 0xed;
const WHEEL_MOUSE_ID: u8 = 3;

/// Status reads before the controller is given up.
const READY_TRIES: u32 = 2_000;
/// Bytes taken in one call.
const INPUT_BURST: usize = 256;

/// Buttons of a [`MousePacket`].
pub const BUTTON_LEFT: u8 = 1;
/// Right button.
pub const BUTTON_RIGHT: u8 = 2;
/// Middle button.
pub const BUTTON_MIDDLE: u8 = 4;

/// One movement report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MousePacket {
    /// To the right, -256 to 255.
    pub dx: i32,
    /// Downwards (screen direction), -255 to 256.
    pub dy: i32,
    /// Wheel, positive towards the user.
    pub dz: i32,
    /// Buttons held.
    pub buttons: u8,
}

/// Something a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputEvent {
    /// A byte of scan code set 1.
    Scancode(u8),
    /// A mouse report.
    Mouse(MousePacket),
}

/// The controller and its two devices, set up and reporting.
#[derive(Debug)]
pub struct Input {
    packet: [u8; 4],
    filled: usize,
    packet_size: usize,
}

impl Input {
    /// Sets up controller, keyboard and mouse. A missing mouse leaves the keyboard working.
    pub fn init() -> Self {
        command(DISABLE_KEYBOARD);
        command(DISABLE_AUX);
        drain();
        command(READ_CONFIG);
        let config = read().unwrap_or(0);
        command(WRITE_CONFIG);
        write((config | CONFIG_SET) & !CONFIG_CLEAR);
        command(ENABLE_AUX);
        let packet_size = if init_mouse() { 4 } else { 3 };
        command(ENABLE_KEYBOARD);
        send_keyboard(ENABLE_REPORTING);
        drain();
        Self {
            packet: [0; 4],
            filled: 0,
            packet_size,
        }
    }

    /// Hands everything that has arrived to `take`.
    pub fn poll(&mut self, mut take: impl FnMut(InputEvent)) {
        for _ in 0..INPUT_BURST {
            let status = in8(STATUS);
            // All ones: no controller there.
            if status == 0xff || status & STATUS_OUTPUT == 0 {
                return;
            }
            let byte = in8(DATA);
            if status & STATUS_AUX == 0 {
                take(InputEvent::Scancode(byte));
            } else if let Some(packet) = self.push(byte) {
                take(InputEvent::Mouse(packet));
            }
        }
    }

    /// Sets the keyboard's lights: 1 Scroll Lock, 2 Num Lock, 4 Caps Lock.
    pub fn set_lights(&mut self, lights: u8) {
        send_keyboard(SET_LIGHTS);
        send_keyboard(lights & 7);
    }

    fn push(&mut self, byte: u8) -> Option<MousePacket> {
        // Bit 3 of the first byte is always set; a byte without it is out of step.
        if self.filled == 0 && byte & 0x08 == 0 {
            return None;
        }
        *self.packet.get_mut(self.filled)? = byte;
        self.filled += 1;
        if self.filled < self.packet_size {
            return None;
        }
        self.filled = 0;
        let [head, x, y, z] = self.packet;
        let signed = |value: u8, sign: u8| i32::from(value) - if head & sign != 0 { 256 } else { 0 };
        let dz = if self.packet_size == 4 {
            i32::from((z << 4) as i8 >> 4)
        } else {
            0
        };
        Some(MousePacket {
            dx: signed(x, 0x10),
            dy: -signed(y, 0x20),
            dz,
            buttons: head & 7,
        })
    }
}

/// Defaults, then the sample rates 200, 100, 80, which unlock the wheel; says whether there is one.
fn init_mouse() -> bool {
    if !send_mouse(SET_DEFAULTS) {
        return false;
    }
    for rate in [200, 100, 80] {
        send_mouse(SET_SAMPLE_RATE);
        send_mouse(rate);
    }
    let wheel = send_mouse(IDENTIFY) && read() == Some(WHEEL_MOUSE_ID);
    send_mouse(SET_SAMPLE_RATE);
    send_mouse(100);
    send_mouse(ENABLE_REPORTING);
    wheel
}

fn writable() -> bool {
    (0..READY_TRIES).any(|_| in8(STATUS) & STATUS_INPUT == 0)
}

fn command(byte: u8) {
    if writable() {
        out8(COMMAND, byte);
    }
}

fn write(byte: u8) {
    if writable() {
        out8(DATA, byte);
    }
}

fn read() -> Option<u8> {
    (0..READY_TRIES)
        .any(|_| in8(STATUS) & STATUS_OUTPUT != 0)
        .then(|| in8(DATA))
}

fn drain() {
    for _ in 0..INPUT_BURST {
        if in8(STATUS) & STATUS_OUTPUT == 0 {
            break;
        }
        in8(DATA);
    }
    cpu::take(cpu::EVENT_KEYBOARD | cpu::EVENT_MOUSE);
}

fn acknowledged() -> bool {
    // Something typed or moved meanwhile may come first.
    (0..8).map_while(|_| read()).any(|byte| byte == DEVICE_ACK)
}

fn send_keyboard(byte: u8) -> bool {
    write(byte);
    acknowledged()
}

fn send_mouse(byte: u8) -> bool {
    command(WRITE_AUX);
    write(byte);
    acknowledged()
}
