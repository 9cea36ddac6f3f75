//! The claims of a token -> those of the token that takes its place, as JSON.
//!
//! Every claim is carried over, unknown ones too, exactly as it is written; only what is named here changes. A name that occurs
//! several times keeps its first place and its last value, as in `JSON.parse`.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_string::canonical;
use super::read::{Claim, decode, decode_text};
use crate::error::Error;
use crate::redacted::redacted;
use crate::schema::FreshClaim;
use crate::store::FreshValue;

/// What makes a token a new one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp<'s> {
    pub jti: &'s str,
    /// `None` if the row could not be slid: then the times stay as they are, so that the token is due again.
    pub times: Option<Times>,
}

/// In seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    pub now: u64,
    pub expires_at: u64,
}

/// Claims that the app sets or removes.
#[derive(Clone, Default)]
pub struct ClaimChanges(Vec<(Name<'static>, Option<Box<RawValue>>)>);

redacted!(ClaimChanges);

/// Claims that say who somebody is or how long a token is valid, which no caller may change.
pub const PROTECTED_CLAIMS: [&str; 12] =
    ["session_id", "tenant", "id", "sub", "user_type", "iss", "aud", "exp", "iat", "nbf", "jti", "rolled_at"];

impl ClaimChanges {
    /// The members of an object: null removes a claim.
    ///
    /// # Errors
    /// `Error::Argument`, if it is no object, or names one of [`PROTECTED_CLAIMS`].
    pub fn parse(json: &str) -> Result<Self, Error> {
        let members = members(json).map_err(|_| not_an_object())?;
        let change = |(name, value): (Name<'_>, &RawValue)| {
            if let Some(name) = PROTECTED_CLAIMS.into_iter().find(|protected| name.is(protected)) {
                let problem = "can't be changed: it says whose session it is or how long it lasts";
                return Err(Error::argument(format!("claims.{name}"), problem));
            }
            Ok((name.into_owned(), (value.get() != "null").then(|| value.to_owned())))
        };
        members.into_iter().map(change).collect::<Result<_, _>>().map(Self)
    }

    /// The values of fresh claims, in the order of `claims`.
    pub fn of_fresh(claims: &[FreshClaim], values: Option<&[Option<FreshValue>]>) -> Self {
        let change = |(claim, value): (&FreshClaim, &Option<FreshValue>)| {
            (Name::of(claim.name.clone()), value.as_ref().map(|FreshValue(json)| json.clone()))
        };
        Self(claims.iter().zip(values.unwrap_or_default()).map(change).collect())
    }

    /// First these, then `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

/// The names of the claims in an object, each as often as it occurs.
///
/// # Errors
/// `Error::Argument`, if it is no object.
pub fn claim_names(json: &str) -> Result<Vec<String>, Error> {
    let members = members(json).map_err(|_| not_an_object())?;
    Ok(members.into_iter().map(|(name, _)| name.text().to_owned()).collect())
}

fn not_an_object() -> Error {
    Error::argument("claims", "must be an object of claims")
}

/// `None` if the plaintext is not a JSON object, which that of a token that was read always is.
pub fn reissue(plaintext: &[u8], changes: ClaimChanges, stamp: Stamp) -> Option<String> {
    let mut claims = NextClaims::default();
    for (name, value) in members(decode_text(plaintext)?).ok()? {
        claims.set(name, Some(Cow::Borrowed(value.get())));
    }
    for (name, value) in changes.0 {
        claims.set(name, value.map(|value| Cow::Owned(String::from(Box::<str>::from(value)))));
    }
    let mut stamp_with = |name: &'static str, value: String| claims.set(Name::of(name), Some(Cow::Owned(value)));
    if let Some(Times { now, expires_at }) = stamp.times {
        stamp_with(Claim::Iat.name(), now.to_string());
        stamp_with(Claim::Exp.name(), expires_at.to_string());
        stamp_with(Claim::RolledAt.name(), now.to_string());
    }
    stamp_with("jti", serde_json::Value::from(stamp.jti).to_string());
    Some(claims.to_json())
}

/// The name of a claim. One with lone surrogates has no text, and is compared as `JSON.stringify` writes it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name<'t> {
    Text(Cow<'t, str>),
    Written(Cow<'t, str>),
}

impl<'t> Name<'t> {
    fn of(text: impl Into<Cow<'t, str>>) -> Self {
        Self::Text(text.into())
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Written(text) => text,
        }
    }

    fn into_owned(self) -> Name<'static> {
        match self {
            Self::Text(text) => Name::Text(Cow::Owned(text.into_owned())),
            Self::Written(json) => Name::Written(Cow::Owned(json.into_owned())),
        }
    }

    fn json(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Owned(serde_json::Value::from(&**text).to_string()),
            Self::Written(json) => Cow::Borrowed(json),
        }
    }
}

/// The claims of the next token, in their order.
#[derive(Default)]
struct NextClaims<'t> {
    members: Vec<(Name<'t>, Option<Cow<'t, str>>)>,
    places: HashMap<Name<'t>, usize>,
}

