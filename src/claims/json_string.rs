//! JSON strings -> the spelling of `JSON.stringify`, so that a body is the same text whether it went
//! through JavaScript's objects or not.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;

/// `text` is a JSON string, quotes and all. Only one with a backslash can be spelled otherwise.
pub fn canonical(text: &RawValue) -> Cow<'_, RawValue> {
    if !text.get().contains('\\') {
        return Cow::Borrowed(text);
    }
    // What is made of a valid string is valid; if not, the old spelling is right, too.
    RawValue::from_string(respell(text.get())).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// `QuoteJSONString` of ECMA-262 over the string that the text stands for: the short escapes, `\u`
/// for other control characters and for lone surrogates, and nothing else escaped.
fn respell(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let mut rest = inner;
    spelled.push('"');
    while let Some((plain, escape)) = rest.split_once('\\') {
        spelled.push_str(plain);
        rest = respell_escape(escape, &mut spelled);
    }
    spelled.push_str(rest);
    spelled.push('"');
    spelled
}

/// Spells what `escape`, the text after a backslash, begins with; gives the text after that.
fn respell_escape<'t>(escape: &'t str, spelled: &mut String) -> &'t str {
    let Some((unit, rest)) = code_unit(escape) else {
        // The short escapes are the right spelling, but for that of the slash.
        let (short, rest) = escape.split_at_checked(1).unwrap_or((escape, ""));
        if short != "/" {
            spelled.push('\\');
        }
        spelled.push_str(short);
        return rest;
    };
    let pair = rest.strip_prefix('\\').and_then(code_unit);
    let with_low = pair.and_then(|(low, rest)| Some((char::decode_utf16([unit, low]).next()?.ok()?, rest)));
    match (char::from_u32(unit.into()), with_low) {
        (Some(character), _) => push(character, spelled),
        (None, Some((character, rest))) => {
            spelled.push(character);
            return rest;
        }
        (None, None) => write!(spelled, "\\u{unit:04x}").expect("a String takes all"),
    }
    rest
}

/// `u` and four hexadecimal digits.
fn code_unit(escape: &str) -> Option<(u16, &str)> {
    let (digits, rest) = escape.strip_prefix('u')?.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

fn push(character: char, spelled: &mut String) {
    match character {
        '"' => spelled.push_str("\\\""),
        '\\' => spelled.push_str("\\\\"),
        '\u{8}' => spelled.push_str("\\b"),
        '\u{9}' => spelled.push_str("\\t"),
        '\u{a}' => spelled.push_str("\\n"),
        '\u{c}' => spelled.push_str("\\f"),
        '\u{d}' => spelled.push_str("\\r"),
        control @ '\0'..='\u{1f}' => write!(spelled, "\\u{:04x}", control as u32).expect("a String takes all"),
        other => spelled.push(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelled(text: &str) -> String {
        let text: &RawValue = serde_json::from_str(text).expect("is JSON");
        canonical(text).get().to_owned()
    }

    #[test]
    fn spellings() {
        for (text, expected) in [
            (r#""""#, r#""""#),
            (r#""plain é 😀""#, r#""plain é 😀""#),
            (r#""\u0041\u00e9\u20AC""#, r#""Aé€""#),
            (r#""a\/b""#, r#""a/b""#),
            (r#""\"\\\b\f\n\r\t""#, r#""\"\\\b\f\n\r\t""#),
            (r#""\u0022\u005C\u0008\u000C\u000a\u000D\u0009""#, r#""\"\\\b\f\n\r\t""#),
            (r#""\u0000\u001F\u007f""#, "\"\\u0000\\u001f\u{7f}\""),
            (r#""\u2028""#, "\"\u{2028}\""),
            (r#""\uD83D\uDE00""#, r#""😀""#),
            (r#""\uD83D""#, r#""\ud83d""#),
            (r#""\uDE00\uD83D""#, r#""\ude00\ud83d""#),
            (r#""\uD83D\uD83D\uDE00""#, r#""\ud83d😀""#),
            (r#""\uD83Dx\u0041""#, r#""\ud83dxA""#),
            (r#""\uD83D\n""#, r#""\ud83d\n""#),
            (r#""\\u0041""#, r#""\\u0041""#),
        ] {
            assert_eq!(spelled(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_string_stays_the_same(string in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", escape: bool) {
            let escaped: String = if escape {
                let units = string.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", units.collect::<String>())
            } else {
                serde_json::to_string(&string).expect("serialises")
            };
            // serde_json spells as JavaScript does what is a string in Rust.
            prop_assert_eq!(spelled(&escaped), serde_json::to_string(&string).expect("serialises"));
        }
    }
}
