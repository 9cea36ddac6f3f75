//! Compact JWE -> plaintext (RFC 7516 section 7.1). The only part that imports josekit.
//!
//! josekit splits and decodes the token. What it leaves to chance is decided here: which headers
//! count, which key, and (in [`crate::cipher`]) that the tag is checked before anything is decrypted.
//!
//! A token whose header stands as Auth.js writes it needs none of that: see [`Familiar`].
#![forbid(unsafe_code)]

mod content;
#[cfg(test)]
pub(crate) mod forge;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use josekit::jwe::alg::direct::DirectJweAlgorithm;
use josekit::jwe::{JweAlgorithm, JweContentEncryption, JweContext, JweDecrypter, JweHeader, enc, zip};
use josekit::{JoseError, JoseHeader};
use memchr::memchr_iter;

use crate::cipher::{ContentEncryption, Sealed};
use crate::key::{Key, Keyring};

/// Why a token was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a compact JWE")]
    Malformed,
    /// Which of `alg`, `enc`, `crit` and `zip` it is.
    #[error("{} is not what Auth.js writes", .0.join(", "))]
    UnsupportedHeader(Vec<&'static str>),
    /// `kid` is the client's word: any text.
    #[error("kid names none of the secrets")]
    NoMatchingSecret { enc: ContentEncryption, kid: Option<String> },
    /// One reason for everything from the tag on, so that nobody can tell padding from tag.
    #[error("cannot be decrypted")]
    Undecryptable,
}

/// The plaintext of `token`, when one of the keys opens it.
pub fn open(token: &str, keyring: &Keyring) -> Result<Vec<u8>, TokenError> {
    match Familiar::parse(token, keyring) {
        Some(familiar) => familiar.open(),
        None => open_framed(token, keyring),
    }
}

/// A whole token with a header that is known by heart, byte for byte: nothing in it has to be
/// understood again. It takes a third of the time, and has the outcome that josekit's framing has.
struct Familiar<'t> {
    header: &'t str,
    iv: Part<{ MAX_IV_BYTES }>,
    ciphertext: Vec<u8>,
    tag: Part<{ MAX_TAG_BYTES }>,
    candidates: &'t [Key],
}

impl<'t> Familiar<'t> {
    /// `None` for what is not of this form, good or bad.
    fn parse(token: &'t str, keyring: &'t Keyring) -> Option<Self> {
        let mut dots = memchr_iter(b'.', token.as_bytes());
        let [first, second, third, fourth] = [dots.next()?, dots.next()?, dots.next()?, dots.next()?];
        let header = &token[..first];
        let candidates = keyring.familiar_candidates(header)?;
        if second != first + 1 || dots.next().is_some() {
            return None;
        }
        Some(Self {
            header,
            iv: Part::decode(&token[second + 1..third])?,
            ciphertext: BASE64_URL_SAFE_NO_PAD.decode(&token[third + 1..fourth]).ok()?,
            tag: Part::decode(&token[fourth + 1..])?,
            candidates,
        })
    }

    fn open(&self) -> Result<Vec<u8>, TokenError> {
        let (iv, tag) = (self.iv.as_bytes(), self.tag.as_bytes());
        let sealed = Sealed { aad: self.header.as_bytes(), iv, ciphertext: &self.ciphertext, tag };
        let opened = self.candidates.iter().find_map(|key| key.cipher().open(&sealed).ok());
        opened.ok_or(TokenError::Undecryptable)
    }
}

const MAX_IV_BYTES: usize = 16;
const MAX_TAG_BYTES: usize = 32;

/// A decoded part of at most `N` bytes.
struct Part<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Part<N> {
    fn decode(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        Some(Self { bytes, length })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Any other token, by josekit.
fn open_framed(token: &str, keyring: &Keyring) -> Result<Vec<u8>, TokenError> {
    let mut candidate = 0;
    loop {
        match open_with_candidate(token, keyring, candidate) {
            Ok(plaintext) => return Ok(plaintext),
            Err(Refusal { is_last: false, .. }) => candidate += 1,
            Err(Refusal { reason, .. }) => return Err(reason),
        }
    }
}

struct Refusal {
    reason: TokenError,
    /// Whether no other key may open the token.
    is_last: bool,
}

/// josekit with our content encryption for the two values of `enc`, and with nothing else: no
/// other `enc`, no compression, no critical header.
static CONTEXT: LazyLock<JweContext> = LazyLock::new(|| {
    let mut context = JweContext::new();
    for unused in [enc::A128CBC_HS256.name(), enc::A192CBC_HS384.name(), enc::A128GCM.name(), enc::A192GCM.name()] {
        context.remove_content_encryption(unused);
    }
    context.remove_compression(zip::Def.name());
    context.add_content_encryption(Box::new(ContentEncryption::A256CbcHs512));
    context.add_content_encryption(Box::new(ContentEncryption::A256Gcm));
    context
});

fn open_with_candidate(token: &str, keyring: &Keyring, nth: usize) -> Result<Vec<u8>, Refusal> {
    let refusal = Cell::new(Refusal { reason: TokenError::Malformed, is_last: true });
    let opened = CONTEXT.deserialize_compact_with_selector(token, |header| {
        let enc = match supported(header) {
            Ok(enc) => enc,
            Err(reason) => {
                refusal.set(Refusal { reason, is_last: true });
                return Ok(None);
            }
        };
        let mut candidates = keyring.candidates(enc, header.key_id()).skip(nth);
        let key = candidates.next();
        refusal.set(Refusal {
            reason: match key {
                Some(_) => TokenError::Undecryptable,
                None => TokenError::NoMatchingSecret { enc, kid: header.key_id().map(str::to_owned) },
            },
            is_last: candidates.next().is_none(),
        });
        Ok(key.map(|key| key as &dyn JweDecrypter))
    });
    opened.map(|(plaintext, _header)| plaintext).map_err(|_| refusal.into_inner())
}

fn supported(header: &JweHeader) -> Result<ContentEncryption, TokenError> {
    let enc = header.content_encryption().and_then(ContentEncryption::from_name);
    let odd: Vec<_> = [
        ("alg", header.algorithm() != Some(DirectJweAlgorithm::Dir.name())),
        ("enc", enc.is_none()),
        ("crit", header.claim("crit").is_some()),
        ("zip", header.claim("zip").is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_odd)| is_odd.then_some(name))
    .collect();
    match enc {
        Some(enc) if odd.is_empty() => Ok(enc),
        _ => Err(TokenError::UnsupportedHeader(odd)),
    }
}

/// `alg` is `dir` (RFC 7518 section 4.5): the key is the content encryption key, and the token's
/// encrypted key is empty.
impl JweDecrypter for Key {
    fn algorithm(&self) -> &dyn JweAlgorithm {
        &DirectJweAlgorithm::Dir
    }

    /// `None`, else josekit would refuse a token that has no `kid`.
    fn key_id(&self) -> Option<&str> {
        None
    }

    fn decrypt(
        &self,
        encrypted_key: Option<&[u8]>,
        _content_encryption: &dyn JweContentEncryption,
        _header: &JweHeader,
    ) -> Result<Cow<'_, [u8]>, JoseError> {
        match encrypted_key {
            None => Ok(Cow::Borrowed(self.as_bytes())),
            Some(_) => Err(refused()),
        }
    }

    fn box_clone(&self) -> Box<dyn JweDecrypter> {
        Box::new(self.clone())
    }
}

/// The one josekit error that our code gives, whatever the cause.
fn refused() -> JoseError {
    JoseError::InvalidJweFormat(TokenError::Undecryptable.into())
}
