//! The claims of the token that takes the place of another.

use arbitrary::Arbitrary;
use authjs_bridge::claims::{ClaimChanges, Stamp, Times, reissue};
use authjs_bridge::token;

use crate::allocations::Budget;
use crate::json::{Fields, names_a_stand_in, split_line, with_lone_surrogates_apart};
use crate::tokens::{Name, TestSecret, issued_header, keyring};

/// A claim takes five bytes of JSON. It is listed twice and found by its name, in lists that grow by doubling.
const BUDGET: Budget = Budget { base: 16 * 1024, multiple: 128 };

/// Names of claims that no app may change, from the README.
const PROTECTED: [&str; 12] =
    ["session_id", "tenant", "id", "sub", "user_type", "iss", "aud", "exp", "iat", "nbf", "jti", "rolled_at"];

const JTI: &str = "0b8f6d4e-0000-4000-8000-000000000009";

#[derive(Arbitrary, Debug)]
pub struct NextClaimsCase<'a> {
    name: Name,
    is_older: bool,
    /// `iat` and `exp`; `None` keeps the times.
    times: Option<(u64, u64)>,
    /// A line with the changes; then the plaintext.
    rest: &'a [u8],
}

/// The claims in their order: the name with a character of its own for each lone surrogate, and the value as it is written.
type ClaimList = Vec<(String, String)>;

impl NextClaimsCase<'_> {
    /// Panics unless the next token has the claims of this one, but for the changes and the stamp.
    pub fn assert(&self) {
        let (line, plaintext) = split_line(self.rest);
        if [Some(line.as_str()), text_of(plaintext)].into_iter().flatten().any(names_a_stand_in) {
            return;
        }
        let changed = claims_of(&line);
        let may_change =
            changed.as_ref().is_some_and(|changed| !changed.iter().any(|(name, _)| PROTECTED.contains(&name.as_str())));
        let changes = BUDGET.assert(line.len(), || ClaimChanges::parse(&line));
        assert_eq!(changes.is_ok(), may_change, "{line}");

        let times = self.times.map(|(now, expires_at)| Times { now, expires_at });
        let stamp = Stamp { jti: JTI, times };
        let next = BUDGET.assert(self.rest.len(), || reissue(plaintext, changes.unwrap_or_default(), stamp));
        let Some(claims) = text_of(plaintext).and_then(claims_of) else {
            assert_eq!(next, None, "claims out of nothing");
            return;
        };
        let next = next.expect("claims");
        let mut expected: Vec<_> = claims.into_iter().map(|(name, value)| (name, Some(value))).collect();
        for (name, value) in changed.filter(|_| may_change).unwrap_or_default() {
            set(&mut expected, name, Some(value).filter(|value| value != "null"));
        }
        if let Some((now, expires_at)) = self.times {
            for (name, time) in [("iat", now), ("exp", expires_at), ("rolled_at", now)] {
                set(&mut expected, name.to_owned(), Some(time.to_string()));
            }
        }
        set(&mut expected, "jti".to_owned(), Some(format!("{JTI:?}")));
        let expected: ClaimList = expected.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        assert_eq!(claims_of(&next), Some(expected), "{next}");
        self.assert_sealed(&next);
    }

    /// Panics unless it opens again, with the same secret and for this cookie alone.
    fn assert_sealed(&self, plaintext: &str) {
        let (place, secret) = if self.is_older { (1, TestSecret::Older) } else { (0, TestSecret::Newest) };
        let sealed = token::seal(plaintext.as_bytes(), keyring(self.name), place).expect("seals");
        assert_eq!(sealed.split('.').next(), Some(issued_header(self.name, secret).as_str()));
        for name in Name::ALL {
            let opened = token::open(&sealed, keyring(name)).ok().map(|opened| (opened.plaintext, opened.secret));
            let expected = name.shares_keys_with(self.name).then(|| (plaintext.as_bytes().to_vec(), place));
            assert_eq!(opened, expected, "{name:?}");
        }
        assert!(token::seal(plaintext.as_bytes(), keyring(self.name), 2).is_err(), "there are two secrets");
    }
}

fn text_of(plaintext: &[u8]) -> Option<&str> {
    let text = str::from_utf8(plaintext).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// As `JSON.parse` reads an object: a name that is repeated keeps its place and gets the last value. `None` for anything else.
fn claims_of(json: &str) -> Option<ClaimList> {
    let mut claims = Vec::new();
    let spelled = with_lone_surrogates_apart(json);
    for (name, value) in Fields::parse(&spelled)?.0 {
        set(&mut claims, name, value.get().to_owned());
    }
    Some(claims)
}

fn set<V>(claims: &mut Vec<(String, V)>, name: String, value: V) {
    match claims.iter_mut().find(|(known, _)| *known == name) {
        Some(claim) => claim.1 = value,
        None => claims.push((name, value)),
    }
}
