//! What `curl` is asked to do.

use core::time::Duration;

use crate::Error;
use crate::address::Family;
use crate::tls::Trust;

const USAGE: &str = "curl [-4 | -6] [-sfiILvk#] [-o FILE | -O] [-C OFFSET | -C -] [-T FILE | -d DATA] [-X METHOD] \
[-H HEADER]… [-u USER:PASSWORD] [--cacert FILE] [-m SECONDS] [--connect-timeout SECONDS] [--max-redirs N] \
[--allow-downgrade] [--location-trusted] URL";
/// Redirects followed if nothing else is said, as other clients do.
const MOST_REDIRECTS: u32 = 50;

/// Where a download goes on (`-C`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// Behind what the output file has already.
    Automatic,
    /// At this byte.
    At(u64),
}

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) url: String,
    pub(super) family: Family,
    pub(super) silent: bool,
    pub(super) progress: bool,
    pub(super) verbose: bool,
    pub(super) fail: bool,
    pub(super) show_head: bool,
    pub(super) head_only: bool,
    pub(super) output: Option<String>,
    pub(super) remote_name: bool,
    pub(super) resume: Option<Resume>,
    pub(super) upload: Option<String>,
    /// Joined by `&`.
    pub(super) data: Option<String>,
    pub(super) method: Option<String>,
    pub(super) headers: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) follow: bool,
    pub(super) max_redirects: Option<u32>,
    /// A redirect may lead from https to http.
    pub(super) downgrade: bool,
    /// Credentials go along to other hosts.
    pub(super) trust_redirects: bool,
    pub(super) max_time: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) trust: Trust,
}

fn usage(why: &str) -> Error {
    match why {
        "" => Error::Usage(USAGE.into()),
        _ => Error::Usage(format!("{USAGE}\n{why}")),
    }
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let cluster = arg
                .strip_prefix('-')
                .filter(|rest| rest.len() > 1 && !rest.starts_with('-'));
            match cluster {
                // "-sfL": switches may stand together, and the last may take a value.
                Some(letters) => {
                    for letter in letters.chars() {
                        options.take(&format!("-{letter}"), &mut args)?;
                    }
                }
                None => options.take(arg, &mut args)?,
            }
        }
        options.check()?;
        Ok(options)
    }

    fn take(&mut self, arg: &str, args: &mut std::slice::Iter<'_, String>) -> Result<(), Error> {
        if self.switch(arg) {
            return Ok(());
        }
        if !arg.starts_with('-') {
            return match self.url.is_empty() {
                true => {
                    self.url = arg.into();
                    Ok(())
                }
                false => Err(usage(&format!("one URL, not two: {arg}"))),
            };
        }
        let missing = || usage(&format!("{arg} is not known, or has no value"));
        self.valued(arg, args.next().ok_or_else(missing)?)
    }

    /// Options without a value.
    fn switch(&mut self, arg: &str) -> bool {
        let flag = match arg {
            "-s" | "--silent" => &mut self.silent,
            "-#" | "--progress-bar" => &mut self.progress,
            "-v" | "--verbose" => &mut self.verbose,
            "-f" | "--fail" => &mut self.fail,
            "-i" | "--include" => &mut self.show_head,
            "-I" | "--head" => &mut self.head_only,
            "-O" | "--remote-name" => &mut self.remote_name,
            "-L" | "--location" => &mut self.follow,
            "--allow-downgrade" => &mut self.downgrade,
            "--location-trusted" => {
                self.follow = true;
                &mut self.trust_redirects
            }
            "-k" | "--insecure" => &mut self.trust.insecure,
            _ => {
                let family = Family::of_option(arg);
                self.family = family.unwrap_or(self.family);
                return family.is_some();
            }
        };
        *flag = true;
        true
    }

    /// Options with a value.
    fn valued(&mut self, arg: &str, value: &str) -> Result<(), Error> {
        let bad = || usage(&format!("{arg} cannot be {value}"));
        match arg {
            "-o" | "--output" => self.output = Some(value.into()),
            "-T" | "--upload-file" => self.upload = Some(value.into()),
            "-X" | "--request" => self.method = Some(value.into()),
            "-H" | "--header" => self.headers.push(value.into()),
            "-u" | "--user" => self.user = Some(value.into()),
            "--cacert" => self.trust.file = Some(value.into()),
            "-d" | "--data" => {
                let before = self.data.take().map_or(String::new(), |text| text + "&");
                self.data = Some(before + value);
            }
            "-C" | "--continue-at" => {
                self.resume = Some(match value {
                    "-" => Resume::Automatic,
                    _ => Resume::At(value.parse().map_err(|_| bad())?),
                });
            }
            "-m" | "--max-time" => self.max_time = Some(seconds(value).ok_or_else(bad)?),
            "--connect-timeout" => self.connect_timeout = Some(seconds(value).ok_or_else(bad)?),
            "--max-redirs" => self.max_redirects = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(usage(&format!("{arg} is not known"))),
        }
        Ok(())
    }

    /// What does not go together, and what would break out of its line of the request (RFC 9110 5.5, RFC 9112 3.1).
    fn check(&self) -> Result<(), Error> {
        if self.url.is_empty() {
            return Err(usage(""));
        }
        let token = |text: &str| {
            let extra = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra(b))
        };
        for header in &self.headers {
            let name = header.split_once(':').map(|(name, _)| name);
            if !name.is_some_and(token) || header.chars().any(|c| c.is_control() && c != '\t') {
                return Err(usage(&format!("{header:?} is no header")));
            }
        }
        if self.method.as_deref().is_some_and(|method| !token(method)) {
            return Err(usage("-X wants a method of one word"));
        }
        let sends = self.upload.is_some() || self.data.is_some();
        let wrong = match () {
            () if self.upload.is_some() && self.data.is_some() => "-T or -d, not both",
            () if self.head_only && sends => "-I fetches a head, and cannot send",
            () if self.resume.is_some() && sends => {
                "-C goes on with a download, not with an upload"
            }
            () if self.output.is_some() && self.remote_name => "-o or -O, not both",
            () if self.resume == Some(Resume::Automatic)
                && self.output.is_none()
                && !self.remote_name =>
            {
                "-C - needs -o or -O, to see what is there already"
            }
            () => return Ok(()),
        };
        Err(usage(wrong))
    }

    pub(super) fn most_redirects(&self) -> u32 {
        self.max_redirects.unwrap_or(MOST_REDIRECTS)
    }

    /// The method of the first request.
    pub(super) fn first_method(&self) -> &str {
        match &self.method {
            Some(method) => method,
            None if self.head_only => "HEAD",
            None if self.upload.is_some() => "PUT",
            None if self.data.is_some() => "POST",
            None => "GET",
        }
    }
}

