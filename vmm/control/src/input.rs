//! Keys and pointer events on behalf of a program. Typing is closed-loop: the next key is sent when the guest has read
//! the one before, so none is lost and no time is wasted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caraway_ports::{
    input::{Button, InputEvent, InputSink, Scancode},
    tablet::{FARTHEST, TabletEvent, TabletSink},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{QmpError, keys};

/// Longest text one command types, in characters.
const MAX_TEXT: usize = 64 * 1024;
/// A guest that has not read a key for this long is not reading.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// QMP's `KeyValue`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub(crate) enum KeyValue {
    Qcode(String),
    Number(i64),
}

impl KeyValue {
    fn scancode(&self) -> Result<Scancode, QmpError> {
        match self {
            Self::Qcode(name) => keys::by_qcode(name)
                .ok_or_else(|| QmpError::generic(format!("Invalid parameter 'data': {name:?} is not a key"))),
            Self::Number(number) => keys::by_number(*number)
                .ok_or_else(|| QmpError::generic(format!("Invalid parameter 'data': {number} is not a key"))),
        }
    }
}

/// QMP's `InputEvent`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
pub(crate) enum QmpInput {
    Key { key: KeyValue, down: bool },
    Btn { button: String, down: bool },
    Rel { axis: String, value: i64 },
    Abs { axis: String, value: i64 },
}

/// `input-send-event`: all events are checked before the first is sent. As in QEMU, places, buttons and the wheel are the
/// tablet's while the guest has a driver for it.
pub(crate) fn send_events(
    sink: &dyn InputSink,
    tablet: Option<&dyn TabletSink>,
    events: &[QmpInput],
) -> Result<(), QmpError> {
    let tablet = tablet.filter(|tablet| tablet.is_present());
    let (mut others, mut tablets) = (Vec::with_capacity(events.len()), Vec::new());
    for event in events {
        match (convert(event)?, tablet) {
            (Converted::Nothing, _) => {}
            (Converted::Other(event), _) => others.push(event),
            (Converted::Place(event), Some(_)) => tablets.push(event),
            (Converted::Place(_), None) => {
                return Err(QmpError::generic(
                    "abs: this machine has a relative pointer only, or the guest no driver for the other one: use rel",
                ));
            }
            (Converted::Wheel(steps), Some(_)) => tablets.push(TabletEvent::Wheel(steps)),
            (Converted::Wheel(steps), None) => others.push(InputEvent::Wheel(steps)),
            (Converted::Button { button, down }, Some(_)) => {
                tablets.push(TabletEvent::Button { button, down });
                // It may have gone down before there was a driver.
                if !down {
                    others.push(InputEvent::Button { button, down });
                }
            }
            (Converted::Button { button, down }, None) => others.push(InputEvent::Button { button, down }),
        }
    }
    for event in others {
        sink.send(event);
    }
    if let Some(tablet) = tablet.filter(|_| !tablets.is_empty()) {
        tablet.send(&tablets);
    }
    Ok(())
}

/// `query-mice`: the one that buttons are sent to comes first.
pub(crate) fn mice(tablet: Option<&dyn TabletSink>) -> Value {
    let has_tablet = tablet.is_some_and(|tablet| tablet.is_present());
    let mut mice = vec![json!({"name": "PS/2 mouse", "index": 1, "current": !has_tablet, "absolute": false})];
    if has_tablet {
        mice.insert(
            0,
            json!({"name": "Virtio tablet", "index": 2, "current": true, "absolute": true}),
        );
    }
    Value::Array(mice)
}

/// An event that can be.
enum Converted {
    /// It says nothing.
    Nothing,
    /// A key or motion.
    Other(InputEvent),
    Place(TabletEvent),
    Wheel(i32),
    Button {
        button: Button,
        down: bool,
    },
}

