//! Likely configuration mistakes that don't keep the bridge from working. The developer is warned of them.
#![forbid(unsafe_code)]

use std::fmt;

/// The minimum length of a secret; a warning is given for a shorter one.
pub const SECRET_BYTES: usize = 32;

/// Given once in the life of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A secret is shorter than [`SECRET_BYTES`]: its index in the list, from 0, and its length in bytes.
    ShortSecret { index: usize, bytes: usize },
    /// A secret has quotes or white space around it: its index in the list, from 0.
    WrappedSecret { index: usize },
    /// `AUTH_SECRET` is set but empty, and `NEXTAUTH_SECRET` is used in its place.
    EmptySecret,
    /// A session cookie without a secure prefix, though the app runs in production over https.
    PlainCookie,
    /// In production a request had only the plain session cookie, which doesn't count.
    IgnoredCookie,
    /// Parameters of the database's URL that are unknown, and ignored; `from` is the option or variable that holds it.
    UnknownParameters { from: &'static str, names: Vec<String> },
    /// The database doesn't slide sessions, and says why.
    NotRolling { why: String },
    /// The database sends no notifications, and why.
    NotListening { why: String },
}

impl Warning {
    /// The `code` of the warning that Node emits; listed in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ShortSecret { .. } => "AUTH_BRIDGE_SHORT_SECRET",
            Self::WrappedSecret { .. } => "AUTH_BRIDGE_WRAPPED_SECRET",
            Self::EmptySecret => "AUTH_BRIDGE_EMPTY_SECRET",
            Self::PlainCookie => "AUTH_BRIDGE_PLAIN_COOKIE",
            Self::IgnoredCookie => "AUTH_BRIDGE_IGNORED_COOKIE",
            Self::UnknownParameters { .. } => "AUTH_BRIDGE_UNKNOWN_PARAMETER",
            Self::NotRolling { .. } => "AUTH_BRIDGE_NOT_ROLLING",
            Self::NotListening { .. } => "AUTH_BRIDGE_NOT_LISTENING",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret { index, bytes } => write!(
                f,
                "the secret at index {index} (0 is the newest) has {bytes} bytes; use at least {SECRET_BYTES}, for \
                 example from `npx auth secret`"
            ),
            Self::WrappedSecret { index } => write!(
                f,
                "the secret at index {index} (0 is the newest) has quotes or white space around it, which are part of it; \
                 remove them unless Auth.js has them, too"
            ),
            Self::EmptySecret => f.write_str(
                "AUTH_SECRET is set but empty, so NEXTAUTH_SECRET is used; give AUTH_SECRET a value, or remove it",
            ),
            Self::PlainCookie => f.write_str(
                "a session cookie has no __Secure- prefix though the app runs in production over https; remove \
                 secureCookie and cookieName, or name only cookies with the prefix",
            ),
            Self::IgnoredCookie => f.write_str(
                "a request has the cookie authjs.session-token, which Auth.js sets over http; it doesn't count, since NODE_ENV is \
                 production and neither AUTH_URL nor NEXTAUTH_URL is set; set AUTH_URL to the URL of the app",
            ),
            Self::NotRolling { why } => write!(
                f,
                "sessions are not rolled, since the database refuses to slide their rows: {why}; connect to a primary, as a user \
                 that may update the sessions"
            ),
            Self::NotListening { why } => write!(
                f,
                "what other processes and SQL end counts after maxStaleness only, since no notifications come: {why}"
            ),
            Self::UnknownParameters { from, names } => write!(
                f,
                "{from} has parameters that are unknown, and ignored: {}; if they are meant for another client, give this \
                 package a URL of its own in AUTH_BRIDGE_DATABASE_URL",
                names.join(", ")
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
                "at index 1 (0 is the newest) has 5",
            ),
            (
                Warning::WrappedSecret { index: 1 },
                "AUTH_BRIDGE_WRAPPED_SECRET",
                "at index 1 (0 is the newest) has quotes",
            ),
            (Warning::EmptySecret, "AUTH_BRIDGE_EMPTY_SECRET", "AUTH_SECRET is set but empty"),
            (Warning::PlainCookie, "AUTH_BRIDGE_PLAIN_COOKIE", "no __Secure- prefix"),
            (Warning::IgnoredCookie, "AUTH_BRIDGE_IGNORED_COOKIE", "set AUTH_URL"),
            (
                Warning::UnknownParameters { from: "DATABASE_URL", names: vec!["a".to_owned(), "b".to_owned()] },
                "AUTH_BRIDGE_UNKNOWN_PARAMETER",
                "DATABASE_URL has parameters that are unknown, and ignored: a, b;",
            ),
            (
                Warning::NotRolling { why: "read-only".to_owned() },
                "AUTH_BRIDGE_NOT_ROLLING",
                "refuses to slide their rows: read-only;",
            ),
            (
                Warning::NotListening { why: "refused".to_owned() },
                "AUTH_BRIDGE_NOT_LISTENING",
                "since no notifications come: refused",
            ),
        ] {
            assert_eq!(warning.code(), code);
            assert!(warning.to_string().contains(part), "{warning}");
        }
    }
}
