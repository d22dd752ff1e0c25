//! The domains below which a short name is looked for: `resolv/search`.

use std::collections::BTreeMap;

use super::{Change, Stack};
use crate::ports::LinkId;

/// Domains that are used, those by hand or those of all routers together.
const MOST_DOMAINS: usize = 16;

/// Who said which.
#[derive(Debug, Default)]
pub(super) struct SearchList {
    /// Configured by hand; while there are any, the learned ones are not used.
    by_hand: Vec<String>,
    /// What the routers and servers of each link say.
    learned: BTreeMap<LinkId, Vec<String>>,
}

impl Stack {
    /// The search list in order of preference: what was configured by hand, else what was learned, in the order of the
    /// links.
    pub fn search_domains(&self) -> Vec<String> {
        let list = &self.config.search;
        if !list.by_hand.is_empty() {
            return list.by_hand.clone();
        }
        let mut domains: Vec<String> = Vec::new();
        for domain in list.learned.values().flatten() {
            if domains.len() < MOST_DOMAINS && !domains.contains(domain) {
                domains.push(domain.clone());
            }
        }
        domains
    }

    /// Configures the search list by hand, at most 16 domains; none leaves it to the routers.
    pub fn set_search_domains(&mut self, mut domains: Vec<String>) {
        domains.truncate(MOST_DOMAINS);
        self.config.search.by_hand = domains;
        self.changes.insert(Change::Resolvers);
    }

    /// What routers (RFC 8106) and DHCP servers of a link say now; none if they say nothing any more.
    pub fn set_learned_search(&mut self, link: LinkId, domains: Vec<String>) {
        let before = self.search_domains();
        match domains.is_empty() {
            true => self.config.search.learned.remove(&link),
            false => self.config.search.learned.insert(link, domains),
        };
        if self.search_domains() != before {
            self.changes.insert(Change::Resolvers);
        }
    }
}

/// Is it a name that others can be looked for below: labels of letters, digits, hyphens and underscores (RFC 1035
/// 2.3.1, RFC 2181 11), at most 253 bytes in all (RFC 1035 2.3.4)?
pub fn is_domain(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() <= 253
        && text
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(fits))
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Instant;

    use super::*;
    use crate::stack::{LOOPBACK, Limits};

    fn domains(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_configured_by_hand_covers_what_was_learned() {
        let mut stack = Stack::new([7; 32], Limits::default(), Instant::ZERO);
        let other = LinkId(LOOPBACK.0 + 1);
        stack.set_learned_search(other, domains(&["b.test", "a.test"]));
        stack.set_learned_search(LOOPBACK, domains(&["a.test"]));
        assert_eq!(stack.search_domains(), ["a.test", "b.test"]);
        stack.set_search_domains(domains(&["lab.test"]));
        assert_eq!(stack.search_domains(), ["lab.test"]);
        stack.set_search_domains(Vec::new());
        stack.set_learned_search(LOOPBACK, Vec::new());
        assert_eq!(stack.search_domains(), ["b.test", "a.test"]);
    }

    #[test]
    fn whatever_routers_say_the_list_is_bounded_and_told_when_it_changes() {
        let mut stack = Stack::new([7; 32], Limits::default(), Instant::ZERO);
        let many: Vec<String> = (0..1000).map(|n| format!("d{n}.test")).collect();
        stack.set_learned_search(LOOPBACK, many.clone());
        assert_eq!(stack.search_domains().len(), MOST_DOMAINS);
        let mut changes = Vec::new();
        stack.take_changes(&mut changes);
        assert_eq!(changes, [Change::Resolvers]);
        stack.set_learned_search(LOOPBACK, many);
        changes.clear();
        stack.take_changes(&mut changes);
        assert_eq!(changes, [], "nothing new");
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            "lab.",
            &"a".repeat(64),
            "\u{e4}.test",
        ] {
            assert!(!is_domain(text), "{text}");
        }
        for text in ["lab", "lab.test", "_x.a-b.example"] {
            assert!(is_domain(text), "{text}");
        }
        assert!(!is_domain(&["a"; 128].join(".")));
    }
}
