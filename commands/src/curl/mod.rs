//! `curl`: fetches or uploads over HTTP and HTTPS.
//!
//! One request a connection; redirects are further ones. What differs from the curl of other systems is on the safe
//! side: a redirect from https to http is refused unless `--allow-downgrade` is given, and a resumed download that the
//! server can only give whole is begun anew.

mod body;
mod options;
mod output;
mod progress;
mod request;

use core::time::Duration;

use netscheme::clock;

use crate::connect::connect;
use crate::http::{Connection, Head};
use crate::stream::{Deadline, TcpStream};
use crate::tls::Tls;
use crate::url::{Scheme, Url};
use crate::wait::after;
use crate::{Error, Terminal, dns};

use body::Body;
use options::Options;
use output::Target;
use request::{Request, expects_leave};

/// How long leave to send a large body is waited for: many servers never give it (RFC 9110 10.1.1).
const LEAVE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let options = Options::parse(args)?;
    let first = Url::parse(&options.url).map_err(Error::Usage)?;
    let target = Target::new(&options, &first)?;
    let deadline = limit("--max-time", options.max_time);
    let mut session = Session {
        options: &options,
        deadline,
        from: target.from(),
        tls: None,
        terminal,
    };
    let mut request = Request::first(first.clone(), &options);
    for _ in 0..=options.most_redirects() {
        let (mut connection, head) = session.exchange(&request)?;
        let next = match options.follow {
            true => request.redirected(&head, &first, &options)?,
            false => None,
        };
        let Some(next) = next else {
            return target.receive(&mut connection, &request, &head, &options, session.terminal);
        };
        session.say(&format!("* on to {}", next.url))?;
        request = next;
    }
    Err(Error::Answer(format!(
        "{first}: more than {} redirects, the last to {}",
        options.most_redirects(),
        request.url
    )))
}

fn limit(option: &'static str, limit: Option<Duration>) -> Deadline {
    limit.map_or(Deadline::NEVER, |limit| {
        Deadline::new(option, limit, clock::now())
    })
}

/// What all requests of one command share.
struct Session<'a, 'b> {
    options: &'a Options,
    deadline: Deadline,
    /// Where the download starts.
    from: u64,
    /// Made for the first https request.
    tls: Option<Tls>,
    terminal: &'a mut Terminal<'b>,
}

impl Session<'_, '_> {
    /// Sends a request and reads the head of its answer.
    fn exchange(&mut self, request: &Request) -> Result<(Connection, Head), Error> {
        let mut connection = self.connect(&request.url)?;
        let head = match self.send(request, &mut connection)? {
            Some(head) => head,
            None => connection.read_head()?,
        };
        self.say(&format!("< HTTP/1.1 {} {}", head.status, head.reason))?;
        for (name, value) in &head.headers {
            self.say(&format!("< {name}: {value}"))?;
        }
        Ok((connection, head))
    }

    fn connect(&mut self, url: &Url) -> Result<Connection, Error> {
        let until = limit("--connect-timeout", self.options.connect_timeout);
        let until = self.deadline.earlier(until);
        let addresses = dns::lookup(&url.host, self.options.family, self.terminal.seed, until)?;
        let socket = connect(&addresses, url.port, until)?;
        let named: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        self.say(&format!(
            "* connected to {} ({}) port {}",
            url.host,
            named.join(", "),
            url.port
        ))?;
        let mut stream = TcpStream::new(socket, url.host_header(), until)?;
        if url.scheme == Scheme::Http {
            stream.set_deadline(self.deadline);
            return Ok(Connection::new(Box::new(stream)));
        }
        let tls = match self.tls.take() {
            Some(tls) => tls,
            None => Tls::new(&self.options.trust)?,
        };
        if self.options.trust.insecure && !self.options.silent {
            let host = &url.host;
            writeln!(
                self.terminal.err,
                "curl: warning: -k: whoever answers as {host} is believed"
            )?;
        }
        let mut stream = tls.connect(stream, &url.host)?;
        stream.set_deadline(self.deadline);
        self.say(&format!("* {}", stream.description()))?;
        self.tls = Some(tls);
        Ok(Connection::new(Box::new(stream)))
    }

    /// Sends a request with its body. A head is the answer of a server that did not want the body, or not all of it.
    fn send(
        &mut self,
        request: &Request,
        connection: &mut Connection,
    ) -> Result<Option<Head>, Error> {
        let body = match request.with_body {
            true => Body::of(self.options)?,
            false => None,
        };
        let length = body.as_ref().map(Body::length);
        let text = request.head(self.options, length, self.from);
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.say(&format!("> {}", without_secret(line)))?;
        }
        connection.write_all(text.as_bytes())?;
        let Some(body) = body else {
            return Ok(None);
        };
        if expects_leave(body.length())
            && let Some(head) = connection.wait_for_leave(after(LEAVE))?
        {
            return Ok(Some(head));
        }
        body.send(connection, self.options, self.terminal)
    }

    /// A line for `-v`.
    fn say(&mut self, line: &str) -> Result<(), Error> {
        if self.options.verbose {
            writeln!(self.terminal.err, "{line}")?;
        }
        Ok(())
    }
}

/// A header as it may be shown: a screen is read by more people than its user.
fn without_secret(line: &str) -> &str {
    const SECRET: &str = "authorization";
    match line.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case(SECRET) => "Authorization: (not shown)",
        _ => line,
    }
}