fn convert(event: &QmpInput) -> Result<Converted, QmpError> {
    let step = |value: i64| {
        i32::try_from(value).map_err(|_| QmpError::generic(format!("Invalid parameter 'value': {value} is too large")))
    };
    let no_axis = |axis: &str| QmpError::generic(format!("Invalid parameter 'axis': {axis:?} is not x or y"));
    Ok(match event {
        QmpInput::Key { key, down } => Converted::Other(InputEvent::Key {
            code: key.scancode()?,
            down: *down,
        }),
        QmpInput::Btn { button, down } => match (button.as_str(), *down) {
            // A wheel step is a press; its release says nothing more.
            ("wheel-up" | "wheel-down", false) => Converted::Nothing,
            ("wheel-up", true) => Converted::Wheel(-1),
            ("wheel-down", true) => Converted::Wheel(1),
            (name, down) => Converted::Button {
                button: button_of(name)?,
                down,
            },
        },
        QmpInput::Rel { axis, value } => {
            let (dx, dy) = match axis.as_str() {
                "x" => (step(*value)?, 0),
                "y" => (0, step(*value)?),
                other => return Err(no_axis(other)),
            };
            Converted::Other(InputEvent::Motion { dx, dy })
        }
        QmpInput::Abs { axis, value } => {
            let place = u16::try_from(*value).ok().filter(|place| *place <= FARTHEST);
            let place = place.ok_or_else(|| {
                QmpError::generic(format!("Invalid parameter 'value': {value} is not 0 to {FARTHEST}"))
            })?;
            Converted::Place(match axis.as_str() {
                "x" => TabletEvent::X(place),
                "y" => TabletEvent::Y(place),
                other => return Err(no_axis(other)),
            })
        }
    })
}

fn button_of(name: &str) -> Result<Button, QmpError> {
    Ok(match name {
        "left" => Button::Left,
        "middle" => Button::Middle,
        "right" => Button::Right,
        "side" => Button::Side,
        "extra" => Button::Extra,
        other => {
            return Err(QmpError::generic(format!(
                "Invalid parameter 'button': {other:?} is not a button"
            )));
        }
    })
}

/// `send-key`: presses in order, holds, releases in reverse order.
pub(crate) async fn send_keys(sink: &Arc<dyn InputSink>, keys: &[KeyValue], hold: Duration) -> Result<(), QmpError> {
    if keys.is_empty() || keys.len() > 16 {
        return Err(QmpError::generic(format!(
            "Invalid parameter 'keys': {} keys, not 1 to 16",
            keys.len()
        )));
    }
    let codes = keys.iter().map(KeyValue::scancode).collect::<Result<Vec<_>, _>>()?;
    let sink = Arc::clone(sink);
    // On a task of its own: who leaves meanwhile must not leave keys pressed.
    let pressing = tokio::spawn(async move {
        for code in &codes {
            sink.send(InputEvent::Key {
                code: *code,
                down: true,
            });
        }
        tokio::time::sleep(hold).await;
        for code in codes.iter().rev() {
            sink.send(InputEvent::Key {
                code: *code,
                down: false,
            });
        }
    });
    pressing
        .await
        .map_err(|error| QmpError::generic(format!("the command died: {error}")))
}

/// `x-caraway-type`: types text on a US keyboard.
pub(crate) async fn type_text(sink: &Arc<dyn InputSink>, text: &str) -> Result<(), QmpError> {
    const SHIFT: Scancode = Scancode::Plain(0x2a);
    let count = text.chars().count();
    if count > MAX_TEXT {
        return Err(QmpError::generic(format!(
            "Invalid parameter 'text': {count} characters, at most {MAX_TEXT}"
        )));
    }
    let mut typed = Vec::with_capacity(count);
    for character in text.chars() {
        typed.push(keys::by_char(character).ok_or_else(|| {
            QmpError::generic(format!(
                "Invalid parameter 'text': {character:?} is not on a US keyboard"
            ))
        })?);
    }
    for (done, (code, shift)) in typed.iter().enumerate() {
        if *shift {
            sink.send(InputEvent::Key {
                code: SHIFT,
                down: true,
            });
        }
        sink.send(InputEvent::Key {
            code: *code,
            down: true,
        });
        sink.send(InputEvent::Key {
            code: *code,
            down: false,
        });
        if *shift {
            sink.send(InputEvent::Key {
                code: SHIFT,
                down: false,
            });
        }
        wait_until_read(sink).await.map_err(|pending| {
            QmpError::generic(format!(
                "the guest does not read its keyboard: {pending} events wait after {done} of {count} characters"
            ))
        })?;
    }
    Ok(())
}

async fn wait_until_read(sink: &Arc<dyn InputSink>) -> Result<(), usize> {
    let start = Instant::now();
    loop {
        match sink.pending() {
            0 => return Ok(()),
            pending if start.elapsed() > READ_TIMEOUT => return Err(pending),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}
