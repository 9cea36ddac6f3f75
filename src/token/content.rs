//! The content encryption of the two `enc` values, decryption only: tag first, in constant time,
//! over exact lengths, and one error for every failure.
#![forbid(unsafe_code)]

use josekit::JoseError;
use josekit::jwe::JweContentEncryption;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{self, Cipher};

use super::refused;
use crate::key::ContentEncryption;

/// AES-256-CBC with HMAC-SHA-512 (RFC 7518 section 5.2.5).
#[derive(Clone, Debug)]
pub(super) struct A256CbcHs512;

impl A256CbcHs512 {
    const MAC_KEY_BYTES: usize = 32;
    const IV_BYTES: usize = 16;
    const TAG_BYTES: usize = 32;
}

impl JweContentEncryption for A256CbcHs512 {
    fn name(&self) -> &str {
        "A256CBC-HS512"
    }

    fn key_len(&self) -> usize {
        ContentEncryption::A256CbcHs512.key_bytes()
    }

    fn iv_len(&self) -> usize {
        Self::IV_BYTES
    }

    fn encrypt(&self, _: &[u8], _: Option<&[u8]>, _: &[u8], _: &[u8]) -> Encrypted {
        Err(refused())
    }

    fn decrypt(
        &self,
        key: &[u8],
        iv: Option<&[u8]>,
        ciphertext: &[u8],
        aad: &[u8],
        tag: Option<&[u8]>,
    ) -> Result<Vec<u8>, JoseError> {
        let (mac_key, encryption_key) = key.split_at_checked(Self::MAC_KEY_BYTES).ok_or_else(refused)?;
        let iv = exactly::<{ Self::IV_BYTES }>(iv)?;
        let tag = exactly::<{ Self::TAG_BYTES }>(tag)?;
        Authentic::check(mac_key, iv, ciphertext, aad, tag)?.decrypt_cbc(encryption_key, iv)
    }

    fn box_clone(&self) -> Box<dyn JweContentEncryption> {
        Box::new(self.clone())
    }
}

/// AES-256-GCM (RFC 7518 section 5.3). OpenSSL gives out the plaintext only if the tag is right.
#[derive(Clone, Debug)]
pub(super) struct A256Gcm;

impl A256Gcm {
    const IV_BYTES: usize = 12;
    const TAG_BYTES: usize = 16;
}

impl JweContentEncryption for A256Gcm {
    fn name(&self) -> &str {
        "A256GCM"
    }

    fn key_len(&self) -> usize {
        ContentEncryption::A256Gcm.key_bytes()
    }

    fn iv_len(&self) -> usize {
        Self::IV_BYTES
    }

    fn encrypt(&self, _: &[u8], _: Option<&[u8]>, _: &[u8], _: &[u8]) -> Encrypted {
        Err(refused())
    }

    fn decrypt(
        &self,
        key: &[u8],
        iv: Option<&[u8]>,
        ciphertext: &[u8],
        aad: &[u8],
        tag: Option<&[u8]>,
    ) -> Result<Vec<u8>, JoseError> {
        let iv = exactly::<{ Self::IV_BYTES }>(iv)?;
        let tag = exactly::<{ Self::TAG_BYTES }>(tag)?;
        symm::decrypt_aead(Cipher::aes_256_gcm(), key, Some(iv), aad, ciphertext, tag).map_err(|_| refused())
    }

    fn box_clone(&self) -> Box<dyn JweContentEncryption> {
        Box::new(self.clone())
    }
}

/// Ciphertext and tag; the addon only reads, so it is never made.
type Encrypted = Result<(Vec<u8>, Option<Vec<u8>>), JoseError>;

/// Ciphertext whose tag was found right. Made by [`Authentic::check`] alone, and CBC is
/// decrypted nowhere else.
struct Authentic<'a>(&'a [u8]);

impl<'a> Authentic<'a> {
    fn check(
        mac_key: &[u8],
        iv: &[u8],
        ciphertext: &'a [u8],
        aad: &[u8],
        tag: &[u8; A256CbcHs512::TAG_BYTES],
    ) -> Result<Self, JoseError> {
        let mac = hmac_sha512(mac_key, [aad, iv, ciphertext, &bit_length(aad)]).map_err(|_| refused())?;
        let expected = mac.first_chunk::<{ A256CbcHs512::TAG_BYTES }>();
        match expected {
            Some(expected) if memcmp::eq(expected, tag) => Ok(Self(ciphertext)),
            _ => Err(refused()),
        }
    }

    fn decrypt_cbc(self, key: &[u8], iv: &[u8]) -> Result<Vec<u8>, JoseError> {
        #[cfg(test)]
        CBC_DECRYPTIONS.set(CBC_DECRYPTIONS.get() + 1);
        symm::decrypt(Cipher::aes_256_cbc(), key, Some(iv), self.0).map_err(|_| refused())
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has decrypted CBC.
    pub(super) static CBC_DECRYPTIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn hmac_sha512(key: &[u8], parts: [&[u8]; 4]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha512(), &key)?;
    for part in parts {
        signer.update(part)?;
    }
    signer.sign_to_vec()
}

/// AL of RFC 7518 section 5.2.2.1.
fn bit_length(aad: &[u8]) -> [u8; 8] {
    (aad.len() as u64 * 8).to_be_bytes()
}

fn exactly<const N: usize>(part: Option<&[u8]>) -> Result<&[u8; N], JoseError> {
    part.and_then(|bytes| bytes.try_into().ok()).ok_or_else(refused)
}
