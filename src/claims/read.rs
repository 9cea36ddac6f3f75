//! Plaintext -> claims that are valid now, read by name and type.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::claims::json_string;
use crate::redacted::redacted;

/// How far the clocks of the issuer and of this machine may differ, in seconds (`clockTolerance` in
/// `@auth/core` `jwt.js`).
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
    /// The claim `exp`, in seconds since 1970.
    pub exp: f64,
    /// `iat`, in seconds since 1970; `None` if the token doesn't say.
    pub iat: Option<f64>,
}

redacted!(Claims<'t>);

macro_rules! claims {
    ($($claim:ident $name:literal),+ $(,)?) => {
        /// The claims that are read; all others are ignored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Claim { $($claim),+ }

        impl Claim {
            const COUNT: usize = [$($name),+].len();

            pub const fn name(self) -> &'static str {
                match self { $(Self::$claim => $name),+ }
            }

            fn from_json(name: &RawValue) -> Option<Self> {
                match &*decode(name)? {
                    $($name => Some(Self::$claim),)+
                    _ => None,
                }
            }
        }
    };
}

claims! {
    Exp "exp", Nbf "nbf", Iat "iat",
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
    /// `iat` only has to be a number.
    pub fn parse(plaintext: &'t [u8], now: u64) -> Result<Self, ClaimsError> {
        let text = decode_text(plaintext).ok_or(ClaimsError::NotAnObject)?;
        let mut claims: Self = serde_json::from_str(text).map_err(|_| ClaimsError::NotAnObject)?;
        claims.exp = claims.time(Claim::Exp)?.ok_or_else(|| ClaimsError::Missing(vec![Claim::Exp.name()]))?;
        if claims.exp <= now as f64 - CLOCK_TOLERANCE {
            return Err(ClaimsError::Expired { exp: claims.exp, now });
        }
        if let Some(nbf) = claims.time(Claim::Nbf)?.filter(|nbf| *nbf > now as f64 + CLOCK_TOLERANCE) {
            return Err(ClaimsError::NotYetValid { nbf, now });
        }
        claims.iat = claims.time(Claim::Iat)?;
        Ok(claims)
    }

    /// A string, as JSON in the form that `JSON.stringify` writes. `None` if the claim is absent, null or of another
    /// type; the same holds for the other readers below.
    pub fn text(&self, claim: Claim) -> Option<Cow<'t, RawValue>> {
        self.raw_text(claim).map(json_string::canonical)
    }

    pub fn texts(&self, claim: Claim) -> Option<Vec<Cow<'t, RawValue>>> {
        let list: Vec<&RawValue> = self.typed(claim)?;
        list.into_iter().map(|raw| is_text(raw).then(|| json_string::canonical(raw))).collect()
    }

    pub fn flag(&self, claim: Claim) -> Option<bool> {
        self.typed(claim)
    }

    /// Whether a claim is present and not null.
    pub fn has(&self, claim: Claim) -> bool {
        self.value(claim).is_some_and(|raw| raw.get() != "null")
    }

    /// A UUID: its text as JSON, and its value.
    pub fn uuid(&self, claim: Claim) -> Option<(Cow<'t, RawValue>, Uuid)> {
        let text = self.raw_text(claim)?;
        let uuid = parse_uuid(&decode(text)?)?;
        Some((json_string::canonical(text), uuid))
    }

    /// A string that is one of `values`.
    pub fn one_of<T: Copy>(&self, claim: Claim, values: &[(&str, T)]) -> Option<T> {
        let text = decode(self.raw_text(claim)?)?;
        values.iter().find(|(value, _)| *value == text).map(|(_, meaning)| *meaning)
    }

    fn raw_text(&self, claim: Claim) -> Option<&'t RawValue> {
        self.value(claim).filter(|raw| is_text(raw))
    }

    fn typed<T: Deserialize<'t>>(&self, claim: Claim) -> Option<T> {
        serde_json::from_str(self.value(claim)?.get()).ok()
    }

    fn value(&self, claim: Claim) -> Option<&'t RawValue> {
        self.values[claim as usize]
    }

    /// A NumericDate (RFC 7519 section 2): any JSON number is accepted, and nothing else, not even null.
    /// `f64::from_str` parses a JSON number as JavaScript does: 1e999 is infinite.
    fn time(&self, claim: Claim) -> Result<Option<f64>, ClaimsError> {
        let number = |raw: &RawValue| raw.get().parse().map_err(|_| ClaimsError::NotANumber(claim.name()));
        self.value(claim).map(number).transpose()
    }
}

