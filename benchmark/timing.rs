//! Tests whether the time to refuse a token depends on the reason. The method is that of dudect (Reparaz, Balasch and
//! Verbauwhede, "Dude, is my code constant time?", 2017). It opens tokens of two classes in random order, and computes
//! Welch's t of their times: of all, and of those below each of many percentiles.
//!
//!   cargo run --release -p authjs-bridge-benchmark -- timing --measurements=1000000
//!
//! It prints a line of JSON for each pair of classes. For callgrind, `--class=cbc-padding --count=9` opens a token of a class 9
//! times instead.

use std::hint::black_box;
use std::time::Instant;

use authjs_bridge::cookie::CookieName;
use authjs_bridge::crypto::{ContentCipher, ContentEncryption, Issuer, Key, Keyring, Sealed, Secret};
use authjs_bridge::token;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use crate::argument;

const MEASUREMENTS: usize = 2_000_000;
/// Number of tokens that are written to memory before the first of them is timed.
const BATCH: usize = 1000;
const PERCENTILES: i32 = 100;
/// With fewer measurements the test is meaningless (dudect's `ENOUGH_MEASUREMENTS`).
const ENOUGH: f64 = 10_000.0;
/// A typical size of the claims.
const PLAINTEXT_BYTES: usize = 714;
const BLOCK_BYTES: usize = 16;

pub fn main() {
    let secrets = ["newest", "older", "oldest"].map(|name| Secret::new(name.repeat(6)).expect("a secret"));
    let name = CookieName::new("authjs.session-token").expect("a name");
    let keyring = Keyring::new(&secrets, &name, Issuer::AuthJs).expect("derives");
    let open = |token: &str| _ = black_box(token::open(black_box(token), &keyring));

    if let Some((class, count)) = argument("class").zip(argument("count")) {
        // The only token in memory, so that tokens of all classes have the same address.
        let token = token_of(class.trim_end(), &keyring);
        return (0..count.parse().expect("a number")).for_each(|_| open(&token));
    }
    let token = |class: &str| token_of(class, &keyring);
    let right = token("cbc-good");
    let leaky_open = |token: &str| {
        open(token);
        black_box(first_difference(black_box(token), &right));
    };
    let pair = |first, second, open| Comparison::new([first, second], [token(first), token(second)], open);
    let mut comparisons = [
        pair("cbc-tag-start", "cbc-tag-end", &open as &dyn Fn(&str)),
        pair("cbc-tag-start", "cbc-padding", &open),
        pair("cbc-tag-start", "cbc-tag-and-padding", &open),
        pair("gcm-tag-start", "gcm-tag-end", &open),
        pair("cbc-tag-start", "cbc-tag-start-oldest", &open),
        pair("cbc-tag-start", "cbc-good", &open),
        pair("cbc-tag-start", "cbc-tag-end", &leaky_open).leaky(),
    ];
    let measurements = argument("measurements").map_or(MEASUREMENTS, |text| text.parse().expect("a number"));
    // In turns, so that noise affects all comparisons.
    for _ in 0..measurements / BATCH {
        comparisons.iter_mut().for_each(Comparison::measure);
    }
    comparisons.iter().for_each(|comparison| println!("{}", comparison.result()));
}

/// A comparison of tags that is not constant-time: it stops at the first wrong byte.
fn first_difference(token: &str, right: &str) -> Option<usize> {
    let tag = |token: &str| token.rfind('.').expect("a tag");
    token[tag(token)..].bytes().zip(right[tag(right)..].bytes()).position(|(one, other)| one != other)
}

/// Tokens of all classes have the same content and differ only in their defect.
fn token_of(class: &str, keyring: &Keyring) -> String {
    let mut cbc = keyring.candidates(ContentEncryption::A256CbcHs512, None).map(|(_, key)| key);
    let mut gcm = keyring.candidates(ContentEncryption::A256Gcm, None).map(|(_, key)| key);
    let (newest, oldest, gcm) = (cbc.next().expect("a key"), cbc.last().expect("a key"), gcm.next().expect("a key"));
    let right = (BLOCK_BYTES - PLAINTEXT_BYTES % BLOCK_BYTES) as u8;
    match class {
        "cbc-good" => seal_cbc(newest, right, None),
        "cbc-tag-start" => seal_cbc(newest, right, Some(0)),
        "cbc-tag-end" => seal_cbc(newest, right, Some(31)),
        "cbc-padding" => seal_cbc(newest, right + 1, None),
        "cbc-tag-and-padding" => seal_cbc(newest, right + 1, Some(0)),
        "cbc-tag-start-oldest" => seal_cbc(oldest, right, Some(0)),
        "gcm-tag-start" => seal_gcm(gcm, 0),
        "gcm-tag-end" => seal_gcm(gcm, 15),
        other => panic!("unknown class {other}"),
    }
}

/// `padding` is the value of the padding bytes, right or wrong; `damaged` the index of a byte of the tag.
fn seal_cbc(key: &Key, padding: u8, damaged: Option<usize>) -> String {
    let ContentCipher::CbcHs512(cipher) = key.cipher() else { panic!("is no key for CBC") };
    let iv = [7; 16];
    let mut padded = [b' '; PLAINTEXT_BYTES.next_multiple_of(BLOCK_BYTES)];
    padded[PLAINTEXT_BYTES..].fill(padding);
    let ciphertext = cipher.encrypt(&padded, &iv).expect("encrypts");
    let aad = protected_header(key);
    let tag = cipher.tag(&Sealed { aad: aad.as_bytes(), iv: &iv, ciphertext: &ciphertext, tag: &[] });
    compact(&aad, &iv, &ciphertext, tag, damaged)
}

