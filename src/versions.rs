//! Which releases this build is made of, for whoever reads that one of them must be replaced.
#![forbid(unsafe_code)]

use openssl::version;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    pub authjs_bridge: &'static str,
    /// Of the OpenSSL that runs, not of the headers that this was compiled with.
    pub openssl: &'static str,
}

impl Versions {
    pub fn of_this_build() -> Self {
        Self { authjs_bridge: env!("CARGO_PKG_VERSION"), openssl: number(version::version()) }
    }
}

/// OpenSSL says `OpenSSL 3.6.3 9 Jun 2026`.
fn number(text: &str) -> &str {
    text.strip_prefix("OpenSSL ").and_then(|rest| rest.split(' ').next()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_is_the_release_that_cargo_lock_names() {
        let lock = include_str!("../Cargo.lock");
        let (_, source) = lock.split_once("name = \"openssl-src\"\nversion = \"").expect("the crate with OpenSSL");
        let (_, release) = source.lines().next().and_then(|line| line.split_once('+')).expect("its build metadata");
        assert_eq!(Versions::of_this_build().openssl, release.trim_end_matches('"'));
    }

    #[test]
    fn the_number_is_taken_from_the_text() {
        assert_eq!(number("OpenSSL 3.6.3 9 Jun 2026"), "3.6.3");
        assert_eq!(number("something else"), "something else");
    }
}
