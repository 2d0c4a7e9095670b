//! Reading and writing the elements of a message: scalars, geometry, counted arrays, pointers.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::{Block, Encoded, Segments, Writer};

/// A point with 16-bit coordinates, as the cursor channel and DRAW_COMPOSITE use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Point16 {
    /// Pixels from the left edge.
    pub x: i16,
    /// Pixels from the top edge.
    pub y: i16,
}

/// Declares an enumeration of the wire: numbers without a name survive as `Unknown`, since the protocol's own
/// decoders do not reject them either. Make values with `From`; `Unknown` of a named number is not that name.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident: $raw:ty {
        $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// A number without a name here, as it was received.
            Unknown($raw),
        }

        impl From<$raw> for $name {
            fn from(raw: $raw) -> Self {
                match raw {
                    $($value => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for $raw {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $value,)*
                    $name::Unknown(other) => other,
                }
            }
        }
    };
}
pub(crate) use wire_enum;

/// Declares the message ids of one direction of a channel, and the name of each.
macro_rules! message_ids {
    ($(#[$meta:meta])* pub mod $module:ident, $prefix:literal {
        $($name:ident = $value:literal,)*
    }) => {
        $(#[$meta])*
        pub mod $module {
            $(
                #[doc = concat!("Id of ", $prefix, stringify!($name), ".")]
                pub const $name: u16 = $value;
            )*

            /// All ids, each with the name of its message.
            pub const ALL: &[(u16, &str)] = &[$(($name, concat!($prefix, stringify!($name)))),*];

            /// The message's name, if the id has one.
            #[must_use]
            pub const fn name(id: u16) -> Option<&'static str> {
                match id {
                    $($name => Some(concat!($prefix, stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use message_ids;
