//! Programs as bytes. Every sequence of bytes is a program: what is missing at the end is zero.

/// Takes values from the front.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// What a program is made of.
pub(crate) trait Wire: Sized {
    fn read(reader: &mut Reader<'_>) -> Self;
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($int:ty),*) => { $(
        impl Wire for $int {
            fn read(reader: &mut Reader<'_>) -> Self {
                let mut bytes = [0; size_of::<Self>()];
                let taken = reader.take(bytes.len());
                bytes[..taken.len()].copy_from_slice(taken);
                Self::from_le_bytes(bytes)
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, i16, i32);

impl<T: Wire, const N: usize> Wire for [T; N] {
    fn read(reader: &mut Reader<'_>) -> Self {
        std::array::from_fn(|_| T::read(reader))
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.write(out));
    }
}

/// A list of at most 255; it ends where the program does.
impl<T: Wire> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Self {
        let count = u8::read(reader);
        let mut list = Self::new();
        while list.len() < count.into() && !reader.is_empty() {
            list.push(T::read(reader));
        }
        list
    }

    fn write(&self, out: &mut Vec<u8>) {
        let count = self.len().min(255);
        out.push(count as u8);
        self[..count].iter().for_each(|item| item.write(out));
    }
}

/// A structure whose fields follow each other.
macro_rules! wire_struct {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name { $($(#[$doc])* pub(crate) $field: $type),* }

        impl crate::wire::Wire for $name {
            #[allow(unused_variables)] // Some have no fields.
            fn read(reader: &mut crate::wire::Reader<'_>) -> Self {
                Self { $($field: crate::wire::Wire::read(reader)),* }
            }

            #[allow(unused_variables)]
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }
        }
    };
}

/// One of several structures, the first byte says which (modulo their number).
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $fields:tt,)* }) => {
        wire_enum!(@type [$(#[$meta])* $name] $($(#[$doc])* $variant $fields)*);

        impl crate::wire::Wire for $name {
            fn read(reader: &mut crate::wire::Reader<'_>) -> Self {
                let makers: &[fn(&mut crate::wire::Reader<'_>) -> Self] =
                    &[$(wire_enum!(@read $variant $fields)),*];
                let tag = usize::from(u8::read(reader));
                makers[tag % makers.len()](reader)
            }

            fn write(&self, out: &mut Vec<u8>) {
                let tag = [$(matches!(self, wire_enum!(@any $variant $fields))),*]
                    .iter()
                    .position(|is| *is)
                    .unwrap_or(0);
                out.push(tag as u8);
                $(wire_enum!(@write self out $variant $fields);)*
            }
        }
    };
    (@type [$(#[$meta:meta])* $name:ident] $($(#[$doc:meta])* $variant:ident ($type:ty))*) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(crate) enum $name { $($(#[$doc])* $variant($type)),* }
    };
    (@read $variant:ident ($type:ty)) => {
        |reader| Self::$variant(<$type as crate::wire::Wire>::read(reader))
    };
    (@any $variant:ident ($type:ty)) => { Self::$variant(_) };
    (@write $self:ident $out:ident $variant:ident ($type:ty)) => {
        if let Self::$variant(value) = $self {
            crate::wire::Wire::write(value, $out);
        }
    };
}

pub(crate) use {wire_enum, wire_struct};
