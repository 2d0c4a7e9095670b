//! Arrays longer than serde's own in a record: a sequence, whose length is checked when it is read.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let bytes = Vec::<u8>::deserialize(deserializer)?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| D::Error::custom(format_args!("{length} bytes instead of {N}")))
}
