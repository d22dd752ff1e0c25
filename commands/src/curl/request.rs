//! The requests that one command makes: the first, and those that redirects ask for.

use super::options::Options;
use crate::Error;
use crate::http::Head;
use crate::url::{Scheme, Url};

/// Headers that say who the user is, and are for nobody but the host that the user named (RFC 9110 15.4).
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// Bodies from here on are sent only when the server wants them (RFC 9110 10.1.1).
const LARGE: u64 = 1 << 20;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) method: String,
    /// The body of the options goes along.
    pub(super) with_body: bool,
    /// The user's credentials go along.
    pub(super) with_credentials: bool,
}

impl Request {
    pub(super) fn first(url: Url, options: &Options) -> Request {
        Request {
            url,
            method: options.first_method().into(),
            with_body: options.upload.is_some() || options.data.is_some(),
            with_credentials: true,
        }
    }

    /// Head of the request for a body of `length` bytes, if there is one; `from` is where a resumed download starts.
    pub(super) fn head(&self, options: &Options, length: Option<u64>, from: u64) -> String {
        let mut lines = vec![
            format!("{} {} HTTP/1.1", self.method, self.url.path),
            format!("Host: {}", self.url.host_header()),
        ];
        let own: Vec<(&str, &String)> = options
            .headers
            .iter()
            .filter_map(|line| Some((line.split_once(':')?.0, line)))
            .collect();
        let said = |name: &str| own.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| {
            if !said(name) {
                lines.push(format!("{name}: {value}"));
            }
        };
        add(
            "User-Agent",
            concat!("redox-curl/", env!("CARGO_PKG_VERSION")),
        );
        add("Accept", "*/*");
        add("Connection", "close");
        if let Some(length) = length {
            add("Content-Length", &length.to_string());
            if expects_leave(length) {
                add("Expect", "100-continue");
            }
        }
        if options.data.is_some() && self.with_body {
            add("Content-Type", "application/x-www-form-urlencoded");
        }
        if from > 0 {
            add("Range", &format!("bytes={from}-"));
        }
        let user = options.user.as_deref().or(self.url.user.as_deref());
        if let (Some(user), true) = (user, self.with_credentials) {
            // RFC 7617 section 2.
            add(
                "Authorization",
                &format!("Basic {}", base64(user.as_bytes())),
            );
        }
        for (name, line) in own {
            let secret = CREDENTIALS.iter().any(|c| c.eq_ignore_ascii_case(name));
            // The host of the user's own Host header is that of the first URL.
            let host = name.eq_ignore_ascii_case("host");
            match host {
                true if self.with_credentials => {
                    if let Some(place) = lines.get_mut(1) {
                        place.clone_from(line);
                    }
                }
                true => {}
                false if secret && !self.with_credentials => {}
                false => lines.push(line.clone()),
            }
        }
        lines.push("\r\n".into());
        lines.join("\r\n")
    }

    /// The request that an answer redirects to; `first` is what the user asked for. `None` if it does not redirect.
    ///
    /// # Errors
    /// That it leads where nobody should go without being told.
    pub(super) fn redirected(
        &self,
        head: &Head,
        first: &Url,
        options: &Options,
    ) -> Result<Option<Request>, Error> {
        // RFC 9110 15.4: of a redirection without a Location the answer itself is what there is.
        let (301 | 302 | 303 | 307 | 308, Some(location)) = (head.status, head.header("location"))
        else {
            return Ok(None);
        };
        let url = self.url.join(location).map_err(|why| {
            Error::Answer(format!("{} redirects to what is no place: {why}", self.url))
        })?;
        if (self.url.scheme, url.scheme) == (Scheme::Https, Scheme::Http) && !options.downgrade {
            return Err(Error::Answer(format!(
                "{} redirects to {url}, where anybody can read and change it: --allow-downgrade follows it",
                self.url
            )));
        }
        let get = match head.status {
            // RFC 9110 15.4.2, 15.4.3: as all clients do, and have to be.
            301 | 302 => self.method == "POST",
            // 15.4.4: the answer is elsewhere, to be fetched.
            303 => self.method != "HEAD",
            // 15.4.8, 15.4.9: the same again.
            _ => false,
        };
        Ok(Some(Request {
            method: if get {
                "GET".into()
            } else {
                self.method.clone()
            },
            with_body: self.with_body && !get,
            with_credentials: options.trust_redirects || url.same_origin(first),
            url: Url {
                user: first.user.clone(),
                ..url
            },
        }))
    }
}

