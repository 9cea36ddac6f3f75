//! Finds a session cookie in a header: whole, in chunks, or both.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::iter;

use memchr::memchr;

use super::chunks::Chunks;
use super::header::{percent_decode, trim};
use super::{CookieName, MAX_HEADER_BYTES, MAX_TOKEN_BYTES};
use crate::redacted::redacted;

impl CookieName {
    /// The values that `header` has for this name; `None` unless there is a whole cookie or a first chunk.
    pub fn find<'h>(&self, header: &'h str) -> Option<CookieValues<'h>> {
        let cookie = self.values(header);
        (cookie.is_whole() || cookie.chunks.has_first()).then_some(cookie)
    }

    /// All values that `header` has for this name.
    pub fn values<'h>(&self, header: &'h str) -> CookieValues<'h> {
        let mut cookie = CookieValues::default();
        if header.len() > MAX_HEADER_BYTES {
            return cookie;
        }
        for (suffix, value) in self.occurrences(header) {
            if !suffix.is_empty() {
                cookie.chunks.add(suffix, value);
            } else if cookie.whole.is_none() {
                cookie.whole = Some(value);
            } else {
                cookie.more_whole.push(value);
            }
        }
        cookie
    }

    /// The [`pairs`](super::pairs) whose name begins with this one, as the rest of the name and the value. A header can have tens of
    /// thousands of other cookies, and parsing them all would cost far more than opening a token.
    fn occurrences<'h>(&self, header: &'h str) -> impl Iterator<Item = (&'h str, &'h str)> {
        let is_blank = |byte: &u8| [b' ', b'\t'].contains(byte);
        let length = self.as_str().len();
        // Always starts at the start of a part.
        let mut rest = header;
        let next_part = move || {
            let (before, after) = rest.split_at(self.position_in(rest)?);
            let is_name = before.bytes().rev().find(|byte| !is_blank(byte)).is_none_or(|byte| byte == b';');
            let end = memchr(b';', after.as_bytes()).unwrap_or(after.len());
            rest = after.get(end + 1..).unwrap_or_default();
            Some(after[length..end].split_once('=').filter(|_| is_name))
        };
        let named = iter::from_fn(next_part).flatten();
        named.map(|(suffix, value)| (suffix.trim_end_matches([' ', '\t']), trim(value)))
    }
}

/// The values that one header has for the name of a session cookie. A browser sends several cookies of one name if they
/// were set for different domains or paths.
#[derive(Default)]
pub struct CookieValues<'h> {
    whole: Option<&'h str>,
    more_whole: Vec<&'h str>,
    chunks: Chunks<'h>,
}

/// A possible token, and whether it was whole or in chunks.
pub struct Reading<'h> {
    pub is_whole: bool,
    pub token: Result<Cow<'h, str>, SizeError>,
}

impl<'h> CookieValues<'h> {
    /// The possible tokens: each whole cookie, then the joined chunks. Any of them may be left over from an earlier
    /// session.
    pub fn readings(&self) -> impl Iterator<Item = Reading<'h>> {
        let whole = self.whole.into_iter().chain(self.more_whole.iter().copied()).map(percent_decode);
        let chunked = self.chunks.tokens().into_iter().map(Cow::Owned);
        let reading = |is_whole| move |token| Reading { is_whole, token: check_size(token) };
        whole.map(reading(true)).chain(chunked.map(reading(false)))
    }

    pub fn is_whole(&self) -> bool {
        self.whole.is_some()
    }

    /// The indices of the chunks, ascending.
    pub fn chunks(&self) -> Vec<u16> {
        self.chunks.indices()
    }

    /// The first chunks, joined: at most `count`, and up to the first gap. If an index occurs twice, the first value is
    /// used.
    pub fn join_chunks(&self, count: usize) -> String {
        self.chunks.join(count)
    }
}

fn check_size(token: Cow<str>) -> Result<Cow<str>, SizeError> {
    match token.len() {
        0 => Err(SizeError::Empty),
        1..=MAX_TOKEN_BYTES => Ok(token),
        bytes => Err(SizeError::TooLarge { bytes }),
    }
}

redacted!(CookieValues<'h>, Reading<'h>);

