//! A new token for a cookie, or none -> the `Set-Cookie` lines of the response, and the `Cookie` header that the browser sends
//! from then on.
//!
//! Lines are those of Auth.js (`SessionStore` and `serialize` in `@auth/core` `lib/utils/cookie.js` and
//! `lib/vendored/cookie.js`), but it also deletes cookies of other apps whose names only begin in the same way.
#![forbid(unsafe_code)]

use std::fmt::{self, Write};

use time::OffsetDateTime;

use super::chunks::chunk_index;
use super::header::trim;
use super::near_miss::MIN_PORT;
use super::{CookieName, pairs};
use crate::redacted::redacted;

/// The attributes of a session cookie beside its expiry. It is always `HttpOnly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `None` for the host of the request alone.
    pub domain: Option<String>,
    pub path: String,
    pub same_site: SameSite,
    pub secure: bool,
    pub partitioned: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { domain: None, path: "/".to_owned(), same_site: SameSite::Lax, secure: true, partitioned: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

/// What becomes of one session cookie, with all its chunks.
pub struct Change<'c> {
    pub name: &'c CookieName,
    pub attributes: &'c Attributes,
    /// `None` deletes the cookie.
    pub token: Option<NewToken<'c>>,
}

/// The new value of a session cookie.
#[derive(Clone, Copy)]
pub struct NewToken<'c> {
    pub token: &'c str,
    /// In seconds since 1970.
    pub expires_at: u64,
    /// The longest value of one cookie, in bytes; a longer token is cut into chunks.
    pub max_value: usize,
}

redacted!(Change<'c>, NewToken<'c>);

impl Change<'_> {
    /// The whole values of the `Set-Cookie` header. Cookies of this name that the request has come first, in its order, each
    /// with its new value or deleted; then those that are new.
    pub fn lines(&self, header: &str) -> Vec<String> {
        let mut new = self.cookies();
        let mut lines = Vec::new();
        for name in self.names_in(header) {
            let place = new.iter().position(|(known, _)| known == name);
            lines.push(match place.map(|place| new.remove(place).1) {
                Some(value) => self.line(name, value),
                None => self.deletion(name),
            });
        }
        lines.extend(new.iter().map(|(name, value)| self.line(name, value)));
        lines
    }

    /// The `Cookie` header as it is once the browser has applied [`Self::lines`].
    pub fn apply(&self, header: &str) -> String {
        let mut new = self.cookies();
        let mut parts = Vec::new();
        for part in header.split(';').map(trim).filter(|part| !part.is_empty()) {
            let name = pairs(part).next().map(|(name, _)| name).filter(|name| self.is_of(name));
            match name {
                None => parts.push(part.to_owned()),
                Some(name) => {
                    let place = new.iter().position(|(known, _)| known == name);
                    parts.extend(place.map(|place| new.remove(place)).map(|(name, value)| format!("{name}={value}")));
                }
            }
        }
        parts.extend(new.iter().map(|(name, value)| format!("{name}={value}")));
        parts.join("; ")
    }

    /// The cookies that hold the new token, with their names.
    fn cookies(&self) -> Vec<(String, &str)> {
        let Some(NewToken { token, max_value, .. }) = self.token else {
            return Vec::new();
        };
        let name = self.name.as_str();
        if token.len() <= max_value {
            return vec![(name.to_owned(), token)];
        }
        let cut = |index: usize| &token[index * max_value..token.len().min((index + 1) * max_value)];
        (0..token.len().div_ceil(max_value)).map(|index| (format!("{name}.{index}"), cut(index))).collect()
    }

    /// The cookies of this name that the request has, whole and in chunks, each once. Empty ones, too: next-auth 4 can't sort the
    /// chunks of a token if the whole cookie is among them.
    fn names_in<'h>(&self, header: &'h str) -> Vec<&'h str> {
        let mut names = Vec::new();
        for (name, _) in pairs(header) {
            if self.is_of(name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn is_of(&self, cookie: &str) -> bool {
        let is_chunk =
            |suffix: &str| suffix.strip_prefix('.').and_then(chunk_index).is_some_and(|index| index < MIN_PORT);
        cookie.strip_prefix(self.name.as_str()).is_some_and(|suffix| suffix.is_empty() || is_chunk(suffix))
    }

    fn line(&self, name: &str, value: &str) -> String {
        let expires_at = self.token.map(|token| token.expires_at);
        format!("{name}={value}{}", Tail { attributes: self.attributes, expires_at })
    }

    fn deletion(&self, name: &str) -> String {
        format!("{name}=; Max-Age=0{}", Tail { attributes: self.attributes, expires_at: None })
    }
}

/// The attributes after `Max-Age`.
struct Tail<'a> {
    attributes: &'a Attributes,
    expires_at: Option<u64>,
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attributes { domain, path, same_site, secure, partitioned } = self.attributes;
        if let Some(domain) = domain {
            write!(f, "; Domain={domain}")?;
        }
        write!(f, "; Path={path}")?;
        if let Some(expires_at) = self.expires_at {
            write!(f, "; Expires={}", http_date(expires_at))?;
        }
        f.write_str("; HttpOnly")?;
        f.write_str(if *secure { "; Secure" } else { "" })?;
        f.write_str(if *partitioned { "; Partitioned" } else { "" })?;
        write!(f, "; SameSite={same_site:?}")
    }
}

