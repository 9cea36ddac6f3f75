//! Cookies with a name similar to the session cookie's. `explainSession` shows them.
#![forbid(unsafe_code)]

use serde::Serialize;

use crate::cookie::{self, CookieName};

/// A cookie with a variant of the session cookie's name. Shows no text of the client: each part is a known one, or a
/// number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    pub name: String,
    /// How it differs from the first accepted name.
    pub differs: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// `__Secure-`, `__Host-` or none.
    Prefix,
    /// `authjs` or `next-auth`.
    Issuer,
    /// `.3000` or another number, as some apps add for a port.
    Suffix,
    /// A comma before the name in place of a semicolon.
    Separator,
}

const PREFIXES: [&str; 2] = ["__Secure-", "__Host-"];
const DEFAULT_STEMS: [&str; 2] = ["authjs.session-token", "next-auth.session-token"];
/// A number from here on is a port; a lower one is that of a chunk. The largest token has eight chunks.
pub const MIN_PORT: u16 = 100;
/// The most near misses that are shown.
const MAX_FOUND: usize = 10;

/// The near misses in `header`, which has none of the `accepted` names.
pub fn near_misses(header: &str, accepted: &[&CookieName]) -> Vec<NearMiss> {
    let expected: Vec<_> = accepted.iter().map(|name| NameParts::of_cookie(name.as_str())).collect();
    let Some(first) = expected.first() else {
        return Vec::new();
    };
    let is_known_stem = |stem| DEFAULT_STEMS.contains(&stem) || expected.iter().any(|parts| parts.stem == stem);
    let mut found: Vec<NearMiss> = Vec::new();
    let mut add = |name, is_after_comma: bool| {
        let seen = NameParts::of_cookie(without_chunk(name));
        if !is_known_stem(seen.stem) || (expected.contains(&seen) && !is_after_comma) || found.len() == MAX_FOUND {
            return;
        }
        let name = seen.to_string();
        if found.iter().all(|miss| miss.name != name) {
            let mut differs = if expected.contains(&seen) { Vec::new() } else { seen.differs_from(first) };
            differs.extend(is_after_comma.then_some(Part::Separator));
            found.push(NearMiss { name, differs });
        }
    };
    for (name, value) in cookie::pairs(header) {
        add(name, false);
        for (name, _) in value.split(',').skip(1).flat_map(cookie::pairs) {
            add(name, true);
        }
    }
    found
}

/// The parts of a name.
#[derive(PartialEq, Eq)]
struct NameParts<'n> {
    prefix: &'n str,
    stem: &'n str,
    port: Option<u16>,
}

impl<'n> NameParts<'n> {
    fn of_cookie(name: &'n str) -> Self {
        let prefix = PREFIXES.into_iter().find(|prefix| name.starts_with(prefix)).unwrap_or_default();
        let rest = &name[prefix.len()..];
        match number_at_end(rest) {
            Some((stem, port)) => Self { prefix, stem, port: Some(port) },
            None => Self { prefix, stem: rest, port: None },
        }
    }

    fn differs_from(&self, expected: &NameParts) -> Vec<Part> {
        [
            (Part::Prefix, self.prefix != expected.prefix),
            (Part::Issuer, self.stem != expected.stem),
            (Part::Suffix, self.port != expected.port),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
    }
}

/// Removes the number of a chunk.
fn without_chunk(name: &str) -> &str {
    number_at_end(name).filter(|(_, number)| *number < MIN_PORT).map_or(name, |(rest, _)| rest)
}

fn number_at_end(name: &str) -> Option<(&str, u16)> {
    let (rest, digits) = name.rsplit_once('.')?;
    Some((rest, cookie::chunk_index(digits)?))
}

impl std::fmt::Display for NameParts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.prefix, self.stem)?;
        self.port.map_or(Ok(()), |port| write!(f, ".{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "authjs.session-token";
    const SECURE: &str = "__Secure-authjs.session-token";

    #[test]
    fn names_that_are_near_misses() {
        use Part::{Issuer, Prefix, Separator, Suffix};
        for (accepted, header, expected) in [
            (&[SECURE] as &[_], "a=b; theme=dark", &[] as &[(&str, &[Part])]),
            (&[], "authjs.session-token=x", &[]),
            (&[SECURE], "authjs.session-token=x", &[(PLAIN, &[Prefix])]),
            (&[SECURE], "authjs.session-token.0=x; authjs.session-token.1=y", &[(PLAIN, &[Prefix])]),
            (&[PLAIN], "__Secure-authjs.session-token=x", &[(SECURE, &[Prefix])]),
            (&[PLAIN], "__Host-authjs.session-token=x", &[("__Host-authjs.session-token", &[Prefix])]),
            (&[PLAIN], "authjs.session-token.3000=x", &[("authjs.session-token.3000", &[Suffix])]),
            (&[PLAIN], "authjs.session-token.3000.1=x", &[("authjs.session-token.3000", &[Suffix])]),
            (&["authjs.session-token.3000"], "authjs.session-token=x", &[(PLAIN, &[Suffix])]),
            (
                &["authjs.session-token.3000"],
                "authjs.session-token.3001=x",
                &[("authjs.session-token.3001", &[Suffix])],
            ),
            (&[PLAIN], "next-auth.session-token=x", &[("next-auth.session-token", &[Issuer])]),
            (
                &[SECURE, PLAIN],
                "next-auth.session-token=x; __Secure-next-auth.session-token=y",
                &[("next-auth.session-token", &[Prefix, Issuer]), ("__Secure-next-auth.session-token", &[Issuer])],
            ),
            (&["sid.5"], "sid=x; sid.6.0=y", &[("sid", &[Suffix]), ("sid.6", &[Suffix])]),
            (&[PLAIN], "authjs.session-token.3000.4000=x", &[]),
            (&["next-auth.session-token"], "authjs.session-token=x", &[(PLAIN, &[Issuer])]),
            (&["sid"], "__Secure-sid=x; xsid=y; sid-x=z", &[("__Secure-sid", &[Prefix])]),
            (&[PLAIN], "a=1, authjs.session-token=x", &[(PLAIN, &[Separator])]),
            (&[SECURE, PLAIN], "a=1,b=2,authjs.session-token.0=x; c=3", &[(PLAIN, &[Separator])]),
            (&[SECURE], "a=1, authjs.session-token=x", &[(PLAIN, &[Prefix, Separator])]),
            (&[PLAIN], "a=1, b=authjs.session-token", &[]),
            (&[PLAIN], "authjs.session-token-x=x; AUTHJS.session-token=y; authjs.session-token.=z", &[]),
        ] {
            let names: Vec<_> = accepted.iter().map(|name| CookieName::new(*name).expect("a name")).collect();
            let found = near_misses(header, &names.iter().collect::<Vec<_>>());
            let found: Vec<_> = found.iter().map(|miss| (miss.name.as_str(), miss.differs.as_slice())).collect();
            assert_eq!(found, expected, "{accepted:?} {header}");
        }
    }

    #[test]
    fn the_number_of_near_misses_is_limited() {
        let header: String = (3000..3100).map(|port| format!("authjs.session-token.{port}=x; ")).collect();
        let name = CookieName::new(PLAIN).expect("a name");
        assert_eq!(near_misses(&header, &[&name]).len(), MAX_FOUND);
    }
}
