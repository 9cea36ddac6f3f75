//! Our content encryption for josekit; it only reads.
#![forbid(unsafe_code)]

use josekit::JoseError;
use josekit::jwe::JweContentEncryption;

use super::refused;
use crate::cipher::{ContentCipher, ContentEncryption, Sealed};

impl JweContentEncryption for ContentEncryption {
    fn name(&self) -> &str {
        (*self).name()
    }

    fn key_len(&self) -> usize {
        self.key_bytes()
    }

    fn iv_len(&self) -> usize {
        self.iv_bytes()
    }

    fn encrypt(&self, _: &[u8], _: Option<&[u8]>, _: &[u8], _: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), JoseError> {
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
        let sealed = Sealed { aad, iv: iv.unwrap_or_default(), ciphertext, tag: tag.unwrap_or_default() };
        let cipher = ContentCipher::new(*self, key).map_err(|_| refused())?;
        cipher.open(&sealed).map_err(|_| refused())
    }

    fn box_clone(&self) -> Box<dyn JweContentEncryption> {
        Box::new(*self)
    }
}
