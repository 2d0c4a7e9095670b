//! Keys and pointer events on behalf of a program. Typing is closed-loop: the next key is sent when the guest has read
//! the one before, so none is lost and no time is wasted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caraway_ports::input::{Button, InputEvent, InputSink, Scancode};
use serde::Deserialize;

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

/// `input-send-event`: all events are checked before the first is sent.
pub(crate) fn send_events(sink: &dyn InputSink, events: &[QmpInput]) -> Result<(), QmpError> {
    let mut checked = Vec::with_capacity(events.len());
    for event in events {
        if let Some(event) = convert(event)? {
            checked.push(event);
        }
    }
    for event in checked {
        sink.send(event);
    }
    Ok(())
}

fn convert(event: &QmpInput) -> Result<Option<InputEvent>, QmpError> {
    let step = |value: i64| {
        i32::try_from(value).map_err(|_| QmpError::generic(format!("Invalid parameter 'value': {value} is too large")))
    };
    Ok(Some(match event {
        QmpInput::Key { key, down } => InputEvent::Key {
            code: key.scancode()?,
            down: *down,
        },
        QmpInput::Btn { button, down } => match button.as_str() {
            "wheel-up" | "wheel-down" => {
                // A wheel step is a press; its release says nothing more.
                if !*down {
                    return Ok(None);
                }
                InputEvent::Wheel(if button == "wheel-up" { -1 } else { 1 })
            }
            name => InputEvent::Button {
                button: button_of(name)?,
                down: *down,
            },
        },
        QmpInput::Rel { axis, value } => match axis.as_str() {
            "x" => InputEvent::Motion {
                dx: step(*value)?,
                dy: 0,
            },
            "y" => InputEvent::Motion {
                dx: 0,
                dy: step(*value)?,
            },
            other => {
                return Err(QmpError::generic(format!(
                    "Invalid parameter 'axis': {other:?} is not x or y"
                )));
            }
        },
        QmpInput::Abs { axis, value } => {
            return Err(QmpError::generic(format!(
                "abs {axis} {value}: this machine has a relative pointer only, use rel"
            )));
        }
    }))
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
