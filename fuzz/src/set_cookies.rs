//! Lines that set or delete a session cookie, and what a browser makes of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use authjs_bridge::cookie::{Attributes, Change, CookieName, MAX_TOKEN_BYTES, NewToken, SameSite};

use crate::allocations::Budget;
use crate::cookies::readings;

/// A part of the header takes two bytes, and forty when it is copied into a list that grows by doubling. There are at most a hundred
/// and fifty lines, of two hundred bytes beside name and value.
const BUDGET: Budget = Budget { base: 64 * 1024, multiple: 48 };

/// More chunks than a token of 32 KiB has; from this number on, a cookie belongs to another app: the number is a port.
const MAX_CHUNKS: usize = 50;
const MIN_PORT: usize = 100;

const NAMES: [&str; 3] = ["sid", "__Secure-authjs.session-token", "sid.3000"];

#[derive(Arbitrary, Debug)]
pub struct SetCookieCase<'a> {
    name: u8,
    attributes: AttributesOfCase,
    /// `None` deletes the cookie.
    token: Option<TokenOfCase>,
    header: &'a str,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct AttributesOfCase {
    has_domain: bool,
    has_path: bool,
    same_site: u8,
    secure: bool,
    partitioned: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct TokenOfCase {
    length: u16,
    max_value: u16,
    expires_at: u64,
}

/// Each place has a value of its own, so that no part can stand for another.
static LONGEST: LazyLock<String> = LazyLock::new(|| {
    let numbers = (0_u32..).flat_map(|number| format!("{number:x}.").into_bytes());
    numbers.take(MAX_TOKEN_BYTES).map(char::from).collect()
});

/// A cookie as the browser has it: name and value.
type Cookie = (String, String);

impl SetCookieCase<'_> {
    /// Panics unless the browser keeps exactly the new token, and all cookies of others.
    pub fn assert(&self) {
        let name = NAMES[usize::from(self.name) % NAMES.len()];
        let cookie_name = CookieName::new(name).expect("a name");
        let attributes = self.attributes.of_package();
        let length = self.token.map_or(0, |token| usize::from(token.length) % LONGEST.len() + 1);
        let text = &LONGEST[..length];
        let new = self.token.map(|token| {
            let max_value = usize::from(token.max_value).max(length.div_ceil(MAX_CHUNKS)).max(1);
            NewToken { token: text, expires_at: token.expires_at, max_value }
        });
        let change = Change { name: &cookie_name, attributes: &attributes, token: new };
        let input_bytes = self.header.len() + length;
        let lines = BUDGET.assert(input_bytes, || change.lines(self.header));
        let applied = BUDGET.assert(input_bytes, || change.apply(self.header));

        let expected = new.map_or_else(Vec::new, |NewToken { max_value, .. }| expected_cookies(name, text, max_value));
        let before = cookies_of(self.header);
        let mut browser = before.clone();
        let mut set = HashSet::new();
        for line in &lines {
            let (cookie, is_deletion) = self.parse(line);
            assert!(set.insert(cookie.0.clone()), "{} is set twice", cookie.0);
            assert!(is_of(&cookie.0, name), "{} is another app's", cookie.0);
            assert!(!is_deletion || before.iter().any(|(known, _)| *known == cookie.0), "nothing to delete: {line}");
            browser.retain(|(known, _)| *known != cookie.0);
            if !is_deletion {
                browser.push(cookie);
            }
        }
        for (case, cookies) in [("browser", browser), ("header", cookies_of(&applied))] {
            let (mut own, others): (Vec<_>, Vec<_>) = cookies.into_iter().partition(|(known, _)| is_of(known, name));
            own.sort_by_key(|(known, _)| (known.len(), known.clone()));
            assert_eq!(own, expected, "{case}");
            let untouched: Vec<_> = before.iter().filter(|(known, _)| !is_of(known, name)).cloned().collect();
            assert_eq!(others, untouched, "{case}");
        }
        if let Some(token) = new
            && applied.len() <= 64 * 1024
        {
            // Cookies of other apps can look like chunks behind a gap, which makes the start of the token a reading, too.
            let readings = readings(name, &applied).unwrap_or_default();
            assert!(readings.iter().any(|reading| reading == token.token), "it is not read");
            assert!(readings.iter().all(|reading| token.token.starts_with(reading.as_str())), "more is read");
        }
    }

    /// The cookie of a line, and whether the line deletes it. Panics unless the attributes are those of the case, in the order of
    /// Auth.js.
    fn parse(&self, line: &str) -> (Cookie, bool) {
        let (pair, attributes) = line.split_once("; ").expect("attributes");
        let (name, value) = pair.split_once('=').expect("a value");
        let is_deletion = attributes.starts_with("Max-Age=0; ");
        let expires = match self.token {
            Some(token) if !is_deletion => Some(token.expires_at),
            _ => None,
        };
        assert_eq!(is_deletion, value.is_empty(), "{line}");
        assert_eq!(attributes, self.attributes.text(is_deletion, expires), "{line}");
        ((name.to_owned(), value.to_owned()), is_deletion)
    }
}

