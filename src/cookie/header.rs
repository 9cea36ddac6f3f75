//! The syntax of a `Cookie` header: pairs of names and values, which may be percent-encoded.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode_str;

/// Splits as the parser of Auth.js does (`@auth/core` `lib/vendored/cookie.js`): a part without `=` is no
/// cookie, and only spaces and tabs are trimmed.
pub fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = memchr_iter(b';', header.as_bytes()).chain([header.len()]);
    let mut start = 0;
    let parts = ends.map(move |end| {
        let part = &header[start..end];
        start = end + 1;
        part
    });
    parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (trim(name), trim(value)))
}

#[inline]
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Raw where decoding fails. A `%` that stays can't be part of a token, so it makes no difference how much of a
/// malformed value is decoded.
#[inline]
pub(super) fn percent_decode(value: &str) -> Cow<'_, str> {
    if memchr(b'%', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    percent_decode_str(value).decode_utf8().unwrap_or(Cow::Borrowed(value))
}
