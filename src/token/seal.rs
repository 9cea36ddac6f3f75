//! Plaintext -> compact JWE, exactly as the issuer of the cookie writes it.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::crypto::{ContentEncryption, Keyring};
use crate::error::Error;

/// Seals with the key of the secret at `secret` in the rotation list, 0 being the newest.
///
/// # Errors
/// `Error::Internal` when there is no such secret, or OpenSSL fails.
pub fn seal(plaintext: &[u8], keyring: &Keyring, secret: usize) -> Result<String, Error> {
    let (key, header) =
        keyring.sealing_key(secret).ok_or_else(|| Error::Internal(format!("there is no secret {secret}")))?;
    let mut iv = [0; ContentEncryption::MAX_IV_BYTES];
    let iv = &mut iv[..key.cipher().enc().iv_bytes()];
    // A cryptographically secure generator, which OpenSSL's is several times slower than.
    rand::fill(iv);
    let sealed = key.cipher().seal(plaintext, iv, header.as_bytes());
    let (ciphertext, tag) = sealed.map_err(|cause| Error::Internal(format!("sealing: {cause}")))?;
    Ok(compact(header, &[], iv, &ciphertext, &tag))
}

/// The five parts, joined. `header` is base64url already.
pub(super) fn compact(header: &str, encrypted_key: &[u8], iv: &[u8], ciphertext: &[u8], tag: &[u8]) -> String {
    let parts = [encrypted_key, iv, ciphertext, tag];
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut token = String::with_capacity(header.len() + bytes / 3 * 4 + 4 * parts.len());
    token.push_str(header);
    for part in parts {
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(part, &mut token);
    }
    token
}
