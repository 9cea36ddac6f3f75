//! Mistakes in the configuration that stop nothing, and what the developer is told of them.
#![forbid(unsafe_code)]

use std::fmt;

/// A shorter secret is warned of.
pub const SECRET_BYTES: usize = 32;

/// A mistake to tell the developer of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its place in the list of secrets, from 0, and its length in bytes.
    ShortSecret { index: usize, bytes: usize },
    /// `AUTH_SECRET` is set to nothing, and `NEXTAUTH_SECRET` to something.
    EmptySecret,
    /// In production, over https, without the prefix that keeps a cookie from plain http.
    PlainCookie,
}

impl Warning {
    /// The `code` of the warning that Node emits; listed in the README.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ShortSecret { .. } => "AUTH_BRIDGE_SHORT_SECRET",
            Self::EmptySecret => "AUTH_BRIDGE_EMPTY_SECRET",
            Self::PlainCookie => "AUTH_BRIDGE_PLAIN_COOKIE",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret { index, bytes } => write!(
                f,
                "the secret at place {index} (newest first) has {bytes} bytes; take at least {SECRET_BYTES}, for \
                 example from `npx auth secret`"
            ),
            Self::EmptySecret => f.write_str(
                "AUTH_SECRET is set but empty, so NEXTAUTH_SECRET counts; give AUTH_SECRET its value or remove it",
            ),
            Self::PlainCookie => f.write_str(
                "a session cookie has no __Secure- prefix though the app runs in production over https; leave \
                 secureCookie and cookieName out, or name only cookies with the prefix",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_messages() {
        for (warning, code, part) in [
            (
                Warning::ShortSecret { index: 1, bytes: 5 },
                "AUTH_BRIDGE_SHORT_SECRET",
                "at place 1 (newest first) has 5",
            ),
            (Warning::EmptySecret, "AUTH_BRIDGE_EMPTY_SECRET", "AUTH_SECRET is set but empty"),
            (Warning::PlainCookie, "AUTH_BRIDGE_PLAIN_COOKIE", "no __Secure- prefix"),
        ] {
            assert_eq!(warning.code(), code);
            assert!(warning.to_string().contains(part), "{warning}");
        }
    }
}
