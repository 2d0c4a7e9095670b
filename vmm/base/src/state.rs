//! Versioned records: what a device saves and is built again from.
//!
//! Saving is a pure function of the device; restoring is a constructor. Records that nobody takes are an error, so a
//! device that was forgotten cannot restore silently empty.

use serde::{Serialize, de::DeserializeOwned};

/// Why a saved state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// No record of this kind is there.
    #[error("no record {kind:?} for {instance:?}")]
    Missing { kind: &'static str, instance: String },
    /// The record is of a version this program cannot read.
    #[error("record {kind:?} of {instance:?} has version {found}, this program reads {oldest} to {newest}")]
    Version {
        kind: &'static str,
        instance: String,
        found: u16,
        oldest: u16,
        newest: u16,
    },
    /// The payload does not decode.
    #[error("record {kind:?} of {instance:?} does not decode")]
    Decode {
        kind: &'static str,
        instance: String,
        #[source]
        source: postcard::Error,
    },
    /// The payload decodes but cannot be.
    #[error("record {kind:?}: {field} = {value} cannot be")]
    Invalid {
        kind: &'static str,
        field: &'static str,
        value: String,
    },
    /// The state does not encode.
    #[error("record {kind:?} does not encode")]
    Encode {
        kind: &'static str,
        #[source]
        source: postcard::Error,
    },
    /// Records nobody took.
    #[error("left-over records: {0}")]
    LeftOver(String),
}

/// A device that can be saved, and built again from what was saved.
pub trait Migratable: Sized {
    /// Everything the guest could notice, as plain data.
    type State: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug;
    /// What the constructor needs besides: lines, memory, events.
    type Args;
    /// Name of the record, for example "qxl".
    const KIND: &'static str;
    /// Version written, and the newest one read.
    const VERSION: u16;
    /// Oldest version read.
    const OLDEST: u16;

    /// The state now. Called only while paused.
    fn save(&self) -> Self::State;

    /// Builds the device, paused, in that state.
    ///
    /// # Errors
    /// When a field holds what cannot be.
    fn restore(args: Self::Args, state: Self::State) -> Result<Self, StateError>;
}

/// One saved device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Record {
    /// [`Migratable::KIND`].
    pub kind: String,
    /// Which of several devices of the kind, for example its PCI address.
    pub instance: String,
    /// [`Migratable::VERSION`] of the program that wrote it.
    pub version: u16,
    /// The state, postcard.
    pub payload: Vec<u8>,
}

/// The records of a machine.
#[derive(Debug, Default)]
pub struct Records(Vec<Record>);

impl Records {
    /// Takes records from a file or a peer.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        Self(records)
    }

    /// The records, in the order they were saved.
    #[must_use]
    pub fn into_inner(self) -> Vec<Record> {
        self.0
    }

    /// Saves a device.
    ///
    /// # Errors
    /// When the state does not encode.
    pub fn put<D: Migratable>(&mut self, instance: &str, device: &D) -> Result<(), StateError> {
        let payload =
            postcard::to_stdvec(&device.save()).map_err(|source| StateError::Encode { kind: D::KIND, source })?;
        self.0.push(Record {
            kind: D::KIND.to_owned(),
            instance: instance.to_owned(),
            version: D::VERSION,
            payload,
        });
        Ok(())
    }

    /// Takes the record of a device out and builds the device from it.
    ///
    /// # Errors
    /// When the record is missing, too new or too old, or holds what cannot be.
    pub fn take<D: Migratable>(&mut self, instance: &str, args: D::Args) -> Result<D, StateError> {
        let index = self
            .0
            .iter()
            .position(|record| record.kind == D::KIND && record.instance == instance)
            .ok_or_else(|| StateError::Missing {
                kind: D::KIND,
                instance: instance.to_owned(),
            })?;
        let record = self.0.remove(index);
        if !(D::OLDEST..=D::VERSION).contains(&record.version) {
            return Err(StateError::Version {
                kind: D::KIND,
                instance: record.instance,
                found: record.version,
                oldest: D::OLDEST,
                newest: D::VERSION,
            });
        }
        let state = postcard::from_bytes(&record.payload).map_err(|source| StateError::Decode {
            kind: D::KIND,
            instance: record.instance,
            source,
        })?;
        D::restore(args, state)
    }

    /// Ends a restore: everything must have been taken.
    ///
    /// # Errors
    /// Names the records that were not.
    pub fn finish(self) -> Result<(), StateError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self
            .0
            .iter()
            .map(|record| format!("{} ({})", record.kind, record.instance))
            .collect();
        Err(StateError::LeftOver(names.join(", ")))
    }
}

/// The tests every [`Migratable`] passes. `$fresh` makes a device in the power-on state, `$change` changes what the
/// guest could notice, `$args` makes constructor arguments. Expands to a module named `$name`.
#[macro_export]
macro_rules! migratable_suite {
    ($name:ident, $device:ty, fresh: $fresh:expr, args: $args:expr, change: $change:expr) => {
        mod $name {
            use super::*;
            use $crate::state::{Migratable, Records};

            #[test]
            fn save_is_stable() {
                let device = $fresh;
                assert_eq!(Migratable::save(&device), Migratable::save(&device));
            }

            #[test]
            fn a_change_is_visible_in_the_saved_state() {
                let device = $fresh;
                let before = Migratable::save(&device);
                ($change)(&device);
                assert_ne!(before, Migratable::save(&device));
            }

            #[test]
            fn restore_gives_back_what_was_saved() {
                let device = $fresh;
                ($change)(&device);
                let mut records = Records::default();
                records.put("0", &device).expect("the state encodes");
                let restored: $device = records.take("0", $args).expect("the record restores");
                assert_eq!(Migratable::save(&device), Migratable::save(&restored));
                records.finish().expect("nothing is left over");
            }

            #[test]
            fn a_record_of_a_newer_version_is_refused() {
                let device = $fresh;
                let mut records = Records::default();
                records.put("0", &device).expect("the state encodes");
                let mut list = records.into_inner();
                list[0].version = <$device as Migratable>::VERSION + 1;
                assert!(Records::new(list).take::<$device>("0", $args).is_err());
            }
        }
    };
}
