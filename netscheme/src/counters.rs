//! What happened, counted: the table of counters that a driver shows in `stats`.

/// Declares the enum `Counter` of what is counted and the struct `Counters` with a number for each,
/// both public: every drop and every violation under its own reason.
///
/// The table comes with its test: each counter has a place and a name of its own.
///
/// ```text
/// netscheme::counters! {
///     /// Frames handed up.
///     RxFrames => "rx_frames",
///     /// Dropped: the frame is shorter than an Ethernet header.
///     RxRunt => "rx_drop_runt",
/// }
/// counters.count(Counter::RxRunt);
/// ```
#[macro_export]
macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $variant,)*
        }

        impl Counter {
            /// All of them, in the order in which `stats` shows them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in `stats`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// A number for each [`Counter`], from the daemon's start on; a reset of the device does not touch
        /// them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Counters([u64; Counter::ALL.len()]);

        impl Default for Counters {
            fn default() -> Self {
                Self([0; Counter::ALL.len()])
            }
        }

        impl Counters {
            /// Counts once.
            pub fn count(&mut self, counter: Counter) {
                self.add(counter, 1);
            }

            /// Counts `number` times.
            pub fn add(&mut self, counter: Counter, number: u64) {
                if let Some(value) = self.0.get_mut(counter as usize) {
                    *value = value.wrapping_add(number);
                }
            }

            /// How often it was counted.
            #[must_use]
            pub fn get(&self, counter: Counter) -> u64 {
                self.0.get(counter as usize).copied().unwrap_or(0)
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_counter_has_a_place_and_a_name_of_its_own() {
                let mut counters = Counters::default();
                for (number, &counter) in Counter::ALL.iter().enumerate() {
                    counters.add(counter, number as u64);
                    counters.count(counter);
                }
                let mut names = Vec::new();
                for (number, &counter) in Counter::ALL.iter().enumerate() {
                    assert_eq!(
                        counters.get(counter),
                        number as u64 + 1,
                        "{}",
                        counter.name()
                    );
                    names.push(counter.name());
                }
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), Counter::ALL.len(), "two counters of one name");
            }
        }
    };
}
