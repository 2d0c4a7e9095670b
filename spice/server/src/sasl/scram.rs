//! The server's side of SCRAM-SHA-256 (RFC 5802, 7677), without channel binding: two messages from the client.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    Fault,
    users::Candidate,
    verifier::{KEY_BYTES, Key, mac},
};
use crate::Identity;

/// The name of the mechanism.
pub(crate) const NAME: &str = "SCRAM-SHA-256";

/// Random bytes of the server's part of the nonce.
const NONCE_BYTES: usize = 18;
/// Longest part of the client, in bytes: it comes back in the answer, which has to fit into a step.
const MAX_NONCE: usize = 1024;

/// An exchange whose first message has come and was answered.
pub(crate) struct Exchange {
    candidate: Candidate,
    /// Whether the client wants to be somebody else than it says.
    for_another: bool,
    /// What the client said of channel binding, as it has to repeat it.
    binding: String,
    nonce: String,
    /// The client's first message and the answer, as they are proved.
    proved: String,
}

impl Exchange {
    /// Takes the client's first message. With the answer.
    pub(crate) fn begin(message: &[u8], find: impl FnOnce(&str) -> Candidate) -> Result<(Self, String), Fault> {
        let random: [u8; NONCE_BYTES] = rand::random();
        Self::begin_with(message, find, &BASE64.encode(random))
    }

    fn begin_with(message: &[u8], find: impl FnOnce(&str) -> Candidate, random: &str) -> Result<(Self, String), Fault> {
        let message = str::from_utf8(message).map_err(|_| Fault("the first message is not UTF-8"))?;
        // gs2-cbind-flag "," [ authzid ] "," "n=" username "," "r=" nonce ["," extensions]
        let mut parts = message.splitn(3, ',');
        let (Some(binding), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Fault("the first message has too few parts"));
        };
        // With "y" the client could bind and believes that this server cannot, which is so.
        if !matches!(binding, "n" | "y") {
            return Err(Fault("channel binding was not offered"));
        }
        let authzid = match authzid.strip_prefix("a=") {
            Some(name) => Some(name_of(name)?),
            None if authzid.is_empty() => None,
            None => return Err(Fault("the authorization identity is not a=NAME")),
        };
        let mut parts = bare.split(',');
        // Extensions that must be understood come first, with "m=".
        let name = parts.next().and_then(|part| part.strip_prefix("n="));
        let name = name_of(name.ok_or(Fault("the first message does not begin with a name"))?)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| (1..=MAX_NONCE).contains(&nonce.len()));
        let nonce = nonce.filter(|nonce| nonce.bytes().all(|byte| byte.is_ascii_graphic()));
        let nonce = nonce.ok_or(Fault("the first message has no nonce"))?;

        let candidate = find(&name);
        let nonce = format!("{nonce}{random}");
        let salt = BASE64.encode(&candidate.verifier.salt);
        let answer = format!("r={nonce},s={salt},i={}", candidate.verifier.iterations);
        let header = message.get(..message.len() - bare.len()).unwrap_or_default();
        let exchange = Self {
            for_another: authzid.is_some_and(|authzid| authzid != name),
            binding: BASE64.encode(header),
            proved: format!("{bare},{answer}"),
            nonce,
            candidate,
        };
        Ok((exchange, answer))
    }

    /// Takes the client's second message. With who it is and what proves to it that the server knows that, too; `None`
    /// when the proof is wrong.
    pub(crate) fn finish(self, message: &[u8]) -> Result<Option<(Identity, String)>, Fault> {
        let message = str::from_utf8(message).map_err(|_| Fault("the last message is not UTF-8"))?;
        // "c=" channel-binding "," "r=" nonce ["," extensions] "," "p=" proof
        let (unproved, proof) = message
            .rsplit_once(",p=")
            .ok_or(Fault("the last message does not end with a proof"))?;
        let mut parts = unproved.split(',');
        if parts.next().and_then(|part| part.strip_prefix("c=")) != Some(&self.binding) {
            return Err(Fault("the client says something else of channel binding than before"));
        }
        if parts.next().and_then(|part| part.strip_prefix("r=")) != Some(&self.nonce) {
            return Err(Fault("the last message has another nonce"));
        }
        let proof: Option<Key> = BASE64.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        let proof = proof.ok_or(Fault("the proof is not 32 bytes in Base64"))?;

        let Candidate { verifier, identity } = self.candidate;
        let proved = [self.proved.as_bytes(), b",", unproved.as_bytes()];
        let signature = mac(&verifier.stored_key, &proved);
        let mut client_key = [0; KEY_BYTES];
        for (key, (proof, signature)) in client_key.iter_mut().zip(proof.iter().zip(signature)) {
            *key = proof ^ signature;
        }
        let hash: Key = Sha256::digest(client_key).into();
        let right = bool::from(hash.ct_eq(&verifier.stored_key)) && !self.for_another;
        let answer = format!("v={}", BASE64.encode(mac(&verifier.server_key, &proved)));
        Ok(identity.filter(|_| right).map(|identity| (identity, answer)))
    }
}

