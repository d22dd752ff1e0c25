//! The session over a device made of plain values, on a clock that the test moves: the stories, and
//! everything a broken or hostile device answers.

mod bench;
mod hostile;
mod life;
mod link;
mod lives;
mod sizes;
