//! Plaintext -> claims that are valid now, read by name and type.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::claims::json_string;
use crate::redacted::redacted;
use crate::schema::{Id, IdType};

/// How far the clocks of the issuer and of this machine may differ, in seconds. The same as Auth.js allows (`clockTolerance` in
/// `@auth/core` `jwt.js`): another value would be a row in docs/differences.md.
pub const CLOCK_TOLERANCE: f64 = 15.0;

/// Why the claims of a token are not valid.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum ClaimsError {
    #[error("the plaintext is not a JSON object")]
    NotAnObject,
    #[error("{0} is not a number")]
    NotANumber(&'static str),
    /// `exp` and the current time, in seconds since 1970.
    #[error("the token is expired")]
    Expired { exp: f64, now: u64 },
    /// `nbf` and the current time, in seconds since 1970.
    #[error("the token is not yet valid")]
    NotYetValid { nbf: f64, now: u64 },
    #[error("{} is missing or not what it must be", .0.join(", "))]
    Missing(Vec<&'static str>),
}

/// Without the values, since claims must not be logged.
impl fmt::Debug for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The claims of a token that is valid now.
///
/// Each value is kept as JSON and parsed only when it is read, so a claim of the wrong type does no harm unless it is read. If a
/// name occurs twice, the last value is used, as in `JSON.parse`.
pub struct Claims<'t> {
    values: [Option<&'t RawValue>; Claim::COUNT],
    /// The claims of the app, in the order of [`crate::schema::Schema::extra_claims`].
    extra: Vec<Option<&'t RawValue>>,
    /// The claim `exp`, in seconds since 1970.
    pub exp: f64,
    /// `iat`, in seconds since 1970; `None` if the token doesn't say.
    pub iat: Option<f64>,
    /// `rolled_at`, in seconds since 1970; `None` if the token doesn't say, or not as a number.
    pub rolled_at: Option<f64>,
}

redacted!(Claims<'t>);

macro_rules! claims {
    ($($claim:ident $name:literal),+ $(,)?) => {
        /// The claims that are read beside those of the app; all others are ignored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Claim { $($claim),+ }

        impl Claim {
            const COUNT: usize = [$($name),+].len();

            pub const fn name(self) -> &'static str {
                match self { $(Self::$claim => $name),+ }
            }

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$claim),)+
                    _ => None,
                }
            }
        }
    };
}

claims! {
    Exp "exp", Nbf "nbf", Iat "iat", RolledAt "rolled_at",
    SessionId "session_id", Tenant "tenant", Id "id", Sub "sub", UserType "user_type", LoginMethod "login_method",
    Email "email", Name "name", Username "username", Image "image", Picture "picture",
    ProToken "proToken", TenantSlug "tenantSlug", Plan "plan",
    ClientId "clientId", ContactId "contactId", Addons "addons",
    TrialEnd "trial_end", SoloProTrialEnd "solo_pro_trial_end", PremiumTrialEnd "premium_trial_end",
    PremiumTrialEffectiveDate "premium_trial_effective_date", PremiumTrialConfirmed "premium_trial_confirmed",
    SubscriptionStatus "subscription_status",
}

impl<'t> Claims<'t> {
    /// Checks `exp` and `nbf` against `now`, in seconds since 1970 (RFC 7519 section 4.1, but `exp` is required).
    /// `iat` only has to be a number. `extra_claims` are the names of the app's own claims.
    pub fn parse(plaintext: &'t [u8], now: u64, extra_claims: &[String]) -> Result<Self, ClaimsError> {
        let text = decode_text(plaintext).ok_or(ClaimsError::NotAnObject)?;
        let mut claims = Self::of_json(text, extra_claims).map_err(|_| ClaimsError::NotAnObject)?;
        claims.exp = claims.time(Claim::Exp)?.ok_or_else(|| ClaimsError::Missing(vec![Claim::Exp.name()]))?;
        if claims.exp <= now as f64 - CLOCK_TOLERANCE {
            return Err(ClaimsError::Expired { exp: claims.exp, now });
        }
        if let Some(nbf) = claims.time(Claim::Nbf)?.filter(|nbf| *nbf > now as f64 + CLOCK_TOLERANCE) {
            return Err(ClaimsError::NotYetValid { nbf, now });
        }
        claims.iat = claims.time(Claim::Iat)?;
        claims.rolled_at = claims.time(Claim::RolledAt).unwrap_or_default();
        Ok(claims)
    }

