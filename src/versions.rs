//! The versions of this build and of the OpenSSL in it, to compare with security advisories.
#![forbid(unsafe_code)]

use openssl::version;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    pub authjs_bridge: &'static str,
    /// The version of the OpenSSL that is linked in, not of the headers that it was compiled with.
    pub openssl: &'static str,
}

impl Versions {
    pub fn of_this_build() -> Self {
        Self { authjs_bridge: env!("CARGO_PKG_VERSION"), openssl: version_number(version::version()) }
    }
}

/// Extracts the number from a text such as `OpenSSL 3.6.3 9 Jun 2026`.
fn version_number(text: &str) -> &str {
    text.strip_prefix("OpenSSL ").and_then(|rest| rest.split(' ').next()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_is_the_release_in_cargo_lock() {
        let lock = include_str!("../Cargo.lock");
        let (_, source) = lock.split_once("name = \"openssl-src\"\nversion = \"").expect("the crate with OpenSSL");
        let (_, release) = source.lines().next().and_then(|line| line.split_once('+')).expect("its build metadata");
        assert_eq!(Versions::of_this_build().openssl, release.trim_end_matches('"'));
    }

    #[test]
    fn the_version_number_is_extracted() {
        assert_eq!(version_number("OpenSSL 3.6.3 9 Jun 2026"), "3.6.3");
        assert_eq!(version_number("something else"), "something else");
    }
}
