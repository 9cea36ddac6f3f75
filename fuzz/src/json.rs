//! JSON for the oracles: keeps the order of fields and the text of values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object in their order; a name can be repeated.
pub struct Fields<'j>(pub Vec<(String, &'j RawValue)>);

impl<'j> Fields<'j> {
    /// `None` unless `json` is an object.
    pub fn parse(json: &'j str) -> Option<Self> {
        serde_json::from_str(json).ok()
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

/// Replaces escaped lone surrogates, which a Rust string can't hold, by U+FFFD.
pub fn without_lone_surrogates(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (spelled, after) =
            match (code_unit(escape), escape.get(5..).and_then(|rest| code_unit(rest.strip_prefix('\\')?))) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (None, 11),
                (Some(0xd800..=0xdfff), _) => (Some('\u{fffd}'), 5),
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