/// Why a header or the value of a session cookie is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("the Cookie header has {bytes} bytes, more than {MAX_HEADER_BYTES}")]
    HeaderTooLarge { bytes: usize },
    #[error("the session cookie is empty")]
    Empty,
    #[error("the token has {bytes} bytes, more than {MAX_TOKEN_BYTES}")]
    TooLarge { bytes: usize },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cookie::pairs;

    fn readings(header: &str) -> Vec<String> {
        let name = CookieName::new("sid").expect("a name");
        name.find(header)
            .map(|cookie| cookie.readings().flat_map(|reading| reading.token).map(Cow::into_owned).collect())
            .unwrap_or_default()
    }

    #[test]
    fn values_of_a_header() {
        for (case, header, expected) in [
            ("nothing", "", &[] as &[&str]),
            ("other cookies only", "a=1; b=2", &[]),
            ("whole", "sid=token", &["token"]),
            ("among others", "a=1; sid=token; b=2", &["token"]),
            ("odd spacing", "a=1;sid =\ttoken  ;b", &["token"]),
            ("an equals sign in the value", "sid=a=b", &["a=b"]),
            ("part without an equals sign", "sid; sid=token", &["token"]),
            ("empty value", "sid=", &[]),
            ("equal names", "sid=first; sid=second", &["first", "second"]),
            ("equal names, one empty", "sid=; sid=second", &["second"]),
            ("other case", "SID=token", &[]),
            ("percent-encoded", "sid=a%2Eb", &["a.b"]),
            ("not UTF-8 when decoded", "sid=a%FFb", &["a%FFb"]),
            ("quoted", "sid=\"token\"", &["\"token\""]),
            ("one chunk", "sid.0=a", &["a"]),
            ("chunks in any order", "sid.2=c; sid.0=a; sid.1=b", &["abc"]),
            (
                "eleven chunks, ordered as numbers",
                "sid.10=k; sid.0=a; sid.1=b; sid.2=c; sid.3=d; sid.4=e; sid.5=f; sid.6=g; sid.7=h; \
                 sid.8=i; sid.9=j",
                &["abcdefghijk"],
            ),
            ("a chunk twice", "sid.0=a; sid.0=x; sid.1=b", &["a", "xb", "ab", "x"]),
            ("chunks after a gap", "sid.0=a; sid.2=c", &["a"]),
            ("no chunk 0", "sid.1=b; sid.2=c", &[]),
            ("whole, then chunks", "sid=w; sid.0=a; sid.1=b", &["w", "ab"]),
            ("chunks, then whole", "sid.0=a; sid.1=b; sid=w", &["w", "ab"]),
            ("look-alike: a port", "sid.0=a; sid.3000=x", &["a"]),
            ("look-alike: a leading zero", "sid.0=a; sid.01=x", &["a"]),
            ("look-alike: two zeros", "sid.00=x", &[]),
            ("look-alike: a sign", "sid.+0=x; sid.-0=x", &[]),
            ("look-alike: no digits", "sid.=x; sid.a=x; sid-x=x; sidx=x", &[]),
            ("look-alike: no dot", "sid0=x", &[]),
            ("look-alike: too large", "sid.65536=x; sid.99999999999=x", &[]),
            ("look-alike: a chunk of a chunk", "sid.0.0=x", &[]),
            ("prefixed", "__Secure-sid=x; xsid=x", &[]),
        ] {
            assert_eq!(readings(header), expected, "{case}");
        }
    }

    #[test]
    fn headers_and_tokens_over_the_limit_are_not_read() {
        let largest_token = "x".repeat(MAX_TOKEN_BYTES);
        let whole = format!("sid={largest_token}");
        assert_eq!(readings(&whole), [largest_token.as_str()]);
        assert!(readings(&format!("{whole}x")).is_empty());
        assert!(readings(&format!("sid.0={largest_token}; sid.1=x")).is_empty());
        assert_eq!(readings(&format!("sid.0=x; {whole}x")), ["x"], "one reading is too long, the other is not");

        let padding = "p".repeat(MAX_HEADER_BYTES - "a=; sid=t".len());
        assert_eq!(readings(&format!("a={padding}; sid=t")), ["t"]);
        assert!(readings(&format!("a={padding}p; sid=t")).is_empty());
    }

    proptest! {
        #[test]
        fn joined_chunks_are_the_value(token in "[a-zA-Z0-9._-]{1,400}", size in 1_usize..50, seed: u64) {
            let chunks = token.as_bytes().chunks(size).enumerate();
            let mut cookies: Vec<_> = chunks
                .map(|(index, chunk)| format!("sid.{index}={}", String::from_utf8_lossy(chunk)))
                .collect();
            let middle = seed as usize % cookies.len();
            cookies.rotate_left(middle);
            prop_assert_eq!(readings(&cookies.join("; ")), [token]);
        }

        #[test]
        fn occurrences_are_the_pairs_of_that_name(header in "((x| |\t|)sid|[.;= \t]|[0-9a]|é){0,30}") {
            let name = CookieName::new("sid").expect("a name");
            let occurrences: Vec<_> = name.occurrences(&header).collect();
            let named = pairs(&header).filter_map(|(name, value)| Some((name.strip_prefix("sid")?, value)));
            prop_assert_eq!(occurrences, named.collect::<Vec<_>>());
        }

        #[test]
        fn nothing_panics(header in "(sid|[.;= \t%]|[0-9]|\\PC){0,60}") {
            readings(&header);
        }
    }
}
