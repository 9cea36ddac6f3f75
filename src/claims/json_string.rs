//! JSON strings -> the form that `JSON.stringify` writes. So `getSessionJson` returns the same text as
//! `JSON.stringify` of the object that `getSession` returns.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;

/// `text` is a JSON string with its quotes. Only one with a backslash can differ from what `JSON.stringify` writes.
pub fn canonical(text: &RawValue) -> Cow<'_, str> {
    if text.get().contains('\\') { Cow::Owned(rewrite(text.get())) } else { Cow::Borrowed(text.get()) }
}

/// The same for any value: without white space, and each string as `JSON.stringify` writes it. Numbers are spelled as they
/// are.
pub fn canonical_value(value: &RawValue) -> Cow<'_, str> {
    let mut rest = value.get();
    if !rest.contains(['\\', ' ', '\t', '\n', '\r']) {
        return Cow::Borrowed(rest);
    }
    let mut output = String::with_capacity(rest.len());
    while let Some((between, string)) = rest.split_once('"') {
        push_compact(between, &mut output);
        let end = end_of_string(string);
        let (string, after) = string.split_at(end);
        write_string(string, &mut output);
        rest = after.strip_prefix('"').unwrap_or(after);
    }
    push_compact(rest, &mut output);
    Cow::Owned(output)
}

/// The length of the string that `text` begins with, after its first quote.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let is_end = |byte: u8| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    };
    text.bytes().position(is_end).unwrap_or(text.len())
}

fn push_compact(text: &str, output: &mut String) {
    output.extend(text.chars().filter(|character| !matches!(character, ' ' | '\t' | '\n' | '\r')));
}

/// `QuoteJSONString` of ECMA-262 for the string that `text` encodes: the short escapes, `\u` for other control
/// characters and for lone surrogates, and no other escapes.
fn rewrite(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    write_string(text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text), &mut output);
    output
}

/// `inner` is the string without its quotes.
fn write_string(inner: &str, output: &mut String) {
    let mut rest = inner;
    output.push('"');
    while let Some((plain, escape)) = rest.split_once('\\') {
        output.push_str(plain);
        rest = rewrite_escape(escape, output);
    }
    output.push_str(rest);
    output.push('"');
}

/// Writes the character that `escape`, the text after a backslash, begins with, and returns the rest of the text.
fn rewrite_escape<'t>(escape: &'t str, output: &mut String) -> &'t str {
    let Some((unit, rest)) = code_unit(escape) else {
        // All short escapes but that of the slash are what `JSON.stringify` writes.
        let (short, rest) = escape.split_at_checked(1).unwrap_or((escape, ""));
        if short != "/" {
            output.push('\\');
        }
        output.push_str(short);
        return rest;
    };
    let pair = rest.strip_prefix('\\').and_then(code_unit);
    let with_low = pair.and_then(|(low, rest)| Some((char::decode_utf16([unit, low]).next()?.ok()?, rest)));
    match (char::from_u32(unit.into()), with_low) {
        (Some(character), _) => push(character, output),
        (None, Some((character, rest))) => {
            output.push(character);
            return rest;
        }
        (None, None) => write!(output, "\\u{unit:04x}").expect("a String takes all"),
    }
    rest
}

/// Parses `u` and four hexadecimal digits; returns the code unit and the rest of the text.
fn code_unit(escape: &str) -> Option<(u16, &str)> {
    let (digits, rest) = escape.strip_prefix('u')?.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

fn push(character: char, output: &mut String) {
    match character {
        '"' => output.push_str("\\\""),
        '\\' => output.push_str("\\\\"),
        '\u{8}' => output.push_str("\\b"),
        '\u{9}' => output.push_str("\\t"),
        '\u{a}' => output.push_str("\\n"),
        '\u{c}' => output.push_str("\\f"),
        '\u{d}' => output.push_str("\\r"),
        control @ '\0'..='\u{1f}' => write!(output, "\\u{:04x}", control as u32).expect("a String takes all"),
        other => output.push(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical_text(text: &str) -> String {
        let text: &RawValue = serde_json::from_str(text).expect("is JSON");
        canonical(text).into_owned()
    }

    #[test]
    fn strings_are_written_as_json_stringify_writes_them() {
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
            assert_eq!(canonical_text(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_decoded_string_stays_the_same(string in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", escape: bool) {
            let escaped: String = if escape {
                let units = string.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                format!("\"{}\"", units.collect::<String>())
            } else {
                serde_json::to_string(&string).expect("serialises")
            };
            // For a string without lone surrogates, serde_json writes what JavaScript writes.
            prop_assert_eq!(canonical_text(&escaped), serde_json::to_string(&string).expect("serialises"));
        }
    }
}
