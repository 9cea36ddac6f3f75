//! The chunk rule: a cookie that is too long for browsers is cut into `name.0`, `name.1`, ...
//! (`@auth/core` `lib/utils/cookie.js`, `SessionStore`).
#![forbid(unsafe_code)]

use std::collections::{HashSet, VecDeque};

use super::header::percent_decode;

/// The chunks of one name that a header holds.
#[derive(Default)]
pub(super) struct Chunks<'h> {
    /// In the order of the header.
    found: Vec<Chunk<'h>>,
}

/// Its index, and its value.
type Chunk<'h> = (u16, &'h str);

impl<'h> Chunks<'h> {
    /// `suffix` is what follows the cookie's name. A suffix that only looks like a chunk's is passed over.
    #[inline]
    pub(super) fn add(&mut self, suffix: &str, value: &'h str) {
        if let Some(index) = suffix.strip_prefix('.').and_then(chunk_index) {
            self.found.push((index, value));
        }
    }

    /// Without chunk 0 the others don't count.
    pub(super) fn has_first(&self) -> bool {
        self.found.iter().any(|(index, _)| *index == 0)
    }

    /// Ascending, each once.
    pub(super) fn indices(&self) -> Vec<u16> {
        let mut indices: Vec<_> = self.found.iter().map(|(index, _)| *index).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// The first chunks, joined: at most `count`, and up to the first gap. Of equal indices the first counts.
    pub(super) fn join(&self, count: usize) -> String {
        let mut chunks = self.sorted();
        chunks.dedup_by_key(|(index, _)| *index);
        join(chunks.into_iter().take(count))
    }

    /// The tokens that the chunks can stand for. A header that has an index twice holds the chunks of several
    /// cookies, as of two domains, and doesn't say which belong together. A wrong guess does no harm, since it
    /// doesn't open.
    pub(super) fn tokens(&self) -> Vec<String> {
        if !self.has_first() {
            return Vec::new();
        }
        let chunks = self.sorted();
        if chunks.windows(2).all(|pair| pair[0].0 != pair[1].0) {
            return vec![join(chunks.into_iter())];
        }
        let guesses = [self.runs(), deal(&chunks, VecDeque::pop_front), deal(&chunks, VecDeque::pop_back)];
        without_duplicates(guesses.concat())
    }

    /// Browsers send cookies of one path in the order in which they were made. So the next cookie begins where the
    /// index does not grow.
    fn runs(&self) -> Vec<String> {
        let runs = self.found.chunk_by(|(index, _), (next, _)| index < next);
        runs.filter(|run| run[0].0 == 0).map(|run| join(run.iter().copied())).collect()
    }

    /// A stable sort keeps the order of equal indices.
    fn sorted(&self) -> Vec<Chunk<'h>> {
        let mut chunks = self.found.clone();
        chunks.sort_by_key(|(index, _)| *index);
        chunks
    }
}

fn without_duplicates(tokens: Vec<String>) -> Vec<String> {
    let mut known = HashSet::new();
    let is_new: Vec<_> = tokens.iter().map(|token| known.insert(token.as_str())).collect();
    tokens.into_iter().zip(is_new).filter_map(|(token, is_new)| is_new.then_some(token)).collect()
}

/// The first token gets the first of each index, or the last with `pop_back`, and so on; a token ends at the first
/// index that has none left. `chunks` are sorted.
fn deal<'h>(chunks: &[Chunk<'h>], pop: fn(&mut VecDeque<Chunk<'h>>) -> Option<Chunk<'h>>) -> Vec<String> {
    let mut stacks: Vec<VecDeque<Chunk>> =
        chunks.chunk_by(|(index, _), (next, _)| index == next).map(|equal| equal.iter().copied().collect()).collect();
    let tokens = stacks[0].len();
    (0..tokens).map(|_| join(stacks.iter_mut().map_while(pop))).collect()
}

/// Up to the first gap. `chunks` ascend.
fn join<'h>(chunks: impl Iterator<Item = Chunk<'h>>) -> String {
    let up_to_gap = chunks.zip(0..).take_while(|((index, _), place)| usize::from(*index) == *place);
    up_to_gap.map(|((_, chunk), _)| percent_decode(chunk)).collect()
}

/// `0`, `1`, ... as Auth.js writes them: decimal without leading zeros.
#[inline]
pub fn chunk_index(digits: &str) -> Option<u16> {
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(chunks: &[(u16, &'static str)]) -> Vec<String> {
        Chunks { found: chunks.to_vec() }.tokens()
    }

    #[test]
    fn chunks_of_two_cookies_are_told_apart() {
        for (case, chunks, expected) in [
            ("one after the other", &[(0_u16, "a"), (1, "b"), (0, "x"), (1, "y")] as &[_], ["ab", "xy"]),
            ("the longer one first", &[(0, "a"), (1, "b"), (2, "c"), (0, "x"), (1, "y")], ["abc", "xy"]),
            ("the longer one last", &[(0, "x"), (1, "y"), (0, "a"), (1, "b"), (2, "c")], ["abc", "xy"]),
            ("the first one grew later", &[(0, "a"), (1, "b"), (0, "x"), (1, "y"), (2, "c")], ["abc", "xy"]),
            ("by index", &[(0, "a"), (0, "x"), (1, "b"), (1, "y")], ["ab", "xy"]),
            ("backwards", &[(1, "b"), (0, "a"), (1, "y"), (0, "x")], ["ab", "xy"]),
            ("one chunk each", &[(0, "a"), (0, "x")], ["a", "x"]),
        ] {
            let found = tokens(chunks);
            for token in expected {
                assert!(found.iter().any(|found| found == token), "{case}: {token} in {found:?}");
            }
        }
    }

    #[test]
    fn equal_guesses_are_one() {
        assert_eq!(tokens(&[(0, "a"), (1, "b")]), ["ab"]);
        assert_eq!(tokens(&[(0, "a"), (1, "b"), (0, "a"), (1, "b")]), ["ab"]);
        assert_eq!(tokens(&[(1, "b"), (1, "y")]), Vec::<String>::new(), "without chunk 0");
    }
}
