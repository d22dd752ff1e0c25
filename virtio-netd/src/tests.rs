//! The adapter over a card made of plain values, which does what its test says: the stories, and
//! everything a broken or hostile card sends.

mod bench;
mod hostile;
mod life;
mod receive;
mod transmit;
