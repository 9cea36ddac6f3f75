//! The oracle for `Cookie` headers: a second, simple parser.

use percent_encoding::percent_decode_str;

const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The possible tokens of the session cookie `name` in the order in which they are tried: each whole cookie, then
/// what the chunks may be joined to. `None` if the header has neither a whole cookie nor a first chunk.
pub fn readings(name: &str, header: &str) -> Option<Vec<String>> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    let pairs = header.split(';').filter_map(|part| part.split_once('='));
    let cookies: Vec<_> = pairs.map(|(name, value)| (trim(name), decode(&trim(value)))).collect();
    let mut readings: Vec<_> =
        cookies.iter().filter(|(cookie, _)| cookie == name).map(|(_, value)| value.clone()).collect();
    let chunks = cookies.iter().filter_map(|(cookie, value)| {
        let index: u16 = cookie.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
        (*cookie == format!("{name}.{index}")).then_some((index, value.as_str()))
    });
    readings.extend(join_chunks(&chunks.collect::<Vec<_>>()));
    (!readings.is_empty()).then_some(readings)
}

/// If an index occurs twice, three guesses which chunks belong together: runs of growing indices; the first of each
/// index, then the second, and so on; the same from the last.
fn join_chunks(chunks: &[(u16, &str)]) -> Vec<String> {
    let of = |index: u16| chunks.iter().filter(move |chunk| chunk.0 == index).copied();
    let firsts = of(0).count();
    let is_unique = chunks.iter().all(|(index, _)| of(*index).count() == 1);
    let mut guesses: Vec<Vec<(u16, &str)>> = Vec::new();
    if is_unique {
        guesses.extend((firsts == 1).then(|| (0..).map_while(|index| of(index).next()).collect()));
    } else {
        guesses.extend(chunks.chunk_by(|one, next| one.0 < next.0).map(<[_]>::to_vec));
        for nth in 0..firsts {
            guesses.push((0..).map_while(|index| of(index).nth(nth)).collect());
        }
        for nth in 0..firsts {
            guesses.push((0..).map_while(|index| of(index).rev().nth(nth)).collect());
        }
    }
    let mut tokens = Vec::new();
    for guess in guesses {
        let up_to_gap = guess.iter().zip(0..).take_while(|(chunk, place)| chunk.0 == *place);
        let token: String = up_to_gap.map(|(chunk, _)| chunk.1).collect();
        let has_first = guess.first().is_some_and(|chunk| chunk.0 == 0);
        if has_first && !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    if firsts == 0 { Vec::new() } else { tokens }
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), |decoded| decoded.into_owned())
}
