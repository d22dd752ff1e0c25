//! The addresses that `curl` takes, `http[s]://[user[:password]@]host[:port]/path`, and references from one to another.

/// What is spoken with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn of(text: &str) -> Option<Scheme> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            _ => None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// RFC 9110 4.2.1, 4.2.2.
    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Where an `http` or `https` URL points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address without its brackets; a zone stands behind a `%`.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, beginning with a slash.
    pub(crate) path: String,
    /// `user:password` in front of the host, as it was written.
    pub(crate) user: Option<String>,
}

impl Url {
    /// Parses a URL; the error says what is wrong with it. Without a scheme, `http` is meant.
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = Scheme::of(scheme)
            .ok_or_else(|| format!("{text}: only http and https are spoken here"))?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = split_port(authority, scheme.default_port())
            .ok_or_else(|| format!("{text}: \"{authority}\" is no host and port"))?;
        if host.is_empty() {
            return Err(format!("{text}: no host"));
        }
        // The path becomes a line of the request, and the host another.
        if rest.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(format!("{text}: a space or control character in it"));
        }
        let path = match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        Ok(Url {
            scheme,
            // RFC 6874 section 2: in a URL the % before a zone is written %25; people write % (section 3).
            host: host.replacen("%25", "%", 1),
            port,
            path,
            user,
        })
    }

    /// Where a reference in an answer of this URL's server points (RFC 3986 5.2). A user in it is not taken: it is the
    /// server's word and not the user's.
    pub(crate) fn join(&self, reference: &str) -> Result<Url, String> {
        let reference = reference.split('#').next().unwrap_or_default();
        let end = reference.find([':', '/', '?']).unwrap_or(reference.len());
        let absolute = reference.get(end..).is_some_and(|r| r.starts_with(':'));
        let path = match reference {
            _ if absolute => {
                let url = Url::parse(reference)?;
                let path = without_dots(&url.path);
                return Ok(Url {
                    user: None,
                    path,
                    ..url
                });
            }
            "" => self.path.clone(),
            _ if reference.starts_with("//") => {
                return self.join(&format!("{}:{reference}", self.scheme.word()));
            }
            _ if reference.starts_with('/') => reference.to_owned(),
            _ if reference.starts_with('?') => format!("{}{reference}", self.without_query()),
            _ => {
                let base = self.without_query();
                let folder = base.rfind('/').and_then(|end| base.get(..=end));
                format!("{}{reference}", folder.unwrap_or("/"))
            }
        };
        if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(format!("{reference}: a space or control character in it"));
        }
        Ok(Url {
            path: without_dots(&path),
            user: None,
            ..self.clone()
        })
    }

    fn without_query(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Are both of one origin (RFC 6454 section 4): scheme, host and port?
    pub(crate) fn same_origin(&self, other: &Url) -> bool {
        (self.scheme, self.port) == (other.scheme, other.port)
            && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The last part of the path, for `-O`; none if it ends in a slash or would leave the directory.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let name = self.without_query().rsplit('/').next()?;
        (!matches!(name, "" | "." | "..")).then_some(name)
    }

    /// The `Host` header (RFC 9112 3.2): brackets around IPv6, the port unless it is the scheme's. A zone is nobody else's
    /// business (RFC 6874 section 4).
    pub(crate) fn host_header(&self) -> String {
        let host = self.host.split('%').next().unwrap_or_default();
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match self.port == self.scheme.default_port() {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }
}

impl core::fmt::Display for Url {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.word(),
            self.host_header(),
            self.path
        )
    }
}

/// Takes `.` and `..` out of a path (RFC 3986 5.2.4); the query behind it stays.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if last {
                    parts.push("");
                }
            }
            _ => parts.push(segment),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match authority.split_once(':') {
            Some((host, _)) => (host, authority.get(host.len()..)?),
            None => (authority, ""),
        },
    };
    let port = match port.strip_prefix(':') {
        Some("") | None if port.len() <= 1 => default,
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
            scheme: Scheme::Http,
            host: host.into(),
            port,
            path: path.into(),
            user: None,
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
        let with_user = Url::parse("http://u:p@host:/").unwrap();
        assert_eq!(with_user.user.as_deref(), Some("u:p"));
        assert_eq!(
            with_user.to_string(),
            "http://host/",
            "no password on a screen"
        );
        let secure = Url::parse("HTTPS://host/").unwrap();
        assert_eq!((secure.scheme, secure.port), (Scheme::Https, 443));
        assert_eq!(secure.host_header(), "host");
        assert_eq!(
            Url::parse("https://host:80/").unwrap().host_header(),
            "host:80"
        );
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

    #[test]
    fn references_resolve_as_in_rfc_3986_section_5_4() {
        let base = Url::parse("http://u:p@a/b/c/d;p?q").unwrap();
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../../g", "http://a/g"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://h:8443/x", "https://h:8443/x"),
            ("//[fd42::1]:81/x", "http://[fd42::1]:81/x"),
        ] {
            let joined = base.join(reference).unwrap();
            assert_eq!(joined.to_string(), expected, "{reference}");
            assert_eq!(joined.user, None, "{reference}");
        }
        for reference in [
            "ftp://h/",
            "javascript:x",
            "file:///etc/passwd",
            "/a b",
            "http://",
        ] {
            assert!(base.join(reference).is_err(), "{reference}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_a_file_name_stays_in_its_directory() {
        let one = Url::parse("http://host/a/b.txt?x=/y").unwrap();
        assert_eq!(one.file_name(), Some("b.txt"));
        assert!(one.same_origin(&Url::parse("http://HOST:80/").unwrap()));
        for other in ["https://host/", "http://host:81/", "http://other/"] {
            assert!(!one.same_origin(&Url::parse(other).unwrap()), "{other}");
        }
        for text in ["http://host/", "http://host/a/..", "http://host/."] {
            assert_eq!(Url::parse(text).unwrap().file_name(), None, "{text}");
        }
    }
}
