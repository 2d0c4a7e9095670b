//! The pointer: an absolute one of the kernel's uinput, with buttons and a wheel.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use caraway_protocol::agent::{AgentButtons, MouseState};
use rustix::fs::{Mode, OFlags};

use crate::link::Screen;

/// Positions go from 0 to this, across the whole screen: much finer than pixels, so that the middle of each is met.
pub const MOST: u32 = (1 << 16) - 1;

// From linux/input-event-codes.h.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const EV_REL: u16 = 2;
const EV_ABS: u16 = 3;
const SYN_REPORT: u16 = 0;
const REL_WHEEL: u16 = 8;
const ABS_X: u16 = 0;
const ABS_Y: u16 = 1;
const BTN_LEFT: u16 = 0x110;
const BTN_RIGHT: u16 = 0x111;
const BTN_MIDDLE: u16 = 0x112;
const BTN_SIDE: u16 = 0x113;
const BTN_EXTRA: u16 = 0x114;

const BUTTONS: [(AgentButtons, u16); 5] = [
    (AgentButtons::LEFT, BTN_LEFT),
    (AgentButtons::MIDDLE, BTN_MIDDLE),
    (AgentButtons::RIGHT, BTN_RIGHT),
    (AgentButtons::SIDE, BTN_SIDE),
    (AgentButtons::EXTRA, BTN_EXTRA),
];

/// An event of an input device: type, code, value.
pub type InputEvent = (u16, u16, i32);

/// Makes input events of the mouse's states.
#[derive(Debug, Default)]
pub struct Mouse {
    buttons: AgentButtons,
    place: (u32, u32),
}

impl Mouse {
    /// What is to be reported, in order; nothing if nothing has changed.
    pub fn events(&mut self, mouse: &MouseState, screen: &Screen) -> Vec<InputEvent> {
        let mut events = Vec::new();
        if let Some(place) = place(mouse, screen)
            && place != self.place
        {
            self.place = place;
            // At most MOST.
            events.extend([(EV_ABS, ABS_X, place.0 as i32), (EV_ABS, ABS_Y, place.1 as i32)]);
        }
        let pressed = mouse.buttons - self.buttons;
        let changed = mouse.buttons ^ self.buttons;
        for (button, code) in BUTTONS {
            if changed.contains(button) {
                events.push((EV_KEY, code, i32::from(mouse.buttons.contains(button))));
            }
        }
        for (button, step) in [(AgentButtons::UP, 1), (AgentButtons::DOWN, -1)] {
            if pressed.contains(button) {
                events.push((EV_REL, REL_WHEEL, step));
            }
        }
        self.buttons = mouse.buttons;
        if !events.is_empty() {
            events.push((EV_SYN, SYN_REPORT, 0));
        }
        events
    }

    /// Lets go of everything: whose hand it was is gone.
    pub fn release(&mut self) -> Vec<InputEvent> {
        let mut events = Vec::new();
        for (button, code) in BUTTONS {
            if self.buttons.contains(button) {
                events.push((EV_KEY, code, 0));
            }
        }
        self.buttons = AgentButtons::empty();
        if !events.is_empty() {
            events.push((EV_SYN, SYN_REPORT, 0));
        }
        events
    }
}

/// Where on the screen that is; `None` if the screen has no such display.
fn place(mouse: &MouseState, screen: &Screen) -> Option<(u32, u32)> {
    let head = screen
        .heads
        .iter()
        .find(|head| head.display == u32::from(mouse.display))?;
    let x = head.x.saturating_add(mouse.x.min(head.width.saturating_sub(1)));
    let y = head.y.saturating_add(mouse.y.min(head.height.saturating_sub(1)));
    Some((scale(x, screen.width)?, scale(y, screen.height)?))
}

/// The middle of a pixel, so that it is met whichever way the other side rounds.
fn scale(at: u32, size: u32) -> Option<u32> {
    let steps = u64::from(MOST) + 1;
    let scaled = (2 * u64::from(at) + 1) * steps / (2 * u64::from(size)).max(1);
    (size > 0).then_some(scaled.min(u64::from(MOST)) as u32)
}

