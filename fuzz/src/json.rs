//! JSON for the oracles: keeps the order of fields and the text of values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of an object in their order; a name can be repeated.
#[derive(Default)]
pub struct Fields<'j>(pub Vec<(String, &'j RawValue)>);

impl<'j> Fields<'j> {
    /// `None` unless `json` is an object.
    pub fn parse(json: &'j str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The value of a field. If its name is repeated, the last one counts.
    pub fn last(&self, name: &str) -> Option<&'j str> {
        self.0.iter().rfind(|(found, _)| found == name).map(|(_, value)| value.get())
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = object.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Any value as `JSON.stringify` writes it, but with the order and the numbers that it has.
pub fn compact(json: &str) -> String {
    let list = |values: Vec<String>| values.join(",");
    match json.as_bytes().first() {
        Some(b'{') => {
            let Fields(fields) = Fields::parse(json).expect("an object");
            let field = |(name, value): (String, &RawValue)| format!("{}:{}", Value::from(name), compact(value.get()));
            format!("{{{}}}", list(fields.into_iter().map(field).collect()))
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(json).expect("a list");
            format!("[{}]", list(values.into_iter().map(|value| compact(value.get())).collect()))
        }
        Some(b'"') => serde_json::from_str::<Value>(json).expect("a string").to_string(),
        _ => json.to_owned(),
    }
}

/// The first line as text, and the rest.
pub fn split_line(bytes: &[u8]) -> (String, &[u8]) {
    let (line, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    (String::from_utf8_lossy(line).into_owned(), rest.strip_prefix(b"\n").unwrap_or(rest))
}

/// Replaces escaped lone surrogates, which a Rust string can't hold.
pub fn without_lone_surrogates(json: &str, substitute: char) -> String {
    with_lone_surrogates_as(json, |_| substitute)
}

/// Replaces each escaped lone surrogate by a character of its own, from the last plane of Unicode, which is for private use.
pub fn with_lone_surrogates_apart(json: &str) -> String {
    with_lone_surrogates_as(json, |unit| char::from_u32(0x10_0000 + u32::from(unit)).expect("a character"))
}

/// Whether a name has such a character itself, so that it could be taken for one with a lone surrogate.
pub fn names_a_stand_in(json: &str) -> bool {
    let is_stand_in = |character| (0x10_d800..=0x10_dfff).contains(&u32::from(character));
    let text = without_lone_surrogates(json, '?');
    Fields::parse(&text).is_some_and(|Fields(fields)| fields.iter().any(|(name, _)| name.chars().any(is_stand_in)))
}

fn with_lone_surrogates_as(json: &str, substitute: impl Fn(u16) -> char) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (spelled, after) =
            match (code_unit(escape), escape.get(5..).and_then(|rest| code_unit(rest.strip_prefix('\\')?))) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (None, 11),
                (Some(unit @ 0xd800..=0xdfff), _) => (Some(substitute(unit)), 5),
                _ => (None, escape.chars().next().map_or(0, char::len_utf8)),
            };
        match spelled {
            Some(character) => text.push(character),
            None => text.extend(["\\", &escape[..after]]),
        }
        rest = &escape[after..];
    }
    text + rest
}

fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}
