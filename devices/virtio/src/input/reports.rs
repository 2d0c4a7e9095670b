//! What happened and the driver has not been told yet.

use std::collections::VecDeque;

use caraway_ports::{
    input::Button,
    tablet::{FARTHEST, TabletEvent},
};
use serde::{Deserialize, Serialize};

use super::{EVENT_BYTES, code};

/// Reports that wait at most; what comes then is merged into the last one.
pub(super) const CAPACITY: usize = 256;
/// Wheel steps a report can gather.
pub(super) const FARTHEST_WHEEL: i32 = 0x200;
/// Bits of all buttons.
pub(super) const ALL_BUTTONS: u8 = (1 << code::BUTTONS.len()) - 1;

/// What happened at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where the pointer was put, 0 to 32767.
    pub x: Option<u16>,
    /// On the other axis.
    pub y: Option<u16>,
    /// The buttons that are down afterwards: left, right, middle, side, extra from bit 0 on.
    pub buttons: u8,
    /// Wheel steps, positive = towards the person.
    pub wheel: i32,
}

impl Report {
    fn is_place(&self, buttons_before: u8) -> bool {
        self.wheel == 0 && self.buttons == buttons_before
    }

    fn is_nothing(&self, buttons_before: u8) -> bool {
        self.x.is_none() && self.y.is_none() && self.is_place(buttons_before)
    }

    fn turn(&mut self, steps: i32) {
        self.wheel = self.wheel.saturating_add(steps).clamp(-FARTHEST_WHEEL, FARTHEST_WHEEL);
    }

    /// Adds what happened next.
    fn merge(&mut self, next: &Self) {
        (self.x, self.y) = (next.x.or(self.x), next.y.or(self.y));
        self.buttons = next.buttons;
        self.turn(next.wheel);
    }

    /// Whether it can be.
    pub(super) fn is_valid(&self) -> bool {
        let fits = |place: Option<u16>| place.is_none_or(|place| place <= FARTHEST);
        fits(self.x)
            && fits(self.y)
            && self.buttons & !ALL_BUTTONS == 0
            && self.wheel.unsigned_abs() <= FARTHEST_WHEEL.unsigned_abs()
    }

    /// The events, with SYN_REPORT at the end; none if the driver knows it all.
    fn events(&self, told: u8) -> Vec<[u8; EVENT_BYTES]> {
        let mut events = Vec::new();
        for (axis, place) in [(code::ABS_X, self.x), (code::ABS_Y, self.y)] {
            events.extend(place.map(|place| event(code::EV_ABS, axis, place.into())));
        }
        for (bit, button) in code::BUTTONS.into_iter().enumerate() {
            if (self.buttons ^ told) >> bit & 1 != 0 {
                events.push(event(code::EV_KEY, button, i32::from(self.buttons >> bit & 1)));
            }
        }
        if self.wheel != 0 {
            // Away from the person is positive there.
            events.push(event(code::EV_REL, code::REL_WHEEL, -self.wheel));
        }
        if !events.is_empty() {
            events.push(event(code::EV_SYN, code::SYN_REPORT, 0));
        }
        events
    }
}

/// `struct virtio_input_event`: type, code, value, little-endian.
fn event(kind: u16, code: u16, value: i32) -> [u8; EVENT_BYTES] {
    let ([k0, k1], [c0, c1], [v0, v1, v2, v3]) = (kind.to_le_bytes(), code.to_le_bytes(), value.to_le_bytes());
    [k0, k1, c0, c1, v0, v1, v2, v3]
}

fn bit(button: Button) -> u8 {
    match button {
        Button::Left => 1,
        Button::Right => 1 << 1,
        Button::Middle => 1 << 2,
        Button::Side => 1 << 3,
        Button::Extra => 1 << 4,
    }
}

/// Reports in their order.
#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) waiting: VecDeque<Report>,
    /// Buttons the driver believes to be down.
    pub(super) told: u8,
}

impl Reports {
    /// Takes up what happened at once. A button that changes twice makes two reports.
    pub(super) fn push(&mut self, events: &[TabletEvent]) {
        let mut report = self.next();
        for event in events {
            match *event {
                TabletEvent::X(x) => report.x = Some(x.min(FARTHEST)),
                TabletEvent::Y(y) => report.y = Some(y.min(FARTHEST)),
                TabletEvent::Wheel(steps) => report.turn(steps),
                TabletEvent::Button { button, down } => {
                    let bit = bit(button);
                    if (report.buttons & bit != 0) == down {
                        continue;
                    }
                    if (report.buttons ^ self.buttons()) & bit != 0 {
                        self.add(&report);
                        report = self.next();
                    }
                    report.buttons ^= bit;
                }
            }
        }
        self.add(&report);
    }

    /// One in which nothing has happened yet.
    fn next(&self) -> Report {
        Report {
            buttons: self.buttons(),
            ..Report::default()
        }
    }

    /// Buttons that are down.
    fn buttons(&self) -> u8 {
        self.waiting.back().map_or(self.told, |last| last.buttons)
    }

    fn add(&mut self, report: &Report) {
        let before = self.buttons();
        if report.is_nothing(before) {
            return;
        }
        let is_full = self.waiting.len() >= CAPACITY;
        let before_last = self
            .waiting
            .iter()
            .rev()
            .nth(1)
            .map_or(self.told, |report| report.buttons);
        match self.waiting.back_mut() {
            // A click is to be where it was made: only places are merged into places.
            Some(last) if is_full || (report.is_place(before) && last.is_place(before_last)) => last.merge(report),
            _ => self.waiting.push_back(*report),
        }
    }

    /// The events of the first report, if there is one.
    pub(super) fn first(&mut self) -> Option<Vec<[u8; EVENT_BYTES]>> {
        while let Some(report) = self.waiting.front() {
            let events = report.events(self.told);
            if !events.is_empty() {
                return Some(events);
            }
            self.waiting.pop_front();
        }
        None
    }

    /// The driver has been told the first report.
    pub(super) fn first_is_told(&mut self) {
        if let Some(report) = self.waiting.pop_front() {
            self.told = report.buttons;
        }
    }
}
