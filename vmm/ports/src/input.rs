//! Viewer to device: what a person does.

use std::sync::Arc;

/// A key by its place on the keyboard: PS/2 set 1 make code, with its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scancode {
    /// One byte, 0x01-0x7f.
    Plain(u8),
    /// 0xe0 and one byte, 0x01-0x7f.
    Extended(u8),
    /// The Pause key (e1 1d 45), which has no break code of its own on a real keyboard.
    Pause,
}

/// A mouse button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Button {
    /// Left.
    Left,
    /// Middle.
    Middle,
    /// Right.
    Right,
    /// Fourth ("back").
    Side,
    /// Fifth ("forward").
    Extra,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEvent {
    /// A key goes down or up.
    Key { code: Scancode, down: bool },
    /// Relative motion, right and down positive.
    Motion { dx: i32, dy: i32 },
    /// A button goes down or up.
    Button { button: Button, down: bool },
    /// Wheel steps, positive = towards the person (down).
    Wheel(i32),
}

/// Keyboard lights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leds {
    /// Scroll lock.
    pub scroll: bool,
    /// Num lock.
    pub num: bool,
    /// Caps lock.
    pub caps: bool,
}

/// Told when the guest changes the keyboard lights. Called on a device thread; must not block.
pub trait LedListener: Send + Sync {
    /// The new state.
    fn leds_changed(&self, leds: Leds);
}

/// The keyboard and mouse of one machine. Never blocks; any thread may call.
pub trait InputSink: Send + Sync {
    /// Queues an event. When the queue is full motion is merged or dropped, key and button releases never.
    fn send(&self, event: InputEvent);

    /// Events the guest has not read yet. A typist that waits for 0 between keys loses none.
    fn pending(&self) -> usize;

    /// The lights now.
    fn leds(&self) -> Leds;

    /// Asks to be told about changes of the lights for as long as the `Arc` is alive elsewhere.
    fn watch_leds(&self, listener: Arc<dyn LedListener>);
}