impl<'de> Deserialize<'de> for Claims<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Claims<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut values = [None; Claim::COUNT];
                while let Some(name) = object.next_key::<&RawValue>()? {
                    match Claim::from_json(name) {
                        Some(claim) => values[claim as usize] = Some(object.next_value()?),
                        None => drop(object.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Claims { values, exp: 0.0, iat: None })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Decodes as jose does, with a `TextDecoder` that is `fatal` and skips a byte order mark.
fn decode_text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).ok()
}

fn is_text(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// `None` if the text has lone surrogates.
fn decode(text: &RawValue) -> Option<Cow<'_, str>> {
    let inner = text.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(text.get()).ok().map(Cow::Owned) } else { Some(inner.into()) }
}

/// Accepts only the form of RFC 9562 section 4; the crate would also accept braces and `urn:uuid:`.
fn parse_uuid(text: &str) -> Option<Uuid> {
    const HYPHENATED_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;
    (text.len() == HYPHENATED_BYTES).then(|| Uuid::try_parse(text).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn outcome(plaintext: &str) -> Result<(), ClaimsError> {
        Claims::parse(plaintext.as_bytes(), NOW).map(|_| ())
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
        assert_eq!(Claims::parse(plaintext, NOW).err(), Some(ClaimsError::NotAnObject));
    }

    #[test]
    fn deep_claims_need_no_stack() {
        let depth = 100_000;
        let plaintext = format!(r#"{{"exp":1800000000,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(outcome(&plaintext), Ok(()));
    }

    #[test]
    fn claims_are_read_by_type() {
        use Claim::{Addons, Email, Id, Image, Name, Picture, Plan, ProToken, Sub, Tenant, TrialEnd, Username};
        let plaintext = r#"{"exp":1800000000,"email":"text","name":true,"plan":1,"username":null,"addons":["a"],
            "image":["a",1],"picture":{},"proToken":"\ud83d","sub":"\u0041",
            "id":"5B0B0B7E-3f0e-4c0e-8d66-111111111111","\u0074enant":"text"}"#;
        let claims = Claims::parse(plaintext.as_bytes(), NOW).expect("is valid");
        for (name, text, flag, texts) in [
            (Email, Some(r#""text""#), None, None),
            (Name, None, Some(true), None),
            (Plan, None, None, None),
            (Username, None, None, None),
            (Addons, None, None, Some(vec![r#""a""#])),
            (Image, None, None, None),
            (Picture, None, None, None),
            (ProToken, Some(r#""\ud83d""#), None, None),
            (Sub, Some(r#""A""#), None, None),
            (Id, Some(r#""5B0B0B7E-3f0e-4c0e-8d66-111111111111""#), None, None),
            (Tenant, Some(r#""text""#), None, None),
            (TrialEnd, None, None, None),
        ] {
            assert_eq!(claims.text(name).as_deref().map(RawValue::get), text, "{name:?}");
            assert_eq!(claims.flag(name), flag, "{name:?}");
            let list = claims.texts(name);
            let list = list.as_ref().map(|list| list.iter().map(|text| text.get()).collect());
            assert_eq!(list, texts, "{name:?}");
            assert_eq!(claims.one_of(name, &[("text", 1)]), text.and_then(|text| (text == r#""text""#).then_some(1)));
            assert_eq!(claims.uuid(name).is_some(), name == Id, "{name:?}");
        }
    }

    #[test]
    fn only_hyphenated_uuids_are_accepted() {
        let uuid = "5b0b0b7e-3f0e-4c0e-8d66-111111111111";
        assert_eq!(parse_uuid(uuid).map(|parsed| parsed.to_string()).as_deref(), Some(uuid));
        for other in [
            "",
            "5b0b0b7e3f0e4c0e8d66111111111111",
            "{5b0b0b7e-3f0e-4c0e-8d66-111111111111}",
            "urn:uuid:5b0b0b7e-3f0e-4c0e-8d66-111111111111",
            "5b0b0b7e-3f0e-4c0e-8d66-11111111111g",
            " 5b0b0b7e-3f0e-4c0e-8d66-11111111111",
            "5b0b0b7e-3f0e-4c0e-8d661-11111111111",
        ] {
            assert_eq!(parse_uuid(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(plaintext in "\\PC{0,60}|\\{\"(exp|nbf|iat)\":[-0-9.eE+\"ntf\\[{]{1,9}\\}") {
            let _ = outcome(&plaintext);
        }
    }
}
