//! Compact JWE -> plaintext (RFC 7516 section 7.1). The only part that imports josekit.
//!
//! josekit splits and decodes the token. What it leaves to chance is decided here: which headers
//! count, which key, and (in [`content`]) that the tag is checked before anything is decrypted.
#![forbid(unsafe_code)]

mod content;
#[cfg(test)]
pub(crate) mod forge;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::LazyLock;

use josekit::jwe::alg::direct::DirectJweAlgorithm;
use josekit::jwe::{JweAlgorithm, JweContentEncryption, JweContext, JweDecrypter, JweHeader, enc, zip};
use josekit::{JoseError, JoseHeader};

use crate::key::{ContentEncryption, Key, Keyring};

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
    context.add_content_encryption(Box::new(content::A256CbcHs512));
    context.add_content_encryption(Box::new(content::A256Gcm));
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