impl AttributesOfCase {
    const DOMAIN: &str = "example.com";
    const PATH: &str = "/app";
    const SAME_SITE: [(SameSite, &str); 3] =
        [(SameSite::Lax, "Lax"), (SameSite::Strict, "Strict"), (SameSite::None, "None")];

    fn same_site(self) -> (SameSite, &'static str) {
        Self::SAME_SITE[usize::from(self.same_site) % Self::SAME_SITE.len()]
    }

    fn of_package(self) -> Attributes {
        Attributes {
            domain: self.has_domain.then(|| Self::DOMAIN.to_owned()),
            path: if self.has_path { Self::PATH } else { "/" }.to_owned(),
            same_site: self.same_site().0,
            secure: self.secure,
            partitioned: self.partitioned,
        }
    }

    fn text(self, is_deletion: bool, expires: Option<u64>) -> String {
        let mut parts = Vec::new();
        parts.extend(is_deletion.then(|| "Max-Age=0".to_owned()));
        parts.extend(self.has_domain.then(|| format!("Domain={}", Self::DOMAIN)));
        parts.push(format!("Path={}", if self.has_path { Self::PATH } else { "/" }));
        parts.extend(expires.map(|seconds| format!("Expires={}", date(seconds))));
        parts.push("HttpOnly".to_owned());
        parts.extend(self.secure.then(|| "Secure".to_owned()));
        parts.extend(self.partitioned.then(|| "Partitioned".to_owned()));
        parts.push(format!("SameSite={}", self.same_site().1));
        parts.join("; ")
    }
}

fn expected_cookies(name: &str, token: &str, max_value: usize) -> Vec<Cookie> {
    let chunks: Vec<_> =
        token.as_bytes().chunks(max_value).map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
    match &chunks[..] {
        [whole] => vec![(name.to_owned(), whole.clone())],
        _ => (0..).zip(chunks).map(|(index, chunk): (usize, _)| (format!("{name}.{index}"), chunk)).collect(),
    }
}

/// Whether a cookie is the session cookie `name`, or a chunk of it.
fn is_of(cookie: &str, name: &str) -> bool {
    let Some(rest) = cookie.strip_prefix(name) else {
        return false;
    };
    let number = rest.strip_prefix('.').and_then(|digits| digits.parse::<usize>().ok());
    rest.is_empty() || number.is_some_and(|number| number < MIN_PORT && rest == format!(".{number}"))
}

/// A part without `=` is a value without a name.
fn cookies_of(header: &str) -> Vec<Cookie> {
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    let cookie = |part: &str| {
        part.split_once('=').map_or_else(|| (String::new(), trim(part)), |(name, value)| (trim(name), trim(value)))
    };
    header.split(';').filter(|part| !trim(part).is_empty()).map(cookie).collect()
}

/// As `Date.prototype.toUTCString` writes it, but none is later than the year 9999.
fn date(seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let seconds = seconds.min(253_402_300_799);
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[(days % 7) as usize];
    // The days since March 1 of the year 0, in the cycles of the calendar: 400, 100, 4 and 1 years.
    let day = days + 719_468;
    let (cycle, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = 400 * cycle + year + u64::from(month >= 10);
    let month = MONTHS[((month + 2) % 12) as usize];
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {day_of_month:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}
