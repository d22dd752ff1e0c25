//! Domain names as RFC 1035 section 3.1 writes them: a list for DNSSL (RFC 8106 section 5.2) and for DHCPv6
//! (RFC 8415 section 10).

/// RFC 1035 section 2.3.4, as text without the last dot.
const MAX_NAME: usize = 253;
const MAX_LABEL: u8 = 63;

/// The names in `bytes`, one after the other, with zeros behind them. One that is cut short, compressed or too long
/// makes the whole unreadable, and so does nothing but zeros; one that is not made of letters, digits, hyphens and
/// underscores is left out, for names end in files and in logs.
pub(in crate::link) fn decode(bytes: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut any = false;
    let mut rest = bytes;
    while rest.first().is_some_and(|length| *length != 0) {
        any = true;
        let (name, after) = one(rest)?;
        names.extend(name);
        rest = after;
    }
    (any && rest.iter().all(|byte| *byte == 0)).then_some(names)
}

/// The first name, if it is a plain one, and what follows it.
fn one(mut bytes: &[u8]) -> Option<(Option<String>, &[u8])> {
    let mut name = String::new();
    let mut plain = true;
    loop {
        let (&length, rest) = bytes.split_first()?;
        if length == 0 {
            return Some((plain.then_some(name), rest));
        }
        if length > MAX_LABEL {
            return None;
        }
        let (label, rest) = rest.split_at_checked(length.into())?;
        plain &= label.iter().all(|byte| is_plain(*byte));
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(*byte)));
        if name.chars().count() > MAX_NAME {
            return None;
        }
        bytes = rest;
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8106 section 5.2: names one after the other, padded with zeros.
    #[test]
    fn names_follow_one_another_and_padding_follows_them() {
        let bytes = b"\x07example\x03org\0\x03lab\x04test\0\0\0\0";
        assert_eq!(decode(bytes).unwrap(), ["example.org", "lab.test"]);
    }

    #[test]
    fn whatever_is_broken_is_no_list_of_names() {
        let long = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
        let cases: [&[u8]; 8] = [
            b"",
            b"\0\0\0\0",
            b"\x07exam",
            b"\x03lab",
            b"\x03lab\0\0\x03lab\0",
            // A pointer: RFC 8106 section 5.2 forbids compression.
            b"\x03lab\xc0\x00",
            b"\x40lab\0",
            &[long.as_slice(), b"\0"].concat(),
        ];
        for case in cases {
            assert_eq!(decode(case), None, "{case:?}");
        }
    }

    #[test]
    fn a_name_with_anything_in_it_is_left_out_and_the_others_stay() {
        let bytes = b"\x04a\nb \0\x03lab\0\x02a.\0\x04\x1b[2J\0";
        assert_eq!(decode(bytes).unwrap(), ["lab"]);
    }
}
