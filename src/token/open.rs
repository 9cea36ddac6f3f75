//! Compact JWE -> plaintext.
//!
//! josekit parses the protected header. This module decides which headers are accepted and which keys are tried.
//! [`crate::crypto`] decrypts, and only after it has checked the tag.
#![forbid(unsafe_code)]

use std::fmt;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use base64::{DecodeSliceError, Engine};
use josekit::JoseHeader;
use josekit::jwe::JweHeader;
use memchr::memchr_iter;

use crate::crypto::{ContentEncryption, Key, Keyring, Sealed, ShortKid};
use crate::redacted::redacted;

/// The longest protected header that is read, in base64url. Auth.js writes fewer than 200 bytes.
pub const MAX_PROTECTED_HEADER_BYTES: usize = 2048;

/// Why a token was not opened. Of the token, it holds only a part of its `kid`.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a compact JWE")]
    Malformed,
    /// Which of [`WATCHED_FIELDS`].
    #[error("{} is not what Auth.js writes", .0.join(", "))]
    UnsupportedHeader(Vec<&'static str>),
    #[error("kid names none of the secrets")]
    NoMatchingSecret { enc: ContentEncryption, kid: Option<ShortKid> },
    /// One reason for all failures from the tag check on, so that bad padding can't be told from a bad tag.
    #[error("cannot be decrypted")]
    Undecryptable,
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a token holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    pub plaintext: Vec<u8>,
    /// The secret whose key opened it: its place in the rotation list.
    pub secret: usize,
}

redacted!(Opened);

/// The plaintext of `token`, if one of the keys opens it.
pub fn open(token: &str, keyring: &Keyring) -> Result<Opened, TokenError> {
    let parts = Parts::decode(token).ok_or(TokenError::Malformed)?;
    // A header spelled exactly as the issuer writes it needs no parsing.
    if let Some(keys) = keyring.issued_candidates(parts.header) {
        return parts.open(keys);
    }
    let header = parts.read_header().ok_or(TokenError::Malformed)?;
    let enc = supported_enc(&header)?;
    let mut candidates = keyring.candidates(enc, header.key_id()).peekable();
    if candidates.peek().is_none() {
        return Err(TokenError::NoMatchingSecret { enc, kid: header.key_id().and_then(ShortKid::of) });
    }
    parts.open(candidates)
}

/// The five parts of a token, all decoded but the header.
struct Parts<'t> {
    /// In base64url, which is what the tag covers.
    header: &'t str,
    encrypted_key: Vec<u8>,
    iv: ShortBytes<{ ContentEncryption::MAX_IV_BYTES }>,
    ciphertext: Vec<u8>,
    tag: ShortBytes<{ ContentEncryption::MAX_TAG_BYTES }>,
}

impl<'t> Parts<'t> {
    /// `None` unless there are five parts of base64url.
    fn decode(token: &'t str) -> Option<Self> {
        let mut dots = memchr_iter(b'.', token.as_bytes());
        let [first, second, third, fourth] = [dots.next()?, dots.next()?, dots.next()?, dots.next()?];
        if dots.next().is_some() {
            return None;
        }
        Some(Self {
            header: &token[..first],
            encrypted_key: BASE64_URL_SAFE_NO_PAD.decode(&token[first + 1..second]).ok()?,
            iv: ShortBytes::decode(&token[second + 1..third])?,
            ciphertext: BASE64_URL_SAFE_NO_PAD.decode(&token[third + 1..fourth]).ok()?,
            tag: ShortBytes::decode(&token[fourth + 1..])?,
        })
    }

    fn read_header(&self) -> Option<JweHeader> {
        if self.header.len() > MAX_PROTECTED_HEADER_BYTES {
            return None;
        }
        JweHeader::from_bytes(&BASE64_URL_SAFE_NO_PAD.decode(self.header).ok()?).ok()
    }

    /// `alg` is `dir` (RFC 7518 section 4.5), so the encrypted key must be empty.
    fn open<'k>(&self, mut candidates: impl Iterator<Item = (usize, &'k Key)>) -> Result<Opened, TokenError> {
        if !self.encrypted_key.is_empty() {
            return Err(TokenError::Undecryptable);
        }
        let (aad, iv, tag) = (self.header.as_bytes(), self.iv.as_bytes(), self.tag.as_bytes());
        let sealed = Sealed { aad, iv, ciphertext: &self.ciphertext, tag };
        let open = |(secret, key): (usize, &Key)| Some(Opened { plaintext: key.cipher().open(&sealed).ok()?, secret });
        candidates.find_map(open).ok_or(TokenError::Undecryptable)
    }
}

/// A decoded IV or tag of at most `N` bytes, kept without an allocation.
struct ShortBytes<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> ShortBytes<N> {
    fn decode(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(length) => Some(Self { bytes, length }),
            // Too long for any supported `enc`. It is refused later, because the length 0 is wrong as well.
            Err(DecodeSliceError::OutputSliceTooSmall) => Some(Self { bytes, length: 0 }),
            Err(DecodeSliceError::DecodeError(_)) => None,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Header fields that change what a token means. `iss`, `sub` and `aud` would have to equal the claims of the
/// same name (RFC 7519 section 5.3).
pub const WATCHED_FIELDS: [&str; 7] = ["alg", "enc", "crit", "zip", "iss", "sub", "aud"];

fn supported_enc(header: &JweHeader) -> Result<ContentEncryption, TokenError> {
    let enc = header.content_encryption().and_then(ContentEncryption::from_name);
    let is_odd = |name: &&str| match *name {
        "alg" => header.algorithm() != Some("dir"),
        "enc" => enc.is_none(),
        absent => header.claim(absent).is_some(),
    };
    let odd: Vec<_> = WATCHED_FIELDS.into_iter().filter(is_odd).collect();
    match enc {
        Some(enc) if odd.is_empty() => Ok(enc),
        _ => Err(TokenError::UnsupportedHeader(odd)),
    }
}
