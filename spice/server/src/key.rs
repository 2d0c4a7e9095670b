//! The RSA key that tickets are encrypted with: made beside the event loop, and anew every hour.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caraway_protocol::link::{PUBLIC_KEY_BYTES, Ticket};
use rsa::{PrivateKey, pkcs8::EncodePublicKey};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq};
use tokio::{sync::watch, time::Instant};
use zeroize::Zeroizing;

/// Bits of the modulus; the protocol knows no other size.
const BITS: usize = 1024;

/// A link that comes so long after the key was made has another one made.
const LIFE: Duration = Duration::from_secs(3600);

pub(crate) struct TicketKey {
    private: PrivateKey,
    public: [u8; PUBLIC_KEY_BYTES],
}

impl TicketKey {
    fn generate() -> Result<Self, String> {
        let private = PrivateKey::new(&mut rand::rngs::SysRng, BITS).map_err(|error| error.to_string())?;
        let der = private
            .to_public_key()
            .to_public_key_der()
            .map_err(|error| error.to_string())?;
        let public = der
            .as_bytes()
            .try_into()
            .map_err(|_| format!("the public key is {} bytes long", der.as_bytes().len()))?;
        Ok(Self { private, public })
    }

    /// The key in the link reply.
    pub(crate) fn public(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.public
    }

    /// The password in the ticket; `None` if it was not made for this key.
    pub(crate) fn open(&self, ticket: &Ticket) -> Option<Password> {
        let plain = Zeroizing::new(self.private.oaep_decrypt::<Sha1>(&ticket.0).ok()?);
        Some(Password::of(plain.split(|byte| *byte == 0).next().unwrap_or_default()))
    }
}

/// A password in a block of fixed size, so that its length does not show in the time that a comparison takes.
pub(crate) struct Password(Zeroizing<[u8; BITS / 8]>);

impl Password {
    /// Bytes that do not fit are left out; none of what is compared has as many.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BITS / 8]);
        for (to, from) in block.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(block)
    }

    /// Whether it is this one. Takes as long whatever the two are.
    pub(crate) fn is(&self, other: &Self) -> Choice {
        self.0[..].ct_eq(&other.0[..])
    }
}

/// The key, as soon as it is there.
#[derive(Clone)]
pub(crate) struct KeyHandle(Arc<Making>);

struct Making {
    state: watch::Sender<State>,
    /// When a key was asked for the last time.
    asked: Mutex<Instant>,
}

#[derive(Clone)]
enum State {
    /// The first one is being made.
    Awaited,
    Made(Arc<TicketKey>),
    /// There is none, and will not be for an hour.
    Failed,
}

impl KeyHandle {
    /// Starts making the key on a thread of its own.
    pub(crate) fn spawn() -> Self {
        let handle = Self(Arc::new(Making {
            state: watch::Sender::new(State::Awaited),
            asked: Mutex::new(Instant::now()),
        }));
        handle.make();
        handle
    }

    fn make(&self) {
        let making = Arc::clone(&self.0);
        let started =
            std::thread::Builder::new()
                .name("ticket-key".to_owned())
                .spawn(move || match TicketKey::generate() {
                    Ok(key) => drop(making.state.send_replace(State::Made(Arc::new(key)))),
                    Err(error) => making.fail(&error),
                });
        if let Err(error) = started {
            self.0.fail(&error.to_string());
        }
    }

    /// Waits for the key; `None` when there is none. One that is too old serves until the next is made: nobody waits for
    /// that, and links that are under way keep what they have.
    pub(crate) async fn get(&self) -> Option<Arc<TicketKey>> {
        if self.0.is_due() {
            self.make();
        }
        let mut receiver = self.0.state.subscribe();
        let state = receiver.wait_for(|state| !matches!(state, State::Awaited)).await;
        match &*state.ok()? {
            State::Made(key) => Some(Arc::clone(key)),
            State::Awaited | State::Failed => None,
        }
    }
}

impl Making {
    /// Whether it is time for another key; says so once.
    fn is_due(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.elapsed() >= LIFE;
        if due {
            *asked = Instant::now();
        }
        due
    }

    fn fail(&self, error: &str) {
        tracing::error!(%error, "no key for tickets could be made");
        self.state.send_if_modified(|state| {
            let first = matches!(state, State::Awaited);
            if first {
                *state = State::Failed;
            }
            first
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(key: &TicketKey, password: &[u8]) -> Ticket {
        let bytes = key.private.to_public_key().oaep_encrypt::<Sha1>(password).unwrap();
        Ticket(bytes.try_into().unwrap())
    }

    #[test]
    fn the_public_key_has_the_shape_every_client_expects() {
        let key = TicketKey::generate().unwrap();
        assert_eq!(key.public()[..3], [0x30, 0x81, 0x9f]);
        assert_eq!(key.public()[157..], [0x02, 0x03, 0x01, 0x00, 0x01]);
    }

    #[test]
    fn only_the_right_password_passes() {
        let key = TicketKey::generate().unwrap();
        let is = |plain: &[u8]| {
            let given = key.open(&ticket(&key, plain)).unwrap();
            bool::from(given.is(&Password::of(b"secret")))
        };
        assert!(is(b"secret\0") && is(b"secret"));
        assert!(!is(b"secret2\0") && !is(b"secre\0t") && !is(b"\0"));
    }

    #[test]
    fn without_a_password_a_ticket_must_still_decrypt() {
        let key = TicketKey::generate().unwrap();
        assert!(key.open(&ticket(&key, b"\0")).is_some());
        assert!(key.open(&Ticket([0x55; 128])).is_none());
        assert!(key.open(&Ticket([0; 128])).is_none());
        assert!(key.open(&Ticket([0xff; 128])).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_is_made_anew_every_hour_and_links_keep_theirs() {
        let keys = KeyHandle::spawn();
        let first = keys.get().await.unwrap();
        tokio::time::advance(LIFE - Duration::from_secs(1)).await;
        assert!(Arc::ptr_eq(&first, &keys.get().await.unwrap()));
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut changes = keys.0.state.subscribe();
        // Nobody waits for the next one.
        assert!(Arc::ptr_eq(&first, &keys.get().await.unwrap()));
        changes.changed().await.unwrap();
        let second = keys.get().await.unwrap();
        assert_ne!(first.public(), second.public());
        assert!(first.open(&ticket(&first, b"secret\0")).is_some());
    }
}
