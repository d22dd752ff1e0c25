//! Client of pcid's channel.
