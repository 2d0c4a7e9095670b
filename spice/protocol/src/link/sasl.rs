//! SASL: the exchange between the link reply and the link result, instead of a ticket.
//!
//! Order: [`encode_mechanisms`] (server), [`MechanismName`] and [`Data`] (client), [`Step`] (server), then [`Data`] and
//! [`Step`] in turn until a step is complete, then [`Outcome`] (server). The link result follows all the same.

use bytes::{Buf, Bytes, BytesMut};

use super::put_count;
use crate::Progress;
use crate::error::{Error, Result};

/// Longest list of mechanisms in bytes; clients take no more.
pub const MECHANISMS_MAX: usize = 300;
/// Longest name of a mechanism that a server takes, in bytes.
pub const MECHANISM_NAME_MAX: usize = 100;
/// Most data of one step, in bytes, with the NUL behind it. The reference takes 1 MiB of everybody who has not even
/// authenticated; a name, a password and a nonce of a kilobyte each, which no client has, fit into this.
pub const DATA_MAX: usize = 4096;
/// Longest reason for a rejection that is taken, in bytes, with its NUL.
pub const REASON_MAX: usize = 1024;

/// The list of mechanisms on the wire: with a comma before, between and behind the names.
#[must_use]
pub fn encode_mechanisms(names: &[&str]) -> Vec<u8> {
    let list = format!(",{},", names.join(","));
    let mut out = Vec::with_capacity(4 + list.len());
    put_count(&mut out, list.len());
    out.extend_from_slice(list.as_bytes());
    out
}

/// Takes the list of mechanisms from the front of `buffer`.
///
/// # Errors
/// A list that is too long.
pub fn decode_mechanisms(buffer: &mut BytesMut) -> Result<Progress<Vec<Bytes>>> {
    Ok(done(take("mechanism list", buffer, MECHANISMS_MAX)?, |list| {
        let names = list.split(|byte| *byte == b',').filter(|name| !name.is_empty());
        names.map(|name| list.slice_ref(name)).collect()
    }))
}

/// The mechanism that a client chose: 1 to [`MECHANISM_NAME_MAX`] bytes, of which nothing else is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MechanismName(pub Bytes);

impl MechanismName {
    const NAME: &'static str = "SASL mechanism";

    /// Takes the choice from the front of `buffer`.
    ///
    /// # Errors
    /// A name that is empty or too long.
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        if length(buffer) == Some(0) {
            return Err(Error::Unexpected {
                message: Self::NAME,
                field: "length",
                expected: "1 to 100",
                got: 0,
            });
        }
        Ok(done(take(Self::NAME, buffer, MECHANISM_NAME_MAX)?, Self))
    }

    /// The choice on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.0.len());
        put_count(&mut out, self.0.len());
        out.extend_from_slice(&self.0);
        out
    }
}

/// What a client says in one step. No data is not the same as empty data.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(pub Option<Bytes>);

impl std::fmt::Debug for Data {
    /// Without the data: a password may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.0.as_ref().map(Bytes::len);
        f.debug_struct("Data").field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl Data {
    /// Takes the data from the front of `buffer`.
    ///
    /// # Errors
    /// More than [`DATA_MAX`].
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        Ok(done(take("SASL data", buffer, DATA_MAX)?, |bytes| {
            Self(without_nul(bytes))
        }))
    }

    /// The data on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_data(&mut out, self.0.as_deref());
        out
    }
}

/// What a server says in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// No data is not the same as empty data.
    pub data: Option<Bytes>,
    /// Whether it was the last one.
    pub complete: bool,
}

impl Step {
    /// Takes the step from the front of `buffer`.
    ///
    /// # Errors
    /// More than [`DATA_MAX`].
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        Ok(done(announced("SASL step", buffer, DATA_MAX, 1)?, |bytes| {
            buffer.advance(4);
            Self {
                data: without_nul(buffer.split_to(bytes).freeze()),
                complete: buffer.get_u8() != 0,
            }
        }))
    }

    /// The step on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_data(&mut out, self.data.as_deref());
        out.push(u8::from(self.complete));
        out
    }
}