/// The device.
#[derive(Debug)]
pub struct Uinput(File);

impl Uinput {
    /// Makes the device.
    ///
    /// # Errors
    /// There is no uinput, or it may not be used.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        for kind in [EV_KEY, EV_REL, EV_ABS] {
            uinput::set(&file, uinput::Set::Kind, kind)?;
        }
        for (_, code) in BUTTONS {
            uinput::set(&file, uinput::Set::Key, code)?;
        }
        uinput::set(&file, uinput::Set::Relative, REL_WHEEL)?;
        for axis in [ABS_X, ABS_Y] {
            uinput::set(&file, uinput::Set::Absolute, axis)?;
        }
        file.write_all(&description())?;
        uinput::create(&file)?;
        Ok(Self(file))
    }

    /// Reports events.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn report(&mut self, events: &[InputEvent]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (kind, code, value) in events {
            // struct input_event: the time is the kernel's to know.
            bytes.extend_from_slice(&[0; 16]);
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(&code.to_ne_bytes());
            bytes.extend_from_slice(&value.to_ne_bytes());
        }
        self.0.write_all(&bytes)
    }
}

/// struct uinput_user_dev: a name of 80 bytes, bus, vendor, product and version, effects, and for each of 64 axes the most,
/// the least, fuzz and flat.
fn description() -> Vec<u8> {
    const AXES: usize = 64;
    const BUS_VIRTUAL: u16 = 6;
    let mut bytes = b"Caraway agent pointer".to_vec();
    bytes.resize(80, 0);
    for word in [BUS_VIRTUAL, 0, 0, 1] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&[0; 4]);
    let mut most = [0_u32; AXES];
    most[usize::from(ABS_X)] = MOST;
    most[usize::from(ABS_Y)] = MOST;
    bytes.extend(most.iter().flat_map(|most| most.to_ne_bytes()));
    bytes.resize(bytes.len() + 3 * 4 * AXES, 0);
    bytes
}

/// The ioctls of uinput.
#[allow(unsafe_code)] // Each says why it is sound.
mod uinput {
    use std::os::fd::AsFd;

    use rustix::io::Result;
    use rustix::ioctl::{IntegerSetter, NoArg, Opcode, ioctl, opcode};

