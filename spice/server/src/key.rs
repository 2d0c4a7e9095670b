//! The RSA key that tickets are encrypted with: one per process, made beside the event loop.

use std::sync::Arc;

use caraway_protocol::link::{PUBLIC_KEY_BYTES, Ticket};
use rsa::{PrivateKey, pkcs8::EncodePublicKey};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Bits of the modulus; the protocol knows no other size.
const BITS: usize = 1024;

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

    /// Whether the ticket holds `expected`; with `None` it only has to decrypt. Takes as long whatever the password.
    pub(crate) fn check(&self, ticket: &Ticket, expected: Option<&str>) -> bool {
        let Ok(plain) = self.private.oaep_decrypt::<Sha1>(&ticket.0) else {
            return false;
        };
        let plain = Zeroizing::new(plain);
        let Some(expected) = expected else { return true };
        // Both are compared as a block of fixed size, so that neither length shows in the time.
        let mut given = Zeroizing::new([0; BITS / 8]);
        let mut wanted = Zeroizing::new([0; BITS / 8]);
        let password = plain.split(|byte| *byte == 0).next().unwrap_or_default();
        for (to, from) in given.iter_mut().zip(password) {
            *to = *from;
        }
        for (to, from) in wanted.iter_mut().zip(expected.as_bytes()) {
            *to = *from;
        }
        !expected.is_empty() && bool::from(given[..].ct_eq(&wanted[..]))
    }
}

/// The key, as soon as it is there.
#[derive(Clone)]
pub(crate) struct KeyHandle(watch::Receiver<Option<Arc<TicketKey>>>);

impl KeyHandle {
    /// Starts making the key on a thread of its own.
    pub(crate) fn spawn() -> Self {
        let (sender, receiver) = watch::channel(None);
        let made = std::thread::Builder::new()
            .name("ticket-key".to_owned())
            .spawn(move || match TicketKey::generate() {
                Ok(key) => {
                    sender.send_replace(Some(Arc::new(key)));
                }
                Err(error) => tracing::error!(%error, "no key for tickets: nobody can connect"),
            });
        if let Err(error) = made {
            tracing::error!(%error, "no thread for the ticket key: nobody can connect");
        }
        Self(receiver)
    }

    /// Waits for the key; `None` when there will never be one.
    pub(crate) async fn get(&self) -> Option<Arc<TicketKey>> {
        let mut receiver = self.0.clone();
        receiver.wait_for(Option::is_some).await.ok()?.clone()
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
        assert!(key.check(&ticket(&key, b"secret\0"), Some("secret")));
        assert!(key.check(&ticket(&key, b"secret"), Some("secret")));
        assert!(!key.check(&ticket(&key, b"secret2\0"), Some("secret")));
        assert!(!key.check(&ticket(&key, b"secre\0t"), Some("secret")));
        assert!(!key.check(&ticket(&key, b"\0"), Some("secret")));
        assert!(!key.check(&ticket(&key, b"\0"), Some("")));
    }

    #[test]
    fn without_a_password_a_ticket_must_still_decrypt() {
        let key = TicketKey::generate().unwrap();
        assert!(key.check(&ticket(&key, b"\0"), None));
        assert!(!key.check(&Ticket([0x55; 128]), None));
        assert!(!key.check(&Ticket([0; 128]), None));
        assert!(!key.check(&Ticket([0xff; 128]), None));
    }
}
