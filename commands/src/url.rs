//! The addresses that `curl` takes: `http://host[:port]/path`.

/// Where an `http` URL points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name, an IPv4 address, or an IPv6 address without its brackets; a zone stands behind a `%`.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, beginning with a slash.
    pub(crate) path: String,
}

impl Url {
    /// Parses a URL; the error says what is wrong with it. Without a scheme, `http` is meant.
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(format!("{text}: only http is spoken here, not {scheme}"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = split_port(authority)
            .ok_or_else(|| format!("{text}: \"{authority}\" is no host and port"))?;
        if host.is_empty() {
            return Err(format!("{text}: no host"));
        }
        if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(format!("{text}: a space or control character in the path"));
        }
        let path = match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        Ok(Url {
            // RFC 6874 section 2: in a URL the % before a zone is written %25; people write % (section 3).
            host: host.replacen("%25", "%", 1),
            port,
            path,
        })
    }

    /// The `Host` header (RFC 9112 3.2): brackets around IPv6, the port unless it is 80. A zone is nobody else's
    /// business (RFC 6874 section 4).
    pub(crate) fn host_header(&self) -> String {
        let host = self.host.split('%').next().unwrap_or_default();
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }
}

fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match authority.split_once(':') {
            Some((host, _)) => (host, authority.get(host.len()..)?),
            None => (authority, ""),
        },
    };
    let port = match port.strip_prefix(':') {
        Some("") | None if port.len() <= 1 => 80,
        Some(digits) => digits.parse().ok().filter(|&port| port != 0)?,
        None => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, port: u16, path: &str) -> Result<Url, String> {
        Ok(Url {
            host: host.into(),
            port,
            path: path.into(),
        })
    }

    #[test]
    fn what_users_type_is_understood() {
        assert_eq!(Url::parse("http://host/a?b"), url("host", 80, "/a?b"));
        assert_eq!(Url::parse("host:8080"), url("host", 8080, "/"));
        assert_eq!(Url::parse("http://host?q"), url("host", 80, "/?q"));
        assert_eq!(
            Url::parse("http://[fd42::1]:81/x#y"),
            url("fd42::1", 81, "/x")
        );
        assert_eq!(Url::parse("http://[fd42::1]/"), url("fd42::1", 80, "/"));
        assert_eq!(Url::parse("http://u:p@host:/"), url("host", 80, "/"));
        for text in ["http://[fe80::2%25eth0]:81/", "http://[fe80::2%eth0]:81/"] {
            let parsed = Url::parse(text).unwrap();
            assert_eq!(parsed.host, "fe80::2%eth0");
            assert_eq!(parsed.host_header(), "[fe80::2]:81");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_a_reason() {
        for text in [
            "http://",
            "ftp://host/",
            "http://host:port/",
            "http://host:0/",
            "http://host:70000/",
            "http://[fd42::1/",
            "http://[fd42::1]81/",
            "http://host/a b",
            "http://host/a\r\nX: y",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
