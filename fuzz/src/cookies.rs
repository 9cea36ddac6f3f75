//! What a `Cookie` header holds, once more, in the plainest way.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

const MAX_HEADER_BYTES: usize = 64 * 1024;

/// What the session cookie `name` can stand for, best first. `None` where the header has none.
pub fn readings<'h>(name: &str, header: &'h str) -> Option<Vec<String>> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut cookies = HashMap::new();
    for (name, value) in header.split(';').filter_map(|part| part.split_once('=')) {
        let trim = |text: &'h str| text.trim_matches([' ', '\t']);
        cookies.entry(trim(name)).or_insert_with(|| trim(value));
    }
    let value = |name: &str| cookies.get(name).map(|value| decode(value));
    let whole = value(name);
    let chunks: Vec<_> = (0..).map_while(|index| value(&format!("{name}.{index}"))).collect();
    let joined = (!chunks.is_empty()).then(|| chunks.concat());
    let readings: Vec<_> = [whole, joined].into_iter().flatten().collect();
    (!readings.is_empty()).then_some(readings)
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), |decoded| decoded.into_owned())
}
