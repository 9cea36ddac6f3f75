//! Chunks: Auth.js splits a cookie that is too long for browsers into `name.0`, `name.1`, ...
//! (`@auth/core` `lib/utils/cookie.js`, `SessionStore`).
#![forbid(unsafe_code)]

use super::header::percent_decode;

/// The chunks of one cookie that a header holds.
#[derive(Default)]
pub(super) struct Chunks<'h> {
    /// Indices and values; in ascending order after [`Self::sort`].
    by_index: Vec<(u16, &'h str)>,
}

impl<'h> Chunks<'h> {
    /// `suffix` is what follows the cookie's name. It is ignored unless it is that of a chunk.
    #[inline]
    pub(super) fn add(&mut self, suffix: &str, value: &'h str) {
        if let Some(index) = suffix.strip_prefix('.').and_then(chunk_index) {
            self.by_index.push((index, value));
        }
    }

    /// If an index occurs twice, the first in the header is kept.
    #[inline]
    pub(super) fn sort(&mut self) {
        // A stable sort keeps the order of equal indices.
        self.by_index.sort_by_key(|(index, _)| *index);
        self.by_index.dedup_by_key(|(index, _)| *index);
    }

    /// In ascending order.
    pub(super) fn indices(&self) -> impl Iterator<Item = u16> {
        self.by_index.iter().map(|(index, _)| *index)
    }

    /// Without chunk 0 the other chunks are ignored.
    #[inline]
    pub(super) fn has_first(&self) -> bool {
        self.indices().next() == Some(0)
    }

    /// The first chunks, joined: at most `count`, and up to the first gap.
    #[inline]
    pub(super) fn join(&self, count: usize) -> String {
        let up_to_gap = self.by_index.iter().zip(0..).take_while(|((index, _), place)| usize::from(*index) == *place);
        up_to_gap.take(count).map(|((_, chunk), _)| percent_decode(chunk)).collect()
    }
}

/// `0`, `1`, ... as Auth.js writes them: decimal without leading zeros.
#[inline]
pub fn chunk_index(digits: &str) -> Option<u16> {
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}
