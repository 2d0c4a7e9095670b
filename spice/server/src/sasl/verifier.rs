//! What is kept of a password: enough to know it when it comes, not to say it.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Bytes of what SHA-256 makes.
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) type Key = [u8; KEY_BYTES];

/// Fewest iterations: those RFC 7677 asks for.
pub(crate) const MIN_ITERATIONS: u32 = 4096;
/// Most iterations: about a second on a slow machine, for a client that sends its password as it is.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Iterations of a verifier that is made here: the most that Cyrus SASL, which clients use, agrees to.
pub(crate) const ITERATIONS: u32 = 65_536;
/// Bytes of the salt of a verifier that is made here.
pub(crate) const SALT_BYTES: usize = 16;
/// Most bytes of a salt.
const MAX_SALT: usize = 64;

/// How a verifier begins as text; no other mechanism has one here.
const PREFIX: &str = "SCRAM-SHA-256$";

/// A password's verifier for SCRAM-SHA-256 (RFC 5802, 7677). As text it is what PostgreSQL keeps:
/// `SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, the last three in Base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
}

/// Text that is no verifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// It has not the parts it should have.
    #[error("the verifier is not SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY")]
    Shape,
    /// A count that cannot be.
    #[error("{given:?} is not {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations")]
    Iterations {
        /// What is given.
        given: String,
    },
    /// Bytes that cannot be.
    #[error("the {what} is not {bytes} bytes in Base64")]
    Bytes {
        /// Which.
        what: &'static str,
        /// How many there should be.
        bytes: &'static str,
    },
}

impl Verifier {
    /// Of a password, with a salt of its own. Takes some hundredths of a second.
    #[must_use]
    pub fn of_password(password: &str) -> Self {
        let salt: [u8; SALT_BYTES] = rand::random();
        Self::derive(password, &salt, ITERATIONS)
    }

    pub(crate) fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = Zeroizing::new([0; KEY_BYTES]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted[..]);
        let client_key = Zeroizing::new(mac(&salted[..], &[b"Client Key"]));
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(&client_key[..]).into(),
            server_key: mac(&salted[..], &[b"Server Key"]),
        }
    }

    /// Whether it is of this password. Takes as long as making it.
    pub(crate) fn is_of(&self, password: &str) -> Choice {
        let given = Self::derive(password, &self.salt, self.iterations);
        self.stored_key.ct_eq(&given.stored_key)
    }
}

/// HMAC-SHA-256 of the parts, one behind the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Key {
    // HMAC takes keys of any length: there is no error to be had.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|bytes| BASE64.encode(bytes));
        write!(f, "{PREFIX}{}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let parts = || {
            let (salted, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
            Some((salted.split_once(':')?, keys.split_once(':')?))
        };
        let ((iterations, salt), (stored, server)) = parts().ok_or(VerifierError::Shape)?;
        let digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let counted = iterations
            .parse()
            .ok()
            .filter(|count| digits && (MIN_ITERATIONS..=MAX_ITERATIONS).contains(count));
        let salt = BASE64
            .decode(salt)
            .ok()
            .filter(|salt| (1..=MAX_SALT).contains(&salt.len()));
        Ok(Self {
            iterations: counted.ok_or_else(|| VerifierError::Iterations {
                given: iterations.to_owned(),
            })?,
            salt: salt.ok_or(VerifierError::Bytes {
                what: "salt",
                bytes: "1 to 64",
            })?,
            stored_key: key("stored key", stored)?,
            server_key: key("server key", server)?,
        })
    }
}

fn key(what: &'static str, text: &str) -> Result<Key, VerifierError> {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(VerifierError::Bytes { what, bytes: "32" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn a_password_has_the_verifier_of_the_standard() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive("pencil", &salt, 4096);
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                    wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier.to_string(), text);
        assert_eq!(text.parse(), Ok(verifier.clone()));
        assert!(bool::from(verifier.is_of("pencil")) && !bool::from(verifier.is_of("pencils")));
        assert!(!format!("{verifier:?}").contains("WG5d"));
    }

    #[test]
    fn each_verifier_has_a_salt_of_its_own() {
        let [one, other] = [(); 2].map(|()| Verifier::of_password("secret"));
        assert_ne!(one.salt, other.salt);
        assert!(bool::from(one.is_of("secret")) && bool::from(other.is_of("secret")));
    }

    #[test]
    fn text_that_is_no_verifier_says_what_is_wrong_with_it() {
        let key = BASE64.encode([1; 32]);
        let with = |iterations: &str, salt: &str, stored: &str, server: &str| {
            format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}").parse::<Verifier>()
        };
        assert!(with("4096", "YWJj", &key, &key).is_ok());
        for text in [
            "",
            "secret",
            "SCRAM-SHA-1$4096:YWJj$a:b",
            "SCRAM-SHA-256$4096:YWJj",
            "SCRAM-SHA-256$4096$a:b",
        ] {
            assert_eq!(text.parse::<Verifier>(), Err(VerifierError::Shape), "{text}");
        }
        for count in ["", "4095", "1000001", "+4096", "-1", "99999999999", "4096 "] {
            let given = count.to_owned();
            assert_eq!(
                with(count, "YWJj", &key, &key),
                Err(VerifierError::Iterations { given })
            );
        }
        let long = BASE64.encode([0; 65]);
        for (what, salt, stored, server) in [
            ("salt", "", key.as_str(), key.as_str()),
            ("salt", "YWJ", &key, &key),
            ("salt", &long, &key, &key),
            ("stored key", "YWJj", "YWJj", &key),
            ("server key", "YWJj", &key, "!"),
        ] {
            let error = with("4096", salt, stored, server).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
