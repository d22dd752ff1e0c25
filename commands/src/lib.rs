//! Network commands.
