//! The client's side of SCRAM-SHA-256, for the one password there is.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::world::{ITERATIONS, SALT, USER};

/// As it is computed from the password once.
static CLIENT_KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let salt = BASE64.decode(SALT).expect("the salt is Base64");
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(USER.1.as_bytes(), &salt, ITERATIONS, &mut salted);
    mac(&salted, b"Client Key")
});

/// Makes what is made once.
pub(crate) fn prepare() {
    LazyLock::force(&CLIENT_KEY);
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The last message behind the client's first one and the server's answer; the proof is right if nothing is `wrong`.
pub(crate) fn last(first: &[u8], answer: &[u8], wrong: u8) -> Vec<u8> {
    let (first, answer) = (String::from_utf8_lossy(first), String::from_utf8_lossy(answer));
    let bare = first.splitn(3, ',').nth(2).unwrap_or_default();
    let header = first.strip_suffix(bare).unwrap_or_default();
    let nonce = answer.split(',').next().unwrap_or_default();
    let unproved = format!("c={},{nonce}", BASE64.encode(header));
    let stored: [u8; 32] = Sha256::digest(*CLIENT_KEY).into();
    let signature = mac(&stored, format!("{bare},{answer},{unproved}").as_bytes());
    let mut proof: Vec<u8> = CLIENT_KEY.iter().zip(signature).map(|(key, bit)| key ^ bit).collect();
    proof[0] ^= wrong;
    format!("{unproved},p={}", BASE64.encode(proof)).into_bytes()
}
