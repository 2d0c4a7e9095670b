//! What every message of every channel can do.

use bytes::Bytes;

use crate::error::Result;
use crate::wire::Writer;

/// A message of one direction of one channel.
pub trait Message: Sized {
    /// The id in the data header.
    fn id(&self) -> u16;

    /// The name the protocol gives it, for errors and logs.
    fn name(&self) -> &'static str;

    /// The message `id` whose body is `body`. An id without a meaning on this channel is not an error; what to do
    /// about it is the caller's decision. Bytes behind the known part are ignored.
    ///
    /// # Errors
    /// When the body is not one of that message.
    fn decode(id: u16, body: &Bytes) -> Result<Self>;

    /// Writes the body without the targets of its pointers.
    ///
    /// # Errors
    /// When a value does not fit its field.
    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()>;

    /// The body alone, targets of pointers included, in one piece.
    ///
    /// # Errors
    /// As [`Self::encode_body`].
    fn to_body(&self) -> Result<Bytes> {
        let mut writer = Writer::new(self.name(), Vec::new(), 0, false);
        self.encode_body(&mut writer)?;
        writer.finish_body()?;
        writer.body_bytes()?;
        Ok(writer.finish().to_bytes())
    }
}

/// Lets code that serves any channel make and find the messages all channels share.
macro_rules! carries_common {
    ($message:ty, $common:ty) => {
        impl From<$common> for $message {
            fn from(common: $common) -> Self {
                Self::Common(common)
            }
        }
    };
}
pub(crate) use carries_common;
