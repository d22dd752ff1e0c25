//! The encoding of the channel: bincode 1 with its default options.
//!
//! Integers are little-endian and of fixed width, `usize` travels as 64 bits, `bool` and the tag of
//! an `Option` are one byte that is 0 or 1, an enum is its variant's index in 32 bits and then its
//! fields, a sequence is its length in 64 bits and then its elements, a struct or an array is its
//! parts with nothing between them.

use core::fmt;

/// The longest message either end may send, in bytes.
pub const MAX_MESSAGE_LENGTH: usize = 0x10_0000;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The message ends inside a field of so many bytes.
    Truncated {
        /// Bytes that the field has.
        wanted: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A `bool` that is neither 0 nor 1.
    Bool(u8),
    /// An `Option` tag that is neither 0 nor 1.
    OptionTag(u8),
    /// An enum of this name has no variant of this index.
    Variant {
        /// Which enum.
        of: &'static str,
        /// The index that came.
        index: u32,
    },
    /// A sequence claims more elements than the rest of the message could hold.
    SequenceLength {
        /// Elements claimed.
        claimed: u64,
        /// Bytes left in the message.
        left: usize,
    },
    /// A number that this machine's `usize` cannot hold.
    Number(u64),
    /// Bytes left over after the message.
    TrailingBytes(usize),
    /// The message is longer than [`MAX_MESSAGE_LENGTH`].
    TooLong(usize),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { wanted, left } => write!(
                f,
                "message ends: a field needs {wanted} bytes and {left} are left"
            ),
            Self::Bool(byte) => write!(f, "{byte} is not a bool"),
            Self::OptionTag(byte) => write!(f, "{byte} is not the tag of an option"),
            Self::Variant { of, index } => write!(f, "{of} has no variant {index}"),
            Self::SequenceLength { claimed, left } => write!(
                f,
                "a sequence claims {claimed} elements and {left} bytes are left"
            ),
            Self::Number(number) => write!(f, "{number} does not fit this machine"),
            Self::TrailingBytes(count) => write!(f, "{count} bytes follow the message"),
            Self::TooLong(length) => write!(
                f,
                "a message of {length} bytes is longer than {MAX_MESSAGE_LENGTH}"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Takes fields off the front of a message.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated {
                wanted: N,
                left: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(*head)
    }

    /// The index of an enum's variant.
    pub(crate) fn variant(&mut self) -> Result<u32, DecodeError> {
        u32::take(self)
    }
}

/// What can be a field of a message.
pub(crate) trait Wire: Sized {
    /// The fewest bytes that a value takes, never 0: what bounds the length that a sequence may
    /// claim.
    const MIN_LENGTH: usize;

    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            const MIN_LENGTH: usize = size_of::<$type>();

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.bytes().map(Self::from_le_bytes)
            }
        }
    )*};
}
integer!(u8, u16, u32, u64);

impl Wire for usize {
    const MIN_LENGTH: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        // No machine that this builds for has a usize wider than 64 bits.
        (*self as u64).put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = u64::take(reader)?;
        Self::try_from(number).map_err(|_| DecodeError::Number(number))
    }
}

impl Wire for bool {
    const MIN_LENGTH: usize = 1;

    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::take(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Bool(other)),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    const MIN_LENGTH: usize = 1;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => 0_u8.put(out),
            Some(value) => {
                1_u8.put(out);
                value.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::take(reader)? {
            0 => Ok(None),
            1 => T::take(reader).map(Some),
            other => Err(DecodeError::OptionTag(other)),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    const MIN_LENGTH: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|element| element.put(out));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let claimed = u64::take(reader)?;
        let left = reader.rest.len();
        // A claim that the bytes cannot keep is refused before anything is allocated for it.
        let count = usize::try_from(claimed)
            .ok()
            .filter(|count| {
                count
                    .checked_mul(T::MIN_LENGTH)
                    .is_some_and(|bytes| bytes <= left)
            })
            .ok_or(DecodeError::SequenceLength { claimed, left })?;
        (0..count).map(|_| T::take(reader)).collect()
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    const MIN_LENGTH: usize = T::MIN_LENGTH * N;

    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.put(out));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut array = [T::default(); N];
        for element in &mut array {
            *element = T::take(reader)?;
        }
        Ok(array)
    }
}

/// Implements [`Wire`] for a struct: its fields in their order.
macro_rules! wire_struct {
    ($type:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        impl Wire for $type {
            const MIN_LENGTH: usize = 0 $(+ <$kind as Wire>::MIN_LENGTH)*;

            fn put(&self, out: &mut Vec<u8>) {
                // Every field by name: a new one that is not sent breaks the build here.
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Wire::take(reader)?),* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// The bytes of a whole message.
pub(crate) fn encode<T: Wire>(message: &T) -> Vec<u8> {
    let mut out = Vec::new();
    message.put(&mut out);
    out
}

/// The message that the whole of `bytes` is.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_MESSAGE_LENGTH {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let mut reader = Reader { rest: bytes };
    let message = T::take(&mut reader)?;
    match reader.rest.len() {
        0 => Ok(message),
        left => Err(DecodeError::TrailingBytes(left)),
    }
}
