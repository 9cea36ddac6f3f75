//! `A256GCM`: AES-256-GCM (RFC 7518 section 5.3).
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use super::{Sealed, Undecryptable, exactly};

pub struct Gcm {
    key: Zeroizing<Vec<u8>>,
}

impl Gcm {
    pub const IV_BYTES: usize = 12;
    pub const TAG_BYTES: usize = 16;

    pub(super) fn new(key: &[u8]) -> Self {
        Self { key: Zeroizing::new(key.to_vec()) }
    }

    /// OpenSSL returns the plaintext only if the tag is right.
    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
        let iv = exactly::<{ Self::IV_BYTES }>(sealed.iv)?;
        let tag = exactly::<{ Self::TAG_BYTES }>(sealed.tag)?;
        decrypt_aead(Cipher::aes_256_gcm(), &self.key, Some(iv), sealed.aad, sealed.ciphertext, tag)
            .map_err(|_| Undecryptable)
    }

    /// The ciphertext and its tag.
    pub fn seal(&self, plaintext: &[u8], iv: &[u8], aad: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let mut tag = vec![0; Self::TAG_BYTES];
        let ciphertext = encrypt_aead(Cipher::aes_256_gcm(), &self.key, Some(iv), aad, plaintext, &mut tag)?;
        Ok((ciphertext, tag))
    }
}
