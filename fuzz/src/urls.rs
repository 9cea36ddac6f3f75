//! Database URLs with known parts, and how they must be parsed.

use std::num::NonZeroU16;

use arbitrary::Arbitrary;
use authjs_bridge::postgres::fuzzing::{ReadUrl, read_url};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// No message may contain it.
const PASSWORD: &str = "HUNTER";
const DEFAULT_PORT: u16 = 5432;

#[derive(Arbitrary, Debug)]
pub enum Url<'a> {
    Text(&'a str),
    Encoded(Encoded<'a>),
    RawPassword(RawPassword<'a>),
}

/// A URL whose parts are percent-encoded.
#[derive(Arbitrary, Debug)]
pub struct Encoded<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    hosts: Vec<Host>,
    dbname: Option<&'a str>,
    as_parameters: bool,
}

#[derive(Arbitrary, Debug)]
struct Host {
    kind: HostKind,
    number: u8,
    port: Option<NonZeroU16>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum HostKind {
    Name,
    Ipv4,
    Ipv6,
    Socket,
}

/// A URL whose password is not percent-encoded, and whose other parts are any text.
#[derive(Arbitrary, Debug)]
pub struct RawPassword<'a> {
    is_parameter: bool,
    before: &'a str,
    after: &'a str,
    user: &'a str,
    rest: &'a str,
}

impl Url<'_> {
    pub fn assert(&self) {
        match self {
            Self::Text(text) => assert_stable(text),
            Self::Encoded(parts) => parts.assert(),
            Self::RawPassword(parts) => parts.assert(),
        }
    }
}

/// A URL that parses must parse to the same when its parts are written in another way.
fn assert_stable(text: &str) {
    if let Ok(read) = read_url(text) {
        let again = render(&read);
        assert_eq!(read_url(&again), Ok(read), "{text} {again}");
    }
}

fn render(url: &ReadUrl) -> String {
    let list = |items: Vec<String>| encode(&items.join(","));
    let mut parameters = vec![
        format!("host={}", list(url.hosts.iter().map(|(name, _)| name.clone()).collect())),
        format!("port={}", list(url.hosts.iter().map(|(_, port)| port.to_string()).collect())),
    ];
    for (name, value) in [("user", &url.user), ("password", &url.password), ("dbname", &url.dbname)] {
        parameters.extend(value.as_ref().map(|value| format!("{name}={}", encode(value))));
    }
    format!("postgresql://?{}", parameters.join("&"))
}

impl Encoded<'_> {
    fn assert(&self) {
        let url = if self.as_parameters { render(&self.expected()) } else { self.to_url() };
        let has_nul = [self.user, self.password, self.dbname].into_iter().flatten().any(|text| text.contains('\0'));
        let hides_tls = [self.user, self.dbname].into_iter().flatten().any(is_about_tls);
        if has_nul || hides_tls {
            assert!(read_url(&url).is_err(), "{url}");
        } else {
            assert_eq!(read_url(&url), Ok(self.expected()), "{url}");
        }
    }

    fn to_url(&self) -> String {
        let text = |text: Option<&str>| encode(text.unwrap_or_default());
        let hosts: Vec<_> = self.hosts.iter().map(Host::to_url).collect();
        let (user, password, dbname) = (text(self.user), text(self.password), text(self.dbname));
        format!("postgres://{user}:{password}@{}/{dbname}", hosts.join(","))
    }

    /// Empty parts are absent, and the default host is this package's.
    fn expected(&self) -> ReadUrl {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let mut hosts: Vec<_> = self.hosts.iter().map(|host| (host.name(), host.port())).collect();
        let mut addresses: Vec<_> = self.hosts.iter().map(Host::address).collect();
        if hosts.is_empty() {
            hosts.push(("localhost".to_owned(), DEFAULT_PORT));
            addresses.push(format!("localhost:{DEFAULT_PORT}"));
        }
        let (user, password, dbname) = (text(self.user), text(self.password), text(self.dbname));
        ReadUrl { hosts, user, password, dbname, address: addresses.join(", ") }
    }
}

/// Such a parameter would be lost in the value of another one.
fn is_about_tls(text: &str) -> bool {
    ["sslmode=", "ssl=", "sslaccept=", "sslrootcert=", "channel_binding="].iter().any(|word| text.contains(word))
}

impl Host {
    fn name(&self) -> String {
        match self.kind {
            HostKind::Name => format!("db-{}.example", self.number),
            HostKind::Ipv4 => format!("10.0.0.{}", self.number),
            HostKind::Ipv6 => format!("2001:db8::{:x}", self.number),
            HostKind::Socket => format!("/run/pg {}", self.number),
        }
    }

    fn port(&self) -> u16 {
        self.port.map_or(DEFAULT_PORT, NonZeroU16::get)
    }

    /// As messages show it.
    fn address(&self) -> String {
        let (name, port) = (self.name(), self.port());
        match self.kind {
            HostKind::Name | HostKind::Ipv4 => format!("{name}:{port}"),
            HostKind::Ipv6 => format!("[{name}]:{port}"),
            HostKind::Socket => format!("{name}/.s.PGSQL.{port}"),
        }
    }

    fn to_url(&self) -> String {
        let name = match self.kind {
            HostKind::Ipv6 => format!("[{}]", self.name()),
            _ => encode(&self.name()),
        };
        self.port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"))
    }
}

impl RawPassword<'_> {
    fn assert(&self) {
        let Self { before, after, user, rest, .. } = self;
        // Messages may show hosts, even one that contains the password.
        let is_elsewhere = [before, after, user, rest].iter().any(|part| part.contains(PASSWORD));
        if is_elsewhere || percent_decode_str(before).decode_utf8_lossy().contains("host") {
            return;
        }
        let url = if self.is_parameter {
            format!("postgres://{user}@host/?password={before}{PASSWORD}{after}&{rest}")
        } else {
            format!("postgres://{user}:{before}{PASSWORD}{after}@{rest}")
        };
        let shown = match read_url(&url) {
            Ok(read) => read.address,
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(PASSWORD), "{url}: {shown}");
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
