//! Stories of the codec.
