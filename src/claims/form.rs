//! Which values a field of the session object can have, and what stands in place of a claim that has none of them.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json_string::{canonical, canonical_value};
use super::read::{decode, is_text, one_of};
use crate::schema::{ClaimKind, IdType};

/// An absent claim is one that is not there, null, or of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string. An absent one is left out.
    Text,
    /// The same, but an absent one is `""`.
    TextOrEmpty,
    /// The same, but an absent one is null.
    TextOrNull,
    /// A string that is a UUID. An absent one is left out.
    Uuid,
    /// A list of strings. An absent one is empty.
    Texts,
    /// An absent one is false.
    Flag,
    /// One of these strings. An absent one is left out.
    OneOf(&'static [&'static str]),
    /// The same, but an absent one is null.
    OneOfOrNull(&'static [&'static str]),
    /// Any value, null too. One that is not there is left out.
    Any,
}

impl Form {
    /// The value as JSON, as `JSON.stringify` writes it; `None` if the field is left out.
    pub fn json(self, value: Option<&RawValue>) -> Option<Cow<'_, str>> {
        let text = || value.filter(|raw| is_text(raw)).map(canonical);
        let choice = |choices| one_of_these(value?, choices);
        match self {
            Self::Text => text(),
            Self::TextOrEmpty => text().or(Some(Cow::Borrowed("\"\""))),
            Self::TextOrNull => text().or(Some(Cow::Borrowed("null"))),
            Self::Uuid => {
                let raw = value.filter(|raw| is_text(raw))?;
                IdType::Uuid.parse(&decode(raw)?)?;
                Some(canonical(raw))
            }
            Self::Texts => value.and_then(texts).or(Some(Cow::Borrowed("[]"))),
            Self::Flag => {
                Some(Cow::Borrowed(if value.is_some_and(|raw| raw.get() == "true") { "true" } else { "false" }))
            }
            Self::OneOf(choices) => choice(choices),
            Self::OneOfOrNull(choices) => choice(choices).or(Some(Cow::Borrowed("null"))),
            Self::Any => value.map(canonical_value),
        }
    }

    /// What a column may hold that gives the field its value.
    pub fn kind(self) -> ClaimKind {
        match self {
            Self::Texts => ClaimKind::Texts,
            Self::Flag => ClaimKind::Flag,
            Self::Any => ClaimKind::Any,
            _ => ClaimKind::Text,
        }
    }
}

fn one_of_these<'v>(value: &'v RawValue, choices: &[&'static str]) -> Option<Cow<'v, str>> {
    let choice = choices.iter().find(|choice| one_of(value, &[(choice, ())]).is_some())?;
    Some(Cow::Owned(format!("\"{choice}\"")))
}

/// `None` if it is not a list of strings.
fn texts(value: &RawValue) -> Option<Cow<'_, str>> {
    let list: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    let mut json = String::with_capacity(value.get().len());
    for (index, text) in list.into_iter().enumerate() {
        if !is_text(text) {
            return None;
        }
        json.push(if index == 0 { '[' } else { ',' });
        json.push_str(&canonical(text));
    }
    json.push_str(if json.is_empty() { "[]" } else { "]" });
    Some(Cow::Owned(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_form_is_as_an_absent_one() {
        fn raw(json: &str) -> &RawValue {
            serde_json::from_str(json).expect("is JSON")
        }
        use Form::{Any, Flag, OneOf, OneOfOrNull, Text, TextOrEmpty, TextOrNull, Texts, Uuid};
        const UUID: &str = r#""5B0B0B7E-3f0e-4c0e-8d66-111111111111""#;
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for (form, absent, value, expected) in [
            (Text, None, r#""a\/b""#, r#""a/b""#),
            (Text, None, r#""\ud83d""#, r#""\ud83d""#),
            (TextOrEmpty, Some(r#""""#), r#""a""#, r#""a""#),
            (TextOrNull, Some("null"), r#""a""#, r#""a""#),
            (Uuid, None, UUID, UUID),
            (Texts, Some("[]"), r#"[ "a", "\u0062" ]"#, r#"["a","b"]"#),
            (Texts, Some("[]"), "[]", "[]"),
            (Flag, Some("false"), "true", "true"),
            (Flag, Some("false"), "false", "false"),
            (OneOf(&["x", "y"]), None, r#""y""#, r#""y""#),
            (OneOfOrNull(&["x", "y"]), Some("null"), r#""\u0079""#, r#""y""#),
        ] {
            assert_eq!(form.json(Some(raw(value))).as_deref(), Some(expected), "{form:?} {value}");
            assert_eq!(form.json(None).as_deref(), absent, "{form:?}");
            for other in ["null", "17", "{}", r#"["a",1]"#, r#""no""#, deep.as_str()] {
                let is_text = matches!(form, Text | TextOrEmpty | TextOrNull) && other.starts_with('"');
                let expected = if is_text { Some(other) } else { absent };
                assert_eq!(form.json(Some(raw(other))).as_deref(), expected, "{form:?} {other:.20}");
            }
        }
        for value in ["null", "1e400", "17.0", r#"{"b":[1,{"a b":"c\"\\"}],"a":{}}"#, "[]", r#""a""#] {
            assert_eq!(Any.json(Some(raw(value))).as_deref(), Some(value));
        }
        let spaced = r#"{ "a b" : [ 1 , "\u0063\/ \"" ] , "d\\" : { } }"#;
        let compact = r#"{"a b":[1,"c/ \""],"d\\":{}}"#;
        assert_eq!(Any.json(Some(raw(spaced))).as_deref(), Some(compact));
        assert_eq!(Any.json(None), None);
    }
}
