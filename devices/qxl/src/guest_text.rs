//! Text from the guest on its way to the host's log: printable, bounded, and not too much of it.

use std::time::Duration;

/// Lines let through in a burst, and the time after which one more is.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_millis(200);

/// The bytes up to the first NUL as printable text.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = bytes.get(..end).unwrap_or(bytes);
    String::from_utf8_lossy(text)
        .trim_end()
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// A token bucket.
#[derive(Debug)]
pub(crate) struct RateLimit {
    tokens: u32,
    /// On the device's clock.
    since: Duration,
}

impl RateLimit {
    pub(crate) const fn new() -> Self {
        Self {
            tokens: BURST,
            since: Duration::ZERO,
        }
    }

    /// Whether one more line may pass.
    pub(crate) fn allow(&mut self, now: Duration) -> bool {
        let periods = now.saturating_sub(self.since).as_millis() / REFILL.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            self.tokens = self.tokens.saturating_add(periods).min(BURST);
            self.since = now;
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_what_follows_a_nul_do_not_reach_the_log() {
        assert_eq!(printable(b"a\x1b[31mb\r\nc\n\0secret"), "a [31mb  c");
        assert_eq!(printable(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(printable(b""), "");
    }

    #[test]
    fn a_flood_is_cut_to_the_burst_and_refills_with_time() {
        let start = Duration::from_millis(7);
        let mut limit = RateLimit::new();
        assert_eq!((0..1000).filter(|_| limit.allow(start)).count(), 10);
        assert!(limit.allow(start + Duration::from_millis(250)));
        assert!(!limit.allow(start + Duration::from_millis(260)));
        let later = start + Duration::from_secs(1 << 40);
        assert_eq!((0..1000).filter(|_| limit.allow(later)).count(), 10);
    }
}
