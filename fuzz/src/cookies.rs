//! The oracle for `Cookie` headers: a second, simple parser.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The possible tokens of the session cookie `name` in the order in which they are tried: the whole
/// cookie, then the joined chunks. `None` if the header has neither.
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
