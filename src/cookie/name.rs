//! The name of a session cookie.
#![forbid(unsafe_code)]

use std::fmt;

use memchr::memmem::Finder;

/// Keeps the HKDF info, which holds the name, far below its limit of 1024 bytes.
const MAX_NAME_BYTES: usize = 256;

/// The name of a session cookie, without the suffix of a chunk: an RFC 6265 token.
#[derive(Clone)]
pub struct CookieName {
    text: String,
    finder: Finder<'static>,
}

impl CookieName {
    /// `None` if `name` can't be the name of a cookie.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let valid = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_token_byte);
        valid.then(|| Self { finder: Finder::new(&name).into_owned(), text: name })
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who can set such a cookie. While a request has one of a stronger class, weaker ones don't count.
    pub fn class(&self) -> Class {
        match &self.text {
            name if name.starts_with("__Host-") => Class::Host,
            name if name.starts_with("__Secure-") => Class::Secure,
            _ => Class::Plain,
        }
    }

    /// The position of the first occurrence in `text`, which may be part of a longer name.
    #[inline]
    pub(super) fn position_in(&self, text: &str) -> Option<usize> {
        self.finder.find(text.as_bytes())
    }
}

/// What the prefix of a name promises (RFC 6265bis section 4.1.3), the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// `__Host-`: set over https by this very host.
    Host,
    /// `__Secure-`: set over https, maybe by another host of the domain.
    Secure,
    /// Maybe set by whoever is between browser and server.
    Plain,
}

impl fmt::Debug for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CookieName").field(&self.text).finish()
    }
}

/// `tchar` of RFC 9110 section 5.6.2. A cookie name consists of these (RFC 6265 section 4.1.1).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        for valid in ["a", "__Secure-authjs.session-token", "authjs.session-token.3000"] {
            assert!(CookieName::new(valid).is_some(), "{valid}");
        }
        for invalid in ["", "a b", "a=b", "a;b", "a\n", "ä", "(a)", &"a".repeat(257)] {
            assert!(CookieName::new(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn classes() {
        for (name, expected) in [
            ("__Host-sid", Class::Host),
            ("__Secure-sid", Class::Secure),
            ("sid", Class::Plain),
            ("__host-sid", Class::Plain),
            ("x__Host-sid", Class::Plain),
        ] {
            assert_eq!(CookieName::new(name).expect("a name").class(), expected, "{name}");
        }
        assert!(Class::Host < Class::Secure && Class::Secure < Class::Plain, "the strongest comes first");
    }
}