/// How the exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client is who it says.
    Accepted,
    /// It is not let in, for this reason.
    Rejected(String),
}

impl Outcome {
    const NAME: &'static str = "SASL result";

    /// Takes the outcome from the front of `buffer`.
    ///
    /// # Errors
    /// A result that has no meaning, a reason that is too long.
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        let Some(result) = buffer.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return Ok(Progress::Need(4 - buffer.len()));
        };
        match result {
            0 => {
                buffer.advance(4);
                Ok(Progress::Done(Self::Accepted))
            }
            1 => {
                // The result stays there until its reason has come.
                let reason = announced(Self::NAME, buffer.get(4..).unwrap_or_default(), REASON_MAX, 0)?;
                Ok(done(reason, |bytes| {
                    buffer.advance(8);
                    let reason = without_nul(buffer.split_to(bytes).freeze()).unwrap_or_default();
                    Self::Rejected(String::from_utf8_lossy(&reason).into_owned())
                }))
            }
            other => Err(Error::Unexpected {
                message: Self::NAME,
                field: "result",
                expected: "0 or 1",
                got: u64::from(other),
            }),
        }
    }

    /// The outcome on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Accepted => put_count(&mut out, 0),
            Self::Rejected(reason) => {
                put_count(&mut out, 1);
                put_data(&mut out, Some(reason.as_bytes()));
            }
        }
        out
    }
}

