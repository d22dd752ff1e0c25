//! The list of what must be different somewhere.

use std::collections::BTreeMap;

/// By the case's name: what it says when it fails.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<String, String>);

impl Differences {
    /// `NAME: REASON` and, below and indented, what the case says. Empty lines and those that begin with `#` say nothing.
    pub(crate) fn parse(text: &str) -> Differences {
        let mut differences = BTreeMap::new();
        let mut name = None;
        let said = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        for line in text.lines().filter(said) {
            match (line.strip_prefix(' '), &name) {
                (Some(says), Some(name)) => {
                    differences.insert(String::clone(name), says.trim().to_owned());
                }
                _ => name = line.split(": ").next().map(str::to_owned),
            }
        }
        Differences(differences)
    }

    /// What a case says that must be different. A name without a family stands for both.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        let short = name.split(", over IPv").next()?;
        let found = self.0.get(name).or_else(|| self.0.get(short));
        found.map(String::as_str)
    }
}