    /// What is set.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum Set {
        Kind,
        Key,
        Relative,
        Absolute,
    }

    const GROUP: u8 = b'U';
    const UI_DEV_CREATE: Opcode = opcode::none(GROUP, 1);
    const UI_SET_EVBIT: Opcode = opcode::write::<i32>(GROUP, 100);
    const UI_SET_KEYBIT: Opcode = opcode::write::<i32>(GROUP, 101);
    const UI_SET_RELBIT: Opcode = opcode::write::<i32>(GROUP, 102);
    const UI_SET_ABSBIT: Opcode = opcode::write::<i32>(GROUP, 103);

    pub(super) fn set(device: impl AsFd, what: Set, number: u16) -> Result<()> {
        let number = usize::from(number);
        // SAFETY: these take a number and touch no memory of the caller's.
        unsafe {
            match what {
                Set::Kind => ioctl(device, IntegerSetter::<UI_SET_EVBIT>::new_usize(number)),
                Set::Key => ioctl(device, IntegerSetter::<UI_SET_KEYBIT>::new_usize(number)),
                Set::Relative => ioctl(device, IntegerSetter::<UI_SET_RELBIT>::new_usize(number)),
                Set::Absolute => ioctl(device, IntegerSetter::<UI_SET_ABSBIT>::new_usize(number)),
            }
        }
    }

    pub(super) fn create(device: impl AsFd) -> Result<()> {
        // SAFETY: it takes no argument.
        unsafe { ioctl(device, NoArg::<UI_DEV_CREATE>::new()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::Head;

    fn screen() -> Screen {
        let head = |display, x, width| Head {
            display,
            x,
            y: 0,
            width,
            height: 768,
        };
        Screen {
            width: 1824,
            height: 768,
            heads: vec![head(0, 0, 1024), head(1, 1024, 800)],
        }
    }

    fn at(x: u32, y: u32, display: u8, buttons: AgentButtons) -> MouseState {
        MouseState { x, y, buttons, display }
    }

    proptest! {
        #[test]
        fn every_pixel_is_met(size in 1..16384_u32, at in any::<prop::sample::Index>()) {
            let at = at.index(size as usize) as u32;
            let scaled = scale(at, size).unwrap();
            // What who shows the pointer makes of it.
            prop_assert_eq!((u64::from(scaled) * u64::from(size) / (u64::from(MOST) + 1)) as u32, at);
            prop_assert_eq!((f64::from(scaled) * f64::from(size) / f64::from(MOST + 1)).floor() as u32, at);
        }

        #[test]
        fn any_state_is_somewhere(x: u32, y: u32, display: u8, buttons: u32, width: u32, height: u32, left: u32) {
            let head = Head { display: 0, x: left, y: left, width, height };
            let screen = Screen { width, height, heads: vec![head] };
            let events = Mouse::default().events(&at(x, y, display, AgentButtons::from_bits_retain(buttons)), &screen);
            for (kind, _, value) in events {
                prop_assert!(kind != EV_ABS || (0..=MOST as i32).contains(&value));
            }
        }
    }

    #[test]
    fn displays_are_parts_of_the_screen() {
        let mut mouse = Mouse::default();
        let events = mouse.events(&at(5, 7, 1, AgentButtons::empty()), &screen());
        let (x, y) = (scale(1029, 1824).unwrap() as i32, scale(7, 768).unwrap() as i32);
        assert_eq!(
            events,
            [(EV_ABS, ABS_X, x), (EV_ABS, ABS_Y, y), (EV_SYN, SYN_REPORT, 0)]
        );
        assert!(mouse.events(&at(5, 7, 1, AgentButtons::empty()), &screen()).is_empty());
        // Neither a display that is not there nor one that is not as wide.
        assert!(mouse.events(&at(5, 7, 2, AgentButtons::empty()), &screen()).is_empty());
        let events = mouse.events(&at(5000, 7, 1, AgentButtons::empty()), &screen());
        assert_eq!(events[0], (EV_ABS, ABS_X, scale(1823, 1824).unwrap() as i32));
    }

    #[test]
    fn buttons_and_the_wheel() {
        let mut mouse = Mouse::default();
        let mut keys = |buttons| -> Vec<InputEvent> {
            let events = mouse.events(&at(0, 0, 9, buttons), &screen());
            events.into_iter().filter(|event| event.0 != EV_SYN).collect()
        };
        assert_eq!(keys(AgentButtons::LEFT), [(EV_KEY, BTN_LEFT, 1)]);
        assert_eq!(keys(AgentButtons::LEFT), []);
        let both = AgentButtons::LEFT | AgentButtons::UP;
        assert_eq!(keys(both), [(EV_REL, REL_WHEEL, 1)]);
        assert_eq!(keys(AgentButtons::LEFT), []);
        assert_eq!(keys(both), [(EV_REL, REL_WHEEL, 1)]);
        assert_eq!(
            keys(AgentButtons::RIGHT),
            [(EV_KEY, BTN_LEFT, 0), (EV_KEY, BTN_RIGHT, 1)]
        );
        assert_eq!(
            keys(AgentButtons::DOWN),
            [(EV_KEY, BTN_RIGHT, 0), (EV_REL, REL_WHEEL, -1)]
        );
    }

    #[test]
    fn what_was_held_is_let_go() {
        let mut mouse = Mouse::default();
        mouse.events(&at(0, 0, 9, AgentButtons::LEFT), &screen());
        assert_eq!(mouse.release(), [(EV_KEY, BTN_LEFT, 0), (EV_SYN, SYN_REPORT, 0)]);
        assert!(mouse.release().is_empty());
    }

    #[test]
    fn the_kernel_is_given_what_it_expects() {
        assert_eq!(description().len(), 1116);
    }
}