/// A name as it is: a comma is sent as `=2C`, an equals sign as `=3D`.
fn name_of(sent: &str) -> Result<Cow<'_, str>, Fault> {
    if !sent.contains('=') {
        return Ok(sent.into());
    }
    let mut parts = sent.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Fault("an equals sign in a name stands for nothing")),
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{Role, sasl::verifier::Verifier};

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const RANDOM: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn candidate(known: bool) -> Candidate {
        Candidate {
            verifier: Verifier::derive("pencil", &BASE64.decode(SALT).unwrap(), 4096),
            identity: known.then(|| Identity {
                name: "user".to_owned(),
                role: Role::View,
            }),
        }
    }

    fn begun(message: &[u8]) -> Result<(Exchange, String), Fault> {
        Exchange::begin_with(message, |_| candidate(true), RANDOM)
    }

    /// The example of RFC 7677.
    #[test]
    fn an_exchange_goes_as_in_the_standard() {
        let (exchange, answer) = begun(FIRST).unwrap();
        assert_eq!(
            answer,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let (identity, answer) = exchange.finish(LAST.as_bytes()).unwrap().unwrap();
        assert_eq!(identity.name, "user");
        assert_eq!(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_right_proof_for_nobody_is_wrong_all_the_same() {
        let (exchange, _) = Exchange::begin_with(FIRST, |_| candidate(false), RANDOM).unwrap();
        assert!(exchange.finish(LAST.as_bytes()).unwrap().is_none());
    }

    #[test]
    fn a_proof_with_one_bit_changed_is_wrong() {
        let (exchange, _) = begun(FIRST).unwrap();
        let changed = LAST.replace("p=dH", "p=eH");
        assert!(exchange.finish(changed.as_bytes()).unwrap().is_none());
    }

    #[test]
    fn each_exchange_has_a_nonce_of_its_own() {
        let [one, other] = [(); 2].map(|()| Exchange::begin(FIRST, |_| candidate(true)).unwrap().1);
        assert!(one.starts_with("r=rOprNGfwEbeRWgbNEkqO"));
        assert_ne!(one, other);
    }

    #[test]
    fn names_come_as_they_are_meant() {
        let asked = |message: &[u8]| {
            let mut asked = None;
            let begun = Exchange::begin_with(
                message,
                |name| {
                    asked = Some(name.to_owned());
                    candidate(true)
                },
                RANDOM,
            );
            begun.map(|(exchange, _)| (asked.unwrap_or_default(), exchange.for_another))
        };
        assert_eq!(asked(b"n,,n=a=2Cb=3Dc,r=x").unwrap(), ("a,b=c".to_owned(), false));
        assert_eq!(asked(b"y,a=ann,n=ann,r=x,ext=1").unwrap(), ("ann".to_owned(), false));
        assert_eq!(asked(b"n,a=bob,n=ann,r=x").unwrap(), ("ann".to_owned(), true));
        for wrong in [
            &b"n,,n=a=2,r=x"[..],
            b"n,,n=a=,r=x",
            b"n,a==2c,n=a,r=x",
            b"n,,n=a=41,r=x",
        ] {
            assert!(asked(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn who_wants_to_be_another_is_wrong_whatever_the_proof() {
        let first = b"n,a=root,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let (exchange, answer) = begun(first).unwrap();
        let unproved = format!("c={},r=rOprNGfwEbeRWgbNEkqO{RANDOM}", BASE64.encode("n,a=root,"));
        let proved = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{answer},{unproved}");
        let mut salted = [0; KEY_BYTES];
        pbkdf2::pbkdf2_hmac::<Sha256>(b"pencil", &BASE64.decode(SALT).unwrap(), 4096, &mut salted);
        let key = mac(&salted, &[b"Client Key"]);
        let stored: Key = Sha256::digest(key).into();
        let signature = mac(&stored, &[proved.as_bytes()]);
        let proof: Vec<u8> = key
            .iter()
            .zip(signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        let last = format!("{unproved},p={}", BASE64.encode(proof));
        assert!(exchange.finish(last.as_bytes()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_first_message_is_told_from_a_wrong_one() {
        for message in [
            &b""[..],
            b"n",
            b"n,",
            b"n,,",
            b"n,,,",
            b"n,,n",
            b"n,,n=user",
            b"n,,n=user,",
            b"n,,n=user,r",
            b"n,,n=user,r=",
            b"n,,n=user,r=a b",
            b"n,,n=user,r=\x7f",
            b"n,,n=user,x=1,r=nonce",
            b"n,,m=1,n=user,r=nonce",
            b"n,a,n=user,r=nonce",
            b"x,,n=user,r=nonce",
            b"p=tls-unique,,n=user,r=nonce",
            b"n,,n=\xff,r=nonce",
        ] {
            assert!(begun(message).is_err(), "{}", String::from_utf8_lossy(message));
        }
        let long = |bytes| begun(format!("n,,n=user,r={}", "x".repeat(bytes)).as_bytes()).is_ok();
        assert!(long(MAX_NONCE) && !long(MAX_NONCE + 1));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_survived(
            first in any_message("[ny],(a=[a-z=,]{0,6})?,n=[a-zC2D3=]{0,8},r=[ -~]{0,8}"),
            last in any_message("c=(biws|[a-zA-Z=]{0,6}),r=[ -~]{0,8}(,p=[a-zA-Z=]{0,48})?"),
        ) {
            if let Ok((exchange, _)) = begun(&first) {
                // Nobody finds a proof by chance.
                prop_assert!(!matches!(exchange.finish(&last), Ok(Some(_))));
            }
            let (exchange, _) = begun(FIRST).unwrap();
            prop_assert!(!matches!(exchange.finish(&last), Ok(Some(_))));
        }
    }

    /// Something like a message, or any bytes.
    fn any_message(like: &'static str) -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![like.prop_map(String::into_bytes), vec(any::<u8>(), 0..64)]
    }

    #[test]
    fn the_last_message_must_go_with_the_first() {
        for (from, to) in [
            // Another flag for channel binding than was sent, in a proof that would be right otherwise.
            ("c=biws", "c=eSws"),
            ("c=biws", "c=biw"),
            ("c=biws,", ""),
            ("$k0,", "$k1,"),
            // The client's own nonce, and one that only begins as it should.
            (RANDOM, ""),
            ("$k0,", "$k0x,"),
            ("p=dHz", "p=dH"),
            (",p=", ",q="),
            ("dVQ=", ""),
            ("dVQ=", "dVQ=AAAA"),
            ("c=biws", "\0"),
        ] {
            let (exchange, _) = begun(FIRST).unwrap();
            let message = LAST.replace(from, to);
            assert!(exchange.finish(message.as_bytes()).is_err(), "{message}");
        }
        assert!(begun(FIRST).unwrap().0.finish(b"").is_err());
        assert!(begun(FIRST).unwrap().0.finish(b"\xff").is_err());
    }
}
