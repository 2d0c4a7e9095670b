//! Live migration: a machine moves to another process while its guest runs.
//!
//! The two sides are state machines without input or output ([`Source`], [`Target`]); [`send`] and [`receive`] do what they
//! say over a [`Link`]. A machine runs on the source until the destination has said that everything is loaded and checked;
//! from the moment the source hands it over it runs on the destination, and never on both. `docs/migration.md` has the
//! states and every byte.

mod control;
mod copy;
mod error;
mod link;
mod message;
mod receive;
mod record;
mod send;
mod source;
mod target;
mod uri;

pub use control::{Control, Figures, Parameters, Phase, Report};
pub use error::LiveError;
pub use link::{Link, Stream};
pub use message::{CpuLeaf, Extra, Hello};
pub use receive::{Arrived, Expected, receive};
pub use send::{Held, LiveMachine, Onward, Outcome, send};
pub use source::{Source, SourceAction, SourceInput};
pub use target::{Target, TargetAction, TargetInput};
pub use uri::{Listening, Uri};

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod move_tests;
#[cfg(test)]
mod test_support;

/// How every stream begins, in both directions.
const MAGIC: [u8; 8] = *b"CARAWAYM";
/// Version of the stream that is spoken, and the only one that is understood.
pub const STREAM_VERSION: u32 = 1;