/// The length at the front, if it is there.
fn length(buffer: &[u8]) -> Option<usize> {
    let bytes = buffer.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// The length at the front, once as many bytes and those `behind` them are there. What is too long is refused by its
/// length, before the bytes have come.
fn announced(message: &'static str, buffer: &[u8], max: usize, behind: usize) -> Result<Progress<usize>> {
    let Some(bytes) = length(buffer) else {
        return Ok(Progress::Need(4_usize.saturating_sub(buffer.len())));
    };
    if bytes > max {
        return Err(Error::Limit {
            message,
            field: "length",
            got: bytes as u64,
            limit: max as u64,
        });
    }
    let total = 4 + bytes + behind;
    Ok(if buffer.len() < total {
        Progress::Need(total - buffer.len())
    } else {
        Progress::Done(bytes)
    })
}

/// Takes a length and as many bytes.
fn take(message: &'static str, buffer: &mut BytesMut, max: usize) -> Result<Progress<Bytes>> {
    Ok(done(announced(message, buffer, max, 0)?, |bytes| {
        buffer.advance(4);
        buffer.split_to(bytes).freeze()
    }))
}

/// What comes of a step that is complete.
fn done<T, U>(progress: Progress<T>, of: impl FnOnce(T) -> U) -> Progress<U> {
    match progress {
        Progress::Done(value) => Progress::Done(of(value)),
        Progress::Need(bytes) => Progress::Need(bytes),
    }
}

/// Data on the wire ends with a byte that does not belong to it and that nobody looks at; length 0 is no data.
fn without_nul(mut bytes: Bytes) -> Option<Bytes> {
    let end = bytes.len().checked_sub(1)?;
    bytes.truncate(end);
    Some(bytes)
}

fn put_data(out: &mut Vec<u8>, data: Option<&[u8]>) {
    match data {
        None => put_count(out, 0),
        Some(data) => {
            put_count(out, data.len() + 1);
            out.extend_from_slice(data);
            out.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(parts: &[&[u8]]) -> BytesMut {
        BytesMut::from(&parts.concat()[..])
    }

    #[test]
    fn mechanisms_stand_between_commas() {
        let wire = encode_mechanisms(&["SCRAM-SHA-256", "PLAIN"]);
        assert_eq!(wire, [&21_u32.to_le_bytes()[..], b",SCRAM-SHA-256,PLAIN,"].concat());
        let mut buffer = buffer(&[&wire, b"rest"]);
        let names: Vec<Bytes> = vec!["SCRAM-SHA-256".into(), "PLAIN".into()];
        assert_eq!(decode_mechanisms(&mut buffer), Ok(Progress::Done(names)));
        assert_eq!(&buffer[..], b"rest");
        let long = encode_mechanisms(&["X".repeat(299).as_str()]);
        assert!(decode_mechanisms(&mut BytesMut::from(&long[..])).is_err());
    }

    #[test]
    fn a_name_has_one_to_a_hundred_bytes_and_is_refused_by_its_length() {
        for bytes in [1, MECHANISM_NAME_MAX] {
            let name = MechanismName("X".repeat(bytes).into());
            let mut buffer = BytesMut::from(&name.encode()[..]);
            assert_eq!(MechanismName::decode(&mut buffer), Ok(Progress::Done(name)));
        }
        for bytes in [0, 101, u32::MAX] {
            let error = MechanismName::decode(&mut BytesMut::from(&bytes.to_le_bytes()[..])).unwrap_err();
            assert_eq!(error.link_answer(), Some(crate::link::LinkCode::InvalidData), "{error}");
        }
    }

    #[test]
    fn no_data_is_not_empty_data_and_the_byte_behind_it_does_not_count() {
        for (wire, data) in [
            (&b"\0\0\0\0"[..], None),
            (b"\x01\0\0\0\0", Some(&b""[..])),
            (b"\x03\0\0\0ab\0", Some(b"ab")),
            (b"\x03\0\0\0\0a\0", Some(b"\0a")),
        ] {
            let data = Data(data.map(Bytes::from_static));
            assert_eq!(data.encode(), wire);
            let mut buffer = buffer(&[wire, b"rest"]);
            assert_eq!(Data::decode(&mut buffer), Ok(Progress::Done(data)));
            assert_eq!(&buffer[..], b"rest");
        }
        let mut other = buffer(&[b"\x02\0\0\0ax"]);
        assert_eq!(
            Data::decode(&mut other),
            Ok(Progress::Done(Data(Some(Bytes::from_static(b"a")))))
        );
    }

    #[test]
    fn data_is_bounded_before_it_has_come() {
        let decode = |bytes: usize| Data::decode(&mut BytesMut::from(&(bytes as u32).to_le_bytes()[..]));
        assert_eq!(decode(DATA_MAX), Ok(Progress::Need(DATA_MAX)));
        assert!(decode(DATA_MAX + 1).is_err());
        assert!(decode(u32::MAX as usize).is_err());
    }

    #[test]
    fn steps_and_outcomes_come_back_from_every_cut() {
        let step = |data: Option<&'static [u8]>, complete| Step {
            data: data.map(Bytes::from_static),
            complete,
        };
        for step in [step(None, true), step(Some(b""), false), step(Some(b"v=abc"), true)] {
            cut(&step.encode(), Step::decode, &step);
        }
        for outcome in [Outcome::Accepted, Outcome::Rejected("no such luck".to_owned())] {
            cut(&outcome.encode(), Outcome::decode, &outcome);
        }
        assert!(Outcome::decode(&mut BytesMut::from(&[2, 0, 0, 0][..])).is_err());
        assert!(Outcome::decode(&mut BytesMut::from(&[1, 0, 0, 0, 1, 4, 0, 0][..])).is_err());
    }

    /// What is missing is asked for, never more, and nothing is taken before all is there.
    fn cut<T: PartialEq + std::fmt::Debug>(
        wire: &[u8],
        decode: impl Fn(&mut BytesMut) -> Result<Progress<T>>,
        whole: &T,
    ) {
        for end in 0..wire.len() {
            let mut part = BytesMut::from(&wire[..end]);
            match decode(&mut part) {
                Ok(Progress::Need(more)) => assert!(more > 0 && end + more <= wire.len(), "{more} after {end}"),
                other => panic!("{other:?} after {end} bytes"),
            }
            assert_eq!(part, wire[..end]);
        }
        let mut all = buffer(&[wire, b"rest"]);
        match decode(&mut all) {
            Ok(Progress::Done(got)) => assert_eq!(&got, whole),
            other => panic!("{other:?}"),
        }
        assert_eq!(&all[..], b"rest");
    }
}