    fn of_json(text: &'t str, extra_claims: &[String]) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let claims = deserializer.deserialize_map(Object { extra_claims })?;
        deserializer.end()?;
        Ok(claims)
    }

    /// Whether a claim is present and not null.
    pub fn has(&self, claim: Claim) -> bool {
        self.value(claim).is_some_and(|raw| raw.get() != "null")
    }

    /// The id that the claim is, for a column of the type `id_type`, and its text as JSON. A number is read as its text.
    /// `None` if the claim is absent, or no such id.
    pub fn id(&self, claim: Claim, id_type: IdType) -> Option<(Cow<'t, str>, Id)> {
        let raw = self.value(claim)?;
        if is_text(raw) {
            return Some((json_string::canonical(raw), id_type.parse(&decode(raw)?)?));
        }
        let is_number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let id = id_type.parse(raw.get()).filter(|_| is_number)?;
        Some((Cow::Owned(format!("\"{}\"", raw.get())), id))
    }

    /// A string that is one of `values`; `None` if the claim is absent, of another type, or another string.
    pub fn one_of<T: Copy>(&self, claim: Claim, values: &[(&str, T)]) -> Option<T> {
        one_of(self.value(claim)?, values)
    }

    pub fn value(&self, claim: Claim) -> Option<&'t RawValue> {
        self.values[claim as usize]
    }

    /// The claim of the app with this index.
    pub fn extra(&self, index: usize) -> Option<&'t RawValue> {
        self.extra.get(index).copied().flatten()
    }

    /// A NumericDate (RFC 7519 section 2): any JSON number is accepted, and nothing else, not even null.
    /// `f64::from_str` parses a JSON number as JavaScript does: 1e999 is infinite.
    fn time(&self, claim: Claim) -> Result<Option<f64>, ClaimsError> {
        let number = |raw: &RawValue| raw.get().parse().map_err(|_| ClaimsError::NotANumber(claim.name()));
        self.value(claim).map(number).transpose()
    }
}

/// Reads the members of the object of claims.
struct Object<'n> {
    extra_claims: &'n [String],
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Claims<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; Claim::COUNT];
        let mut extra = vec![None; self.extra_claims.len()];
        while let Some(name) = object.next_key::<&RawValue>()? {
            let name = decode(name);
            let claim = name.as_deref().and_then(Claim::named);
            let of_app = || self.extra_claims.iter().position(|known| Some(known.as_str()) == name.as_deref());
            match claim {
                Some(claim) => values[claim as usize] = Some(object.next_value()?),
                None => match of_app() {
                    Some(index) => extra[index] = Some(object.next_value()?),
                    None => drop(object.next_value::<IgnoredAny>()?),
                },
            }
        }
        Ok(Claims { values, extra, exp: 0.0, iat: None, rolled_at: None })
    }
}

/// Decodes as jose does, with a `TextDecoder` that is `fatal` and skips a byte order mark.
pub(super) fn decode_text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).ok()
}