impl<'t> NextClaims<'t> {
    /// In the place that the name has; `None` removes the claim.
    fn set(&mut self, name: Name<'t>, value: Option<Cow<'t, str>>) {
        match self.places.get(&name) {
            Some(place) => self.members[*place].1 = value,
            None => {
                self.places.insert(name.clone(), self.members.len());
                self.members.push((name, value));
            }
        }
    }

    fn to_json(&self) -> String {
        let mut json = String::with_capacity(2048);
        for (name, value) in &self.members {
            let Some(value) = value else { continue };
            json.push(if json.is_empty() { '{' } else { ',' });
            json.push_str(&name.json());
            json.push(':');
            json.push_str(value);
        }
        json.push_str(if json.is_empty() { "{}" } else { "}" });
        json
    }
}

fn members(json: &str) -> serde_json::Result<Vec<(Name<'_>, &RawValue)>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Name<'de>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = object.next_entry::<&RawValue, &RawValue>()? {
            let name = decode(name).map_or_else(|| Name::Written(canonical(name)), Name::Text);
            members.push((name, value));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::ClaimKind;

    const TIMES: Times = Times { now: 1_700_000_000, expires_at: 1_700_000_100 };

    fn next(plaintext: &str, changes: &str, times: Option<Times>) -> String {
        let changes = ClaimChanges::parse(changes).expect("no protected claim");
        reissue(plaintext.as_bytes(), changes, Stamp { jti: "j", times }).expect("an object")
    }

    #[test]
    fn claims_are_carried_over_as_they_are_written() {
        for (case, plaintext, changes, expected) in [
            (
                "times are replaced in their place",
                r#"{"exp":1,"a":"b","iat":2,"jti":"x","rolled_at":3}"#,
                "{}",
                r#"{"exp":1700000100,"a":"b","iat":1700000000,"jti":"j","rolled_at":1700000000}"#,
            ),
            (
                "or come last",
                r#"{"a":1}"#,
                "{}",
                r#"{"a":1,"iat":1700000000,"exp":1700000100,"rolled_at":1700000000,"jti":"j"}"#,
            ),
            (
                "to the letter",
                r#"{ "n" : 1.50e3, "u":"\u0041\/", "o":{"b": [1,  2],"a":null}, "l":"\ud83d" ,"jti":1}"#,
                "{}",
                r#"{"n":1.50e3,"u":"\u0041\/","o":{"b": [1,  2],"a":null},"l":"\ud83d","jti":"j","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "a name twice",
                r#"{"a":1,"b":2,"a":3,"\u0062":4,"jti":0}"#,
                "{}",
                r#"{"a":3,"b":4,"jti":"j","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "names with lone surrogates",
                r#"{"\ud83d":1,"\ud83e":2,"\ud83d":3,"jti":0}"#,
                "{}",
                r#"{"\ud83d":3,"\ud83e":2,"jti":"j","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "names with lone surrogates, spelled in several ways",
                r#"{"\ud83d":1,"\uD83Da":2,"\uD83D":3,"\ud83d\u0061":4,"jti":0}"#,
                r#"{"\uD83D\u0061":null}"#,
                r#"{"\ud83d":3,"jti":"j","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "a byte order mark",
                "\u{feff}{\"jti\":0}",
                "{}",
                r#"{"jti":"j","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "changes",
                r#"{"a":1,"b":2,"c":3,"jti":0}"#,
                r#"{"b":null,"a":{"x":[ ]},"d":"e","f":null}"#,
                r#"{"a":{"x":[ ]},"c":3,"jti":"j","d":"e","iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
            (
                "changes, a name twice",
                r#"{"jti":0}"#,
                r#"{"a":1,"a":null,"b":null,"b":2}"#,
                r#"{"jti":"j","b":2,"iat":1700000000,"exp":1700000100,"rolled_at":1700000000}"#,
            ),
        ] {
            assert_eq!(next(plaintext, changes, Some(TIMES)), expected, "{case}");
        }
        let kept = r#"{"exp":1.5,"iat":2,"jti":"x","rolled_at":3}"#;
        assert_eq!(next(kept, "{}", None), kept.replace("\"x\"", "\"j\""), "a token whose row was not slid");
    }

    #[test]
    fn protected_claims_cant_be_changed() {
        for name in PROTECTED_CLAIMS {
            let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
            for (name_as_written, value) in [(name, "1"), (name, "null"), (&escaped, "1")] {
                let changes = format!(r#"{{"plan":"pro","{name_as_written}":{value}}}"#);
                let error = ClaimChanges::parse(&changes).map(|_| ()).expect_err("is refused");
                assert_eq!(error.code(), "ERR_AUTH_BRIDGE_ARGUMENT");
                assert!(error.to_string().starts_with(&format!("claims.{name}: can't be changed")), "{error}");
            }
        }
        for no_object in ["[]", "null", "1", "\"a\"", "{", "{}x"] {
            assert!(ClaimChanges::parse(no_object).is_err(), "{no_object}");
        }
    }

    #[test]
    fn fresh_claims_come_before_those_of_the_app() {
        let claim = |name: &str| FreshClaim { name: name.to_owned(), kind: ClaimKind::Any };
        let value = |json: &str| Some(FreshValue(RawValue::from_string(json.to_owned()).expect("is JSON")));
        let claims = [claim("plan"), claim("role"), claim("gone")];
        let fresh = ClaimChanges::of_fresh(&claims, Some(&[value("\"pro\""), value("[1]"), None]));
        let changes = fresh.and(ClaimChanges::parse(r#"{"role":"admin"}"#).expect("is an object"));
        let stamp = Stamp { jti: "j", times: None };
        let next = reissue(br#"{"plan":"free","gone":1,"jti":0}"#, changes, stamp);
        assert_eq!(next.as_deref(), Some(r#"{"plan":"pro","jti":"j","role":"admin"}"#));
        assert!(ClaimChanges::of_fresh(&claims, None).0.is_empty());
    }

    proptest! {
        #[test]
        fn the_next_token_has_the_same_claims_but_for_its_stamp(
            names in proptest::collection::vec("[a-d\"é\u{1F600}]{0,3}", 0..6),
            numbers in proptest::collection::vec(any::<i64>(), 6),
        ) {
            let mut claims = serde_json::Map::new();
            for (name, number) in names.iter().zip(numbers) {
                claims.insert(name.clone(), json!([number, name]));
            }
            let next = next(&Value::Object(claims.clone()).to_string(), "{}", Some(TIMES));
            let mut next: serde_json::Map<String, Value> = serde_json::from_str(&next).expect("is an object");
            for (name, value) in [("iat", json!(TIMES.now)), ("exp", json!(TIMES.expires_at)), ("jti", json!("j"))] {
                prop_assert_eq!(next.remove(name), Some(value));
            }
            prop_assert_eq!(next.remove("rolled_at"), Some(json!(TIMES.now)));
            prop_assert_eq!(next, claims);
        }
    }
}
