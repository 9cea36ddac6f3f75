//! Plaintext -> compact JWE, exactly as the issuer of the cookie writes it.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;

use crate::crypto::Keyring;
use crate::error::Error;

/// Seals with the key of the secret at `secret` in the rotation list, 0 being the newest.
///
/// # Errors
/// `Error::Internal` when there is no such secret, or OpenSSL fails.
pub fn seal(plaintext: &[u8], keyring: &Keyring, secret: usize) -> Result<String, Error> {
    let (key, header) =
        keyring.sealing_key(secret).ok_or_else(|| Error::Internal(format!("there is no secret {secret}")))?;
    let failed = |cause: ErrorStack| Error::Internal(format!("sealing: {cause}"));
    let mut iv = vec![0; key.cipher().enc().iv_bytes()];
    rand_bytes(&mut iv).map_err(failed)?;
    let (ciphertext, tag) = key.cipher().seal(plaintext, &iv, header.as_bytes()).map_err(failed)?;
    Ok(compact(header, &[], &iv, &ciphertext, &tag))
}

/// The five parts, joined. `header` is base64url already.
pub(super) fn compact(header: &str, encrypted_key: &[u8], iv: &[u8], ciphertext: &[u8], tag: &[u8]) -> String {
    let [encrypted_key, iv, ciphertext, tag] =
        [encrypted_key, iv, ciphertext, tag].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{encrypted_key}.{iv}.{ciphertext}.{tag}")
}