pub(super) fn is_text(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// A string that is one of `values`.
pub(super) fn one_of<T: Copy>(raw: &RawValue, values: &[(&str, T)]) -> Option<T> {
    let text = if is_text(raw) { decode(raw)? } else { return None };
    values.iter().find(|(value, _)| *value == text).map(|(_, meaning)| *meaning)
}

/// The string that the JSON encodes; `None` if it has lone surrogates.
pub(super) fn decode(text: &RawValue) -> Option<Cow<'_, str>> {
    let inner = text.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(text.get()).ok().map(Cow::Owned) } else { Some(inner.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn outcome(plaintext: &str) -> Result<(), ClaimsError> {
        Claims::parse(plaintext.as_bytes(), NOW, &[]).map(|_| ())
    }

    #[test]
    fn exp_nbf_and_iat_decide_whether_a_token_is_valid() {
        use ClaimsError::{Missing, NotANumber, NotAnObject};
        let expired = |exp| Err(ClaimsError::Expired { exp, now: NOW });
        let not_yet = |nbf| Err(ClaimsError::NotYetValid { nbf, now: NOW });
        for (case, plaintext, expected) in [
            ("in time", r#"{"exp":1700000060,"nbf":1699999000,"iat":1699999000}"#, Ok(())),
            ("exp alone", r#"{"exp":1700000060}"#, Ok(())),
            ("no exp", "{}", Err(Missing(vec!["exp"]))),
            ("expired within the tolerance", r#"{"exp":1699999986}"#, Ok(())),
            ("expired at the edge", r#"{"exp":1699999985}"#, expired(1_699_999_985.0)),
            ("exp a float past the edge", r#"{"exp":1699999985.5}"#, Ok(())),
            ("exp a float before it", r#"{"exp":1699999984.9}"#, expired(1699999984.9)),
            ("exp negative", r#"{"exp":-1}"#, expired(-1.0)),
            ("exp zero", r#"{"exp":0}"#, expired(0.0)),
            ("exp huge", r#"{"exp":1e999}"#, Ok(())),
            ("exp hugely negative", r#"{"exp":-1e999}"#, expired(f64::NEG_INFINITY)),
            ("exp a string", r#"{"exp":"1700000060"}"#, Err(NotANumber("exp"))),
            ("exp null", r#"{"exp":null}"#, Err(NotANumber("exp"))),
            ("exp true", r#"{"exp":true}"#, Err(NotANumber("exp"))),
            ("exp in an array", r#"{"exp":[1700000060]}"#, Err(NotANumber("exp"))),
            ("the last exp is used", r#"{"exp":1,"exp":1700000060}"#, Ok(())),
            ("the last exp is used, expired", r#"{"exp":1700000060,"exp":1}"#, expired(1.0)),
            ("nbf at the edge", r#"{"exp":1800000000,"nbf":1700000015}"#, Ok(())),
            ("nbf past the edge", r#"{"exp":1800000000,"nbf":1700000016}"#, not_yet(1_700_000_016.0)),
            ("nbf a float past the edge", r#"{"exp":1800000000,"nbf":1700000015.1}"#, not_yet(1700000015.1)),
            ("nbf a string", r#"{"exp":1800000000,"nbf":"0"}"#, Err(NotANumber("nbf"))),
            ("nbf null", r#"{"exp":1800000000,"nbf":null}"#, Err(NotANumber("nbf"))),
            ("iat in the future", r#"{"exp":1800000000,"iat":1900000000}"#, Ok(())),
            ("iat a string", r#"{"exp":1800000000,"iat":"0"}"#, Err(NotANumber("iat"))),
            ("iat null", r#"{"exp":1800000000,"iat":null}"#, Err(NotANumber("iat"))),
            ("white space", " {\"exp\" :\t1800000000 }\n", Ok(())),
            ("a byte order mark", "\u{feff}{\"exp\":1800000000}", Ok(())),
            ("two byte order marks", "\u{feff}\u{feff}{\"exp\":1800000000}", Err(NotAnObject)),
            ("an array", r#"[{"exp":1800000000}]"#, Err(NotAnObject)),
            ("a string", r#""exp""#, Err(NotAnObject)),
            ("null", "null", Err(NotAnObject)),
            ("empty", "", Err(NotAnObject)),
            ("truncated", r#"{"exp":1800000000"#, Err(NotAnObject)),
            ("trailing text", r#"{"exp":1800000000}x"#, Err(NotAnObject)),
            ("a control character in a name", "{\"exp\":1800000000,\"a\nb\":1}", Err(NotAnObject)),
            ("a NUL in a name", "{\"exp\":1800000000,\"\0\":1}", Err(NotAnObject)),
            ("a control character in a claim", "{\"exp\":1800000000,\"a\":\"\t\"}", Err(NotAnObject)),
            ("an escaped control character in a name", r#"{"exp":1800000000,"a\nb":1}"#, Ok(())),
            ("an escaped name", r#"{"\u0065xp":1800000000}"#, Ok(())),
            ("a name that is not a string", r#"{"exp":1800000000,1:1}"#, Err(NotAnObject)),
            ("lone surrogate in a name", r#"{"exp":1800000000,"\ud83d":1}"#, Ok(())),
            ("lone surrogate in a claim", r#"{"exp":1800000000,"name":"\ud83d"}"#, Ok(())),
        ] {
            assert_eq!(outcome(plaintext), expected, "{case}");
        }
    }

    #[test]
    fn debug_shows_no_claim() {
        let expired = ClaimsError::Expired { exp: 1234.0, now: NOW };
        assert_eq!(format!("{expired:?}"), "the token is expired");
    }

    #[test]
    fn text_must_be_utf_8() {
        let plaintext = b"{\"exp\":1800000000,\"name\":\"\xff\"}";
        assert_eq!(Claims::parse(plaintext, NOW, &[]).err(), Some(ClaimsError::NotAnObject));
    }

    #[test]
    fn deep_claims_need_no_stack() {
        let depth = 100_000;
        let plaintext = format!(r#"{{"exp":1800000000,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(outcome(&plaintext), Ok(()));
    }

    #[test]
    fn claims_are_read_by_type() {
        use Claim::{Email, Id, Name, Plan, Sub, Tenant, Username};
        const UUID: &str = "5B0B0B7E-3f0e-4c0e-8d66-111111111111";
        let plaintext = format!(
            r#"{{"exp":1800000000,"email":"text","name":true,"plan":17,"username":null,"sub":"\u0041","id":"{UUID}",
                "\u0074enant":"\ud83d"}}"#
        );
        let claims = Claims::parse(plaintext.as_bytes(), NOW, &[]).expect("is valid");
        for (claim, is_there, as_uuid, as_integer, as_text) in [
            (Email, true, None, None, Some(r#""text""#)),
            (Name, true, None, None, None),
            (Plan, true, None, Some(r#""17""#), Some(r#""17""#)),
            (Username, false, None, None, None),
            (Id, true, Some(format!(r#""{UUID}""#)), None, Some(r#""5B0B0B7E-3f0e-4c0e-8d66-111111111111""#)),
            (Sub, true, None, None, Some(r#""A""#)),
            (Tenant, true, None, None, None),
            (Claim::Picture, false, None, None, None),
        ] {
            let id = |id_type| claims.id(claim, id_type).map(|(json, _)| json.into_owned());
            assert_eq!(claims.has(claim), is_there, "{claim:?}");
            assert_eq!(id(IdType::Uuid), as_uuid, "{claim:?}");
            assert_eq!(id(IdType::Integer).as_deref(), as_integer, "{claim:?}");
            assert_eq!(id(IdType::Text).as_deref(), as_text, "{claim:?}");
            let one_of = claims.one_of(claim, &[("text", 1)]);
            assert_eq!(one_of, (claim == Email).then_some(1), "{claim:?}");
        }
    }

    #[test]
    fn claims_of_the_app_are_kept_as_json() {
        let names = ["role", "é", "limits", "absent"].map(str::to_owned);
        let plaintext =
            r#"{"exp":1800000000,"role":"a","other":1,"limits":{"seats": [1, 2]},"\u00e9":null,"role":"b"}"#;
        let claims = Claims::parse(plaintext.as_bytes(), NOW, &names).expect("is valid");
        let values = [0, 1, 2, 3, 4].map(|index| claims.extra(index).map(RawValue::get));
        assert_eq!(values, [Some(r#""b""#), Some("null"), Some(r#"{"seats": [1, 2]}"#), None, None]);
    }

    proptest! {
        #[test]
        fn nothing_panics(plaintext in "\\PC{0,60}|\\{\"(exp|nbf|iat)\":[-0-9.eE+\"ntf\\[{]{1,9}\\}") {
            let _ = outcome(&plaintext);
        }
    }
}