/// As `Date.prototype.toUTCString` writes it, which is the IMF-fixdate of RFC 9110 section 5.6.7. The last time that it can write
/// stands for all later ones.
fn http_date(seconds: u64) -> String {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(seconds).unwrap_or(LAST).min(LAST);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let short = |name: String| name[..3].to_owned();
    let (weekday, month) = (short(time.weekday().to_string()), short(time.month().to_string()));
    let (hour, minute, second) = time.to_hms();
    let mut date = String::with_capacity("Thu, 01 Jan 1970 00:00:00 GMT".len());
    let _ =
        write!(date, "{weekday}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", time.day(), time.year());
    date
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPIRES_AT: u64 = 1_800_000_000;

    fn name() -> CookieName {
        CookieName::new("sid").expect("a name")
    }

    fn token(token: &str, max_value: usize) -> NewToken<'_> {
        NewToken { token, expires_at: EXPIRES_AT, max_value }
    }

    /// The names and values of the lines.
    fn set(header: &str, token: Option<NewToken>) -> Vec<String> {
        let (name, attributes) = (name(), Attributes::default());
        let change = Change { name: &name, attributes: &attributes, token };
        change.lines(header).iter().map(|line| line.split_once(';').expect("attributes").0.to_owned()).collect()
    }

    fn apply(header: &str, token: Option<NewToken>) -> String {
        let (name, attributes) = (name(), Attributes::default());
        Change { name: &name, attributes: &attributes, token }.apply(header)
    }

    #[test]
    fn lines_and_the_header_afterwards() {
        for (case, header, new, lines, afterwards) in [
            ("first", "", Some("abc"), &["sid=abc"] as &[_], "sid=abc"),
            ("in place", "a=1; sid=old; b=2", Some("abc"), &["sid=abc"], "a=1; sid=abc; b=2"),
            (
                "grows into chunks",
                "sid=old; b=2",
                Some("abcdefg"),
                &["sid=", "sid.0=abc", "sid.1=def", "sid.2=g"],
                "b=2; sid.0=abc; sid.1=def; sid.2=g",
            ),
            (
                "shrinks to whole",
                "sid.1=y; b=2; sid.0=x",
                Some("abc"),
                &["sid.1=", "sid.0=", "sid=abc"],
                "b=2; sid=abc",
            ),
            (
                "fewer chunks",
                "sid.0=x; sid.1=y; sid.2=z",
                Some("abcdef"),
                &["sid.0=abc", "sid.1=def", "sid.2="],
                "sid.0=abc; sid.1=def",
            ),
            (
                "more chunks",
                "sid.1=y; sid.0=x",
                Some("abcdefg"),
                &["sid.1=def", "sid.0=abc", "sid.2=g"],
                "sid.1=def; sid.0=abc; sid.2=g",
            ),
            (
                "whole beside stale chunks",
                "sid=old; sid.0=x; sid.7=y",
                Some("abc"),
                &["sid=abc", "sid.0=", "sid.7="],
                "sid=abc",
            ),
            ("twice", "sid=old; sid=older", Some("abc"), &["sid=abc"], "sid=abc"),
            ("empty", "sid=; sid.0=x", Some("abc"), &["sid=abc", "sid.0="], "sid=abc"),
            (
                "empty among chunks",
                "sid.1=y; sid=; sid.0=x",
                Some("abcd"),
                &["sid.1=d", "sid=", "sid.0=abc"],
                "sid.1=d; sid.0=abc",
            ),
            (
                "other apps",
                "sid.3000=x; sid-x=y; sid.01=z; xsid=1; sid",
                Some("abc"),
                &["sid=abc"],
                "sid.3000=x; sid-x=y; sid.01=z; xsid=1; sid; sid=abc",
            ),
            ("deleted", "a=1; sid=old; sid.0=x; b=2", None, &["sid=", "sid.0="], "a=1; b=2"),
            ("nothing to delete", "a=1", None, &[], "a=1"),
            ("odd spacing", "a=1;sid =\told ;;b", Some("abc"), &["sid=abc"], "a=1; sid=abc; b"),
        ] {
            let new = new.map(|new| token(new, 3));
            assert_eq!(set(header, new), lines, "{case}");
            assert_eq!(apply(header, new), afterwards, "{case}");
        }
    }

    #[test]
    fn attributes_stand_in_the_order_of_the_issuer() {
        let name = name();
        let line = |attributes: &Attributes, is_deletion: bool| {
            let new = (!is_deletion).then(|| token("abc", 3));
            Change { name: &name, attributes, token: new }.lines("sid=old").remove(0)
        };
        let all = Attributes {
            domain: Some("a.example".to_owned()),
            path: "/app".to_owned(),
            same_site: SameSite::None,
            secure: true,
            partitioned: true,
        };
        let plain = Attributes { secure: false, ..Attributes::default() };
        for (attributes, is_deletion, expected) in [
            (&plain, false, "sid=abc; Path=/; Expires=Fri, 15 Jan 2027 08:00:00 GMT; HttpOnly; SameSite=Lax"),
            (
                &all,
                false,
                "sid=abc; Domain=a.example; Path=/app; Expires=Fri, 15 Jan 2027 08:00:00 GMT; HttpOnly; Secure; \
                 Partitioned; SameSite=None",
            ),
            (&plain, true, "sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"),
            (&all, true, "sid=; Max-Age=0; Domain=a.example; Path=/app; HttpOnly; Secure; Partitioned; SameSite=None"),
        ] {
            assert_eq!(line(attributes, is_deletion), expected);
        }
    }

    #[test]
    fn dates_are_those_of_date_to_utc_string() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), expected);
        }
    }

    /// What a browser does with lines that have no other attributes.
    fn browser(header: &str, lines: &[String]) -> Vec<(String, String)> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut jar: Vec<_> = pairs(header).map(owned).collect();
        for line in lines {
            let (name, value) = pairs(line).next().map(owned).expect("a cookie");
            jar.retain(|(known, _)| *known != name);
            if !line.contains("Max-Age=0") {
                jar.push((name, value));
            }
        }
        jar
    }

    proptest! {
        #[test]
        fn what_a_browser_keeps_is_the_new_token_and_nothing_of_the_old(
            header in "((sid(\\.[0-9]{1,2})?|other)=[a-z]{0,3}; ){0,8}",
            new in "[a-z]{0,40}",
            max_value in 1_usize..20,
        ) {
            let (name, attributes) = (name(), Attributes::default());
            let new = (!new.is_empty()).then_some(new);
            let new = new.as_deref().map(|new| token(new, max_value));
            let change = Change { name: &name, attributes: &attributes, token: new };
            let jar = browser(&header, &change.lines(&header));
            let joined: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let of_name = |header: &str| {
                let mut names: Vec<_> = pairs(header).map(|(name, _)| name.to_owned()).collect();
                names.retain(|name| name.starts_with("sid"));
                names.sort();
                names
            };
            prop_assert_eq!(of_name(&joined.join("; ")), of_name(&change.apply(&header)));
            for header in [joined.join("; "), change.apply(&header)] {
                let values = name.values(&header);
                let tokens = values.readings().flat_map(|reading| reading.token).collect::<Vec<_>>();
                let tokens: Vec<&str> = tokens.iter().map(|token| &**token).collect();
                prop_assert_eq!(tokens, new.iter().map(|new| new.token).collect::<Vec<_>>());
            }
        }
    }
}
