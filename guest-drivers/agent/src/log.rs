//! Lines for the journal, and not more of them than anybody reads.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines in a [`PERIOD`].
const MOST: u32 = 40;
const PERIOD: Duration = Duration::from_secs(30);

/// Since when is counted, and how many there were.
static SEEN: Mutex<Option<(Instant, u32)>> = Mutex::new(None);

/// Writes a line to standard error; what could act on a terminal in it is taken out.
pub fn note(text: &str) {
    let now = Instant::now();
    let count = {
        let Ok(mut seen) = SEEN.lock() else {
            return;
        };
        let (since, count) = seen.filter(|(since, _)| now - *since < PERIOD).unwrap_or((now, 0));
        *seen = Some((since, count.saturating_add(1)));
        count
    };
    let line = match count {
        count if count < MOST => text.replace(char::is_control, "?"),
        MOST => format!("more lines in {} s are left out", PERIOD.as_secs()),
        _ => return,
    };
    // There is nobody else to tell.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
