//! The server's side of PLAIN (RFC 4616): one message, in which the password is as it is.

use zeroize::Zeroizing;

use super::{Fault, users::Candidate};
use crate::Identity;

/// The name of the mechanism.
pub(crate) const NAME: &str = "PLAIN";

/// What the client said.
pub(crate) struct Attempt {
    candidate: Candidate,
    /// Whether the client wants to be somebody else than it says.
    for_another: bool,
    password: Zeroizing<String>,
}

impl Attempt {
    /// Takes the message.
    pub(crate) fn new(message: &[u8], find: impl FnOnce(&str) -> Candidate) -> Result<Self, Fault> {
        let message = str::from_utf8(message).map_err(|_| Fault("the message is not UTF-8"))?;
        // [ authzid ] NUL name NUL password
        let parts: Vec<&str> = message.splitn(4, '\0').collect();
        let [authzid, name, password] = parts[..] else {
            return Err(Fault("the message is not IDENTITY, name and password"));
        };
        if name.is_empty() || password.is_empty() {
            return Err(Fault("name or password is empty"));
        }
        Ok(Self {
            candidate: find(name),
            for_another: !authzid.is_empty() && authzid != name,
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// Who it is; `None` when the password is wrong. Takes some hundredths of a second, whoever it is.
    pub(crate) fn check(self) -> Option<Identity> {
        let Candidate { verifier, identity } = self.candidate;
        let right = bool::from(verifier.is_of(&self.password)) && !self.for_another;
        identity.filter(|_| right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, sasl::verifier::Verifier};

    fn attempt(message: &[u8], known: bool) -> Result<Option<String>, Fault> {
        let attempt = Attempt::new(message, |name| Candidate {
            verifier: Verifier::derive("secret", b"salt", 4096),
            identity: known.then(|| Identity {
                name: name.to_owned(),
                role: Role::Control,
            }),
        });
        attempt.map(|attempt| attempt.check().map(|identity| identity.name))
    }

    #[test]
    fn the_password_counts_and_who_is_meant() {
        let ann = Some("ann".to_owned());
        assert_eq!(attempt(b"\0ann\0secret", true), Ok(ann.clone()));
        assert_eq!(attempt(b"ann\0ann\0secret", true), Ok(ann));
        assert_eq!(attempt(b"root\0ann\0secret", true), Ok(None));
        assert_eq!(attempt(b"\0ann\0Secret", true), Ok(None));
        assert_eq!(attempt(b"\0ann\0secret", false), Ok(None));
    }

    #[test]
    fn what_is_no_message_is_told_from_a_wrong_one() {
        for message in [
            &b""[..],
            b"\0",
            b"\0\0",
            b"ann\0secret",
            b"\0ann\0",
            b"\0\0secret",
            b"\0ann\0secret\0",
            b"\0ann\0\xff",
        ] {
            assert!(attempt(message, true).is_err(), "{}", String::from_utf8_lossy(message));
        }
    }
}
