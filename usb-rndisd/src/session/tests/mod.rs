//! Stories of the control channel.
