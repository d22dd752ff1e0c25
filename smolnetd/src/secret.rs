//! The one random number that the stack is given at its start, and the numbers that nobody can guess made from it.

use core::fmt;
use core::hash::{Hash, Hasher};

use siphasher::sip::SipHasher24;

/// 32 random bytes.
#[derive(Clone, Copy)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Keeps `bytes`, which must come from a good random source and be told to nobody.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// A number that depends on `input` in a way that only who knows the secret can tell. Different purposes get
    /// unrelated numbers.
    pub fn hash(&self, purpose: &str, input: impl Hash) -> u64 {
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(self.0) {
            *to = from;
        }
        let mut hasher = SipHasher24::new_with_key(&key);
        self.0.hash(&mut hasher);
        purpose.hash(&mut hasher);
        input.hash(&mut hasher);
        hasher.finish()
    }

    /// A secret for a part of the stack, from which the others' cannot be told.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut derived = [0; 32];
        for (index, chunk) in derived.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&self.hash(purpose, index).to_ne_bytes());
        }
        derived
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
