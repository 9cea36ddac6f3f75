//! Makes valid and invalid tokens for tests and fuzz targets, part by part.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::seal::compact;
use crate::crypto::{ContentCipher, Key, Sealed};

/// The five parts of a compact JWE. The header is text, the others are bytes.
#[derive(Clone, Debug)]
pub struct Parts {
    pub header: String,
    pub encrypted_key: Vec<u8>,
    pub iv: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
}

impl Parts {
    pub fn to_token(&self) -> String {
        let header = BASE64_URL_SAFE_NO_PAD.encode(&self.header);
        compact(&header, &self.encrypted_key, &self.iv, &self.ciphertext, &self.tag)
    }
}

/// A token as Auth.js makes it.
pub fn seal(key: &Key, plaintext: &str) -> Parts {
    let header = format!(r#"{{"alg":"dir","enc":"{}","kid":"{}"}}"#, key.cipher().enc().name(), key.kid());
    seal_with_header(key, plaintext.as_bytes(), &header)
}

pub fn seal_with_header(key: &Key, plaintext: &[u8], header: &str) -> Parts {
    seal_with_iv(key, plaintext, header, &vec![7; key.cipher().enc().iv_bytes()])
}

pub fn seal_with_iv(key: &Key, plaintext: &[u8], header: &str, iv: &[u8]) -> Parts {
    let aad = BASE64_URL_SAFE_NO_PAD.encode(header);
    let (ciphertext, tag) = key.cipher().seal(plaintext, iv, aad.as_bytes()).expect("seals");
    Parts { header: header.to_owned(), encrypted_key: Vec::new(), iv: iv.to_vec(), ciphertext, tag }
}

/// Seals with a key for CBC. `padded` is encrypted as it is, so its padding may be wrong, and so may the length of `iv`.
/// The tag is right.
pub fn seal_cbc(key: &Key, padded: &[u8], header: &str, iv: &[u8]) -> Parts {
    let ContentCipher::CbcHs512(cipher) = key.cipher() else { panic!("is no key for CBC") };
    let aad = BASE64_URL_SAFE_NO_PAD.encode(header);
    let ciphertext = cipher.encrypt(padded, &[7; 16]).expect("encrypts");
    let tag = cipher.tag(&Sealed { aad: aad.as_bytes(), iv, ciphertext: &ciphertext, tag: &[] });
    Parts { header: header.to_owned(), encrypted_key: Vec::new(), iv: iv.to_vec(), ciphertext, tag }
}

/// PKCS #7 for blocks of 16 bytes.
pub fn pad(plaintext: &[u8]) -> Vec<u8> {
    let missing = 16 - plaintext.len() % 16;
    [plaintext, &vec![missing as u8; missing]].concat()
}
