//! The acknowledgement window of a channel, both sides of it.

use crate::common::SetAck;

/// Server side: how many messages may be on their way. Off until [`Self::set_window`].
///
/// Every message sent is counted with [`Self::on_sent`], SET_ACK, PING and LIST included: one that is not makes the
/// window drift. Clients begin to count at SET_ACK or behind it; the difference of one is harmless, since sending
/// stops only beyond twice the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckWindow {
    generation: u32,
    window: u32,
    sent: u32,
    /// Generation the client has confirmed last.
    synced: Option<u32>,
}

impl AckWindow {
    /// A channel without acknowledgement.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            generation: 0,
            window: 0,
            sent: 0,
            synced: None,
        }
    }

    /// Starts a new generation with this window; the message to send. 0 turns acknowledgement off.
    pub const fn set_window(&mut self, window: u32) -> SetAck {
        self.generation = self.generation.wrapping_add(1);
        self.window = window;
        self.sent = 0;
        SetAck {
            generation: self.generation,
            window,
        }
    }

    /// Whether the next message may be sent now.
    #[must_use]
    pub const fn can_send(&self) -> bool {
        self.window == 0 || self.sent <= self.window.saturating_mul(2)
    }

    /// A message has been sent.
    pub const fn on_sent(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }

    /// The client has seen the SET_ACK of this generation.
    pub const fn on_ack_sync(&mut self, generation: u32) {
        self.synced = Some(generation);
    }

    /// The client has received one more window of messages. Ignored while the client counts by an older SET_ACK.
    pub fn on_ack(&mut self) {
        if self.synced == Some(self.generation) {
            self.sent = self.sent.saturating_sub(self.window);
        }
    }

    /// Messages sent and not yet acknowledged.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.sent
    }
}

/// Client side: when an ACK is due. Off until [`Self::on_set_ack`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckCounter {
    window: u32,
    received: u32,
}

impl AckCounter {
    /// A channel without acknowledgement.
    #[must_use]
    pub const fn new() -> Self {
        Self { window: 0, received: 0 }
    }

    /// The server wants acknowledgement; the generation to answer with in ACK_SYNC. Counting begins with the next
    /// message.
    pub const fn on_set_ack(&mut self, set: SetAck) -> u32 {
        self.window = set.window;
        self.received = 0;
        set.generation
    }

    /// A message other than SET_ACK has arrived; whether an ACK is due now.
    #[must_use]
    pub const fn on_received(&mut self) -> bool {
        if self.window == 0 {
            return false;
        }
        self.received = self.received.saturating_add(1);
        if self.received < self.window {
            return false;
        }
        self.received = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send_while_possible(window: &mut AckWindow, at_most: u32) -> u32 {
        let mut sent = 0;
        while sent < at_most && window.can_send() {
            window.on_sent();
            sent += 1;
        }
        sent
    }

    #[test]
    fn a_channel_without_window_never_stops() {
        let mut window = AckWindow::new();
        assert_eq!(send_while_possible(&mut window, 1000), 1000);
    }

    #[test]
    fn sending_stops_beyond_twice_the_window_and_goes_on_after_an_ack() {
        let mut window = AckWindow::new();
        let set = window.set_window(20);
        assert_eq!(
            set,
            SetAck {
                generation: 1,
                window: 20
            }
        );
        window.on_ack_sync(1);
        assert_eq!(send_while_possible(&mut window, 1000), 41);
        window.on_ack();
        assert_eq!(send_while_possible(&mut window, 1000), 20);
    }

    #[test]
    fn acks_of_an_older_generation_do_not_count() {
        let mut window = AckWindow::new();
        let first = window.set_window(1);
        window.on_ack_sync(first.generation);
        let second = window.set_window(2);
        assert_eq!(send_while_possible(&mut window, 100), 5);
        window.on_ack();
        assert!(!window.can_send());
        window.on_ack_sync(second.generation);
        window.on_ack();
        assert!(window.can_send());
    }

    #[test]
    fn surplus_acks_do_not_give_credit() {
        let mut window = AckWindow::new();
        window.set_window(2);
        window.on_ack_sync(1);
        (0..100).for_each(|_| window.on_ack());
        assert_eq!(send_while_possible(&mut window, 100), 5);
    }

    #[test]
    fn a_client_acks_every_window_and_keeps_the_server_going() {
        let (mut window, mut counter) = (AckWindow::new(), AckCounter::new());
        let set = window.set_window(20);
        window.on_sent();
        window.on_ack_sync(counter.on_set_ack(set));
        for _ in 0..1000 {
            assert!(window.can_send());
            window.on_sent();
            if counter.on_received() {
                window.on_ack();
            }
        }
        assert!(window.in_flight() <= 21);
    }

    #[test]
    fn a_window_of_zero_asks_for_no_acks() {
        let mut counter = AckCounter::new();
        counter.on_set_ack(SetAck {
            generation: 3,
            window: 0,
        });
        assert!(!counter.on_received());
    }
}