/// Is a body of this length sent only when the server has said that it wants it?
pub(super) fn expects_leave(length: u64) -> bool {
    length >= LARGE
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(match place <= group.len() {
                true => DIGITS.get(digit).copied().unwrap_or(b'=').into(),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(args: &[&str]) -> (Options, Request) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let options = Options::parse(&args).unwrap();
        let url = Url::parse(&options.url).unwrap();
        let request = Request::first(url, &options);
        (options, request)
    }

    fn answer(status: u16, location: &str) -> Head {
        Head {
            status,
            reason: String::new(),
            headers: vec![("location".into(), location.into())],
        }
    }

    fn follow(args: &[&str], status: u16, location: &str) -> Result<Request, Error> {
        let (options, request) = setup(args);
        let first = request.url.clone();
        let next = request.redirected(&answer(status, location), &first, &options)?;
        Ok(next.unwrap())
    }

    #[test]
    fn the_request_is_what_the_rfc_asks_for() {
        let (options, request) =
            setup(&["-H", "X: y", "-H", "accept: text/html", "http://host:81/a"]);
        let text = request.head(&options, None, 0);
        assert!(
            text.starts_with("GET /a HTTP/1.1\r\nHost: host:81\r\n"),
            "{text}"
        );
        assert!(
            text.ends_with("X: y\r\naccept: text/html\r\n\r\n"),
            "{text}"
        );
        assert!(!text.contains("*/*"), "the user's own counts: {text}");
        let text = request.head(&options, None, 100);
        assert!(text.contains("\r\nRange: bytes=100-\r\n"), "{text}");
        let (options, request) = setup(&["-d", "a", "http://u:p@host/"]);
        let text = request.head(&options, Some(LARGE), 0);
        assert!(text.starts_with("POST / "), "{text}");
        assert!(text.contains("\r\nExpect: 100-continue\r\n"), "{text}");
        assert!(text.contains("\r\nAuthorization: Basic dTpw\r\n"), "{text}");
    }

    /// RFC 4648 section 10.
    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    /// RFC 9110 15.4.
    #[test]
    fn methods_change_as_the_rfc_says() {
        let post = ["-d", "x", "http://h/"];
        let put = ["-T", "f", "http://h/"];
        let head = ["-I", "http://h/"];
        for (args, status, method, with_body) in [
            (&post[..], 301, "GET", false),
            (&post, 302, "GET", false),
            (&post, 303, "GET", false),
            (&post, 307, "POST", true),
            (&post, 308, "POST", true),
            (&put, 301, "PUT", true),
            (&put, 303, "GET", false),
            (&head, 303, "HEAD", false),
        ] {
            let next = follow(args, status, "/b").unwrap();
            assert_eq!(
                (next.method.as_str(), next.with_body, next.url.path.as_str()),
                (method, with_body, "/b"),
                "{args:?} {status}"
            );
        }
        let (options, request) = setup(&["http://h/"]);
        for head in [answer(200, "/b"), answer(304, "/b"), answer(300, "/b")] {
            let next = request.redirected(&head, &request.url, &options).unwrap();
            assert_eq!(next, None, "{head:?}");
        }
    }

    #[test]
    fn credentials_stay_with_the_host_they_are_for() {
        let mut args = vec![
            "-H",
            "Authorization: s3cret",
            "-H",
            "Cookie: s3cret",
            "-H",
            "X: y",
        ];
        args.push("http://u:s3cret@h/");
        for (location, goes) in [
            ("/b", true),
            ("http://h:80/b", true),
            ("http://h:81/b", false),
            ("https://h/b", false),
            ("http://other/b", false),
            ("//other/b", false),
        ] {
            let (options, _) = setup(&args);
            let text = follow(&args, 302, location)
                .unwrap()
                .head(&options, None, 0);
            assert_eq!(text.contains("s3cret"), goes, "{location}: {text}");
            assert_eq!(text.contains("Authorization"), goes, "{location}: {text}");
            assert!(text.contains("X: y"), "{text}");
        }
        args.push("--location-trusted");
        assert!(
            follow(&args, 302, "http://other/")
                .unwrap()
                .with_credentials
        );
    }

    #[test]
    fn from_https_to_http_only_when_told() {
        let refused = follow(&["https://h/"], 301, "http://h/").unwrap_err();
        assert!(
            refused.to_string().contains("--allow-downgrade"),
            "{refused}"
        );
        let next = follow(&["--allow-downgrade", "https://h/"], 301, "http://h/").unwrap();
        assert_eq!(next.url.scheme, Scheme::Http);
        assert!(follow(&["http://h/"], 301, "https://h/").is_ok());
        assert!(follow(&["http://h/"], 301, "file:///etc/passwd").is_err());
    }
}