/// A time in seconds, with decimals.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, Error> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(&args)
    }

    #[test]
    fn switches_stand_alone_or_together() {
        let options = parse(&["-sfLo", "/x", "-C", "-", "-m", "1.5", "-6", "https://h/"]).unwrap();
        assert!(options.silent && options.fail && options.follow);
        assert_eq!(options.output.as_deref(), Some("/x"));
        assert_eq!(options.resume, Some(Resume::Automatic));
        assert_eq!(options.max_time, Some(Duration::from_millis(1500)));
        assert_eq!(
            (options.url.as_str(), options.family),
            ("https://h/", Family::V6)
        );
        assert_eq!(options.first_method(), "GET");
        let post = parse(&["-d", "a=b", "-d", "c=d", "h"]).unwrap();
        assert_eq!(post.data.as_deref(), Some("a=b&c=d"));
        assert_eq!(post.first_method(), "POST");
    }

    #[test]
    fn a_header_or_method_that_would_smuggle_a_second_one_is_refused() {
        for args in [
            ["-H", "X: y\r\nEvil: z"],
            ["-H", "no colon"],
            ["-H", ": no name"],
            ["-H", "bad name: x"],
            ["-X", "GET /x HTTP/1.1\r\nA:"],
            ["-X", ""],
        ] {
            let error = parse(&[args[0], args[1], "http://host/"]);
            assert!(matches!(error, Err(Error::Usage(_))), "{args:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_a_reason() {
        for args in [
            &["h", "i"][..],
            &[],
            &["-o"],
            &["--what", "x", "h"],
            &["-C", "-", "h"],
            &["-C", "x", "-o", "f", "h"],
            &["-C", "5", "-T", "f", "h"],
            &["-T", "f", "-d", "x", "h"],
            &["-I", "-d", "x", "h"],
            &["-m", "0", "h"],
            &["-m", "-1", "h"],
            &["-m", "nan", "h"],
            &["-m", "1e300", "h"],
            &["-O", "-o", "f", "h"],
        ] {
            assert!(matches!(parse(args), Err(Error::Usage(_))), "{args:?}");
        }
    }
}
