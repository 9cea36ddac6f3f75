//! Key derivation and content encryption of Auth.js.
//!
//! [`key`] derives a key from a secret, [`keyring`] holds the keys of one cookie, [`ContentCipher`] opens and seals with
//! a key. Opening is strict: exact lengths, the tag compared in constant time and before anything
//! is decrypted, and one error for every failure, which takes the same time whatever is wrong.
#![forbid(unsafe_code)]

mod cbc_hs512;
mod gcm;
mod hmac;
mod issuer;
mod key;
mod keyring;

use openssl::error::ErrorStack;

#[cfg(test)]
pub(crate) use self::cbc_hs512::CBC_DECRYPTED;
pub use self::cbc_hs512::CbcHs512;
pub use self::gcm::Gcm;
pub use self::issuer::Issuer;
pub use self::key::{Key, Secret, ShortKid, derive};
pub use self::keyring::Keyring;
use crate::redacted::redacted;

/// The two values of `enc` that are supported (RFC 7518 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncryption {
    /// `A256CBC-HS512`: what Auth.js v5 writes.
    A256CbcHs512,
    /// `A256GCM`: what NextAuth v4 writes; Auth.js v5 reads it, too.
    A256Gcm,
}

impl ContentEncryption {
    pub fn from_name(enc: &str) -> Option<Self> {
        [Self::A256CbcHs512, Self::A256Gcm].into_iter().find(|known| known.name() == enc)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A256Gcm => "A256GCM",
        }
    }

    pub const fn key_bytes(self) -> usize {
        match self {
            Self::A256CbcHs512 => 64,
            Self::A256Gcm => 32,
        }
    }

    /// The longer IV and the longer tag of the two.
    pub const MAX_IV_BYTES: usize = CbcHs512::IV_BYTES;
    pub const MAX_TAG_BYTES: usize = CbcHs512::TAG_BYTES;

    pub const fn iv_bytes(self) -> usize {
        match self {
            Self::A256CbcHs512 => CbcHs512::IV_BYTES,
            Self::A256Gcm => Gcm::IV_BYTES,
        }
    }
}

/// The parts of a token that are needed to open it.
pub struct Sealed<'t> {
    /// Additional authenticated data: the protected header in base64url.
    pub aad: &'t [u8],
    pub iv: &'t [u8],
    pub ciphertext: &'t [u8],
    pub tag: &'t [u8],
}

/// The one failure of opening, whatever its cause.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecryptable;

/// A key that is set up for its content encryption. Wiped on drop; OpenSSL wipes its own copies. The stack of
/// a call is not wiped: the next call overwrites it.
pub enum ContentCipher {
    CbcHs512(Box<CbcHs512>),
    Gcm(Gcm),
}

redacted!(ContentCipher);

impl ContentCipher {
    /// # Errors
    /// When OpenSSL fails, or the key doesn't have [`ContentEncryption::key_bytes`].
    pub fn new(enc: ContentEncryption, key: &[u8]) -> Result<Self, ErrorStack> {
        if key.len() != enc.key_bytes() {
            return Err(ErrorStack::get());
        }
        Ok(match enc {
            ContentEncryption::A256CbcHs512 => Self::CbcHs512(Box::new(CbcHs512::new(key)?)),
            ContentEncryption::A256Gcm => Self::Gcm(Gcm::new(key)),
        })
    }

    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
        match self {
            Self::CbcHs512(cipher) => cipher.open(sealed),
            Self::Gcm(cipher) => cipher.open(sealed),
        }
    }

    /// The ciphertext and its tag. `iv` must be random, of [`ContentEncryption::iv_bytes`].
    pub fn seal(&self, plaintext: &[u8], iv: &[u8], aad: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        match self {
            Self::CbcHs512(cipher) => cipher.seal(plaintext, iv, aad),
            Self::Gcm(cipher) => cipher.seal(plaintext, iv, aad),
        }
    }

    pub fn enc(&self) -> ContentEncryption {
        match self {
            Self::CbcHs512(_) => ContentEncryption::A256CbcHs512,
            Self::Gcm(_) => ContentEncryption::A256Gcm,
        }
    }
}

fn exactly<const N: usize>(part: &[u8]) -> Result<&[u8; N], Undecryptable> {
    part.try_into().map_err(|_| Undecryptable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cipher(enc: ContentEncryption) -> ContentCipher {
        ContentCipher::new(enc, &vec![1; enc.key_bytes()]).expect("sets up")
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for (enc, bytes) in [(ContentEncryption::A256CbcHs512, 32), (ContentEncryption::A256Gcm, 64)] {
            assert!(ContentCipher::new(enc, &vec![0; bytes]).is_err(), "{enc:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same_bytes(plaintext: Vec<u8>, aad: Vec<u8>, byte: u8) {
            for enc in [ContentEncryption::A256CbcHs512, ContentEncryption::A256Gcm] {
                let iv = vec![byte; enc.iv_bytes()];
                let (ciphertext, tag) = cipher(enc).seal(&plaintext, &iv, &aad).expect("seals");
                let sealed = |aad| Sealed { aad, iv: &iv, ciphertext: &ciphertext, tag: &tag };
                prop_assert_eq!(cipher(enc).open(&sealed(&aad)), Ok(plaintext.clone()));
                let other_aad = [aad.as_slice(), b"x"].concat();
                prop_assert_eq!(cipher(enc).open(&sealed(&other_aad)), Err(Undecryptable));
            }
        }
    }
}
