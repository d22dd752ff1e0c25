//! Named counters: one per event worth knowing of, one per reason for which something is dropped.

/// Declares a struct of `u64` counters, as visible as the struct, each with its documentation, and an `iter()` over their names
/// and values in the order of declaration, for whoever shows them.
///
/// ```text
/// counters! {
///     /// What one adapter saw.
///     pub struct LinkCounters {
///         /// Frames received.
///         rx_frames,
///     }
/// }
/// ```
macro_rules! counters {
    ($(#[$struct_meta:meta])* $visibility:vis struct $name:ident { $($(#[$meta:meta])* $counter:ident),+ $(,)? }) => {
        $(#[$struct_meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $visibility struct $name {
            $($(#[$meta])* $visibility $counter: u64,)+
        }

        impl $name {
            /// Every counter's name and value, in the order of declaration.
            $visibility fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($counter), self.$counter)),+].into_iter()
            }
        }
    };
}

pub(crate) use counters;

/// Counts one more event. Counters wrap: 2^64 events are out of reach, and a counter must never be what panics.
pub fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    counters! {
        /// Two things to count.
        struct Example {
            /// The first.
            frames,
            /// The second.
            drops,
        }
    }

    #[test]
    fn every_counter_is_shown_under_its_name() {
        let mut example = Example::default();
        count(&mut example.drops);
        count(&mut example.drops);
        count(&mut example.frames);
        assert_eq!(
            example.iter().collect::<Vec<_>>(),
            [("frames", 1), ("drops", 2)]
        );
    }
}