fn seal_gcm(key: &Key, damaged: usize) -> String {
    let (aad, iv) = (protected_header(key), [7; 12]);
    let (ciphertext, tag) = key.cipher().seal(&[b' '; PLAINTEXT_BYTES], &iv, aad.as_bytes()).expect("encrypts");
    compact(&aad, &iv, &ciphertext, tag, Some(damaged))
}

fn protected_header(key: &Key) -> String {
    BASE64URL.encode(format!(r#"{{"alg":"dir","enc":"{}","kid":"{}"}}"#, key.cipher().enc().name(), key.kid()))
}

fn compact(aad: &str, iv: &[u8], ciphertext: &[u8], mut tag: Vec<u8>, damaged: Option<usize>) -> String {
    damaged.into_iter().for_each(|place| tag[place] ^= 0xff);
    format!("{aad}..{}", [iv, ciphertext, &tag].map(|part| BASE64URL.encode(part)).join("."))
}

/// Two classes, and the statistics of their times so far.
struct Comparison<'a> {
    leaky: bool,
    classes: [&'static str; 2],
    tokens: [String; 2],
    open: &'a dyn Fn(&str),
    /// The tokens of a batch. Each place holds tokens of both classes in turn, so that its address favours neither.
    places: Vec<String>,
    /// Limits in ns, with the statistics of the times below each.
    cropped: Vec<(f64, Samples)>,
    /// Squared distances of the times from their mean, for the second-order test.
    spread: Samples,
}

impl<'a> Comparison<'a> {
    fn new(classes: [&'static str; 2], tokens: [String; 2], open: &'a dyn Fn(&str)) -> Self {
        assert_eq!(tokens[0].len(), tokens[1].len());
        let places = vec![tokens[0].clone(); BATCH];
        Self { leaky: false, classes, tokens, open, places, cropped: Vec::new(), spread: Samples::default() }
    }

    fn leaky(self) -> Self {
        Self { leaky: true, ..self }
    }

    /// Measures a batch. The first batch only determines the limits to crop at.
    fn measure(&mut self) {
        let classes: [bool; BATCH] = std::array::from_fn(|_| rand::random());
        for (place, second) in self.places.iter_mut().zip(classes) {
            place.clear();
            place.push_str(&self.tokens[usize::from(second)]);
        }
        let times = self.places.iter().map(|token| {
            let start = Instant::now();
            (self.open)(token);
            start.elapsed().as_nanos() as f64
        });
        let times: Vec<_> = times.collect();
        if self.cropped.is_empty() {
            self.cropped = crops(times);
            return;
        }
        for (time, second) in times.into_iter().zip(classes) {
            let below = self.cropped.iter_mut().filter(|(limit, _)| time < *limit);
            below.for_each(|(_, samples)| samples.add(time, second));
            let mean = self.all().0[usize::from(second)].mean;
            self.spread.add((time - mean).powi(2), second);
        }
    }

    fn all(&self) -> &Samples {
        let (_, all) = self.cropped.last().expect("was measured");
        all
    }

    /// As one JSON object; `t` is the greatest t of all crops.
    fn result(&self) -> Value {
        let samples = self.cropped.iter().map(|(_, samples)| samples).chain([&self.spread]);
        let greatest = samples.filter_map(Samples::t).map(f64::abs).fold(0.0, f64::max);
        let median = &self.cropped[self.cropped.len() / 2].1.0;
        json!({
            "leaky": self.leaky,
            "classes": self.classes,
            "measurements": self.all().0.iter().map(|sample| sample.count).sum::<f64>(),
            "t": greatest,
            "differenceNs": median[1].mean - median[0].mean,
            "ns": median[0].mean,
        })
    }
}

/// The limits at which dudect crops: percentiles that get denser towards the slowest times, which are mostly noise, and
/// infinity.
fn crops(mut times: Vec<f64>) -> Vec<(f64, Samples)> {
    times.sort_by(f64::total_cmp);
    let percentile = |number| 1.0 - 0.5_f64.powf(f64::from(10 * number) / f64::from(PERCENTILES));
    let limits = (1..=PERCENTILES).map(|number| times[(percentile(number) * BATCH as f64) as usize]);
    limits.chain([f64::INFINITY]).map(|limit| (limit, Samples::default())).collect()
}

/// The times of both classes.
#[derive(Default)]
struct Samples([Sample; 2]);

/// Running mean and variance (Welford's algorithm).
#[derive(Default)]
struct Sample {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Samples {
    fn add(&mut self, time: f64, second: bool) {
        let sample = &mut self.0[usize::from(second)];
        sample.count += 1.0;
        let difference = time - sample.mean;
        sample.mean += difference / sample.count;
        sample.squares += difference * (time - sample.mean);
    }

    /// Welch's t; `None` with fewer than [`ENOUGH`] measurements.
    fn t(&self) -> Option<f64> {
        let [first, second] = &self.0;
        let error = |sample: &Sample| sample.squares / (sample.count - 1.0) / sample.count;
        let is_enough = first.count + second.count >= ENOUGH;
        is_enough.then(|| (first.mean - second.mean) / (error(first) + error(second)).sqrt())
    }
}
