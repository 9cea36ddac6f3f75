//! Makes tokens for tests and fuzz targets, good and bad, part by part.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode, encrypt_aead};

use crate::crypto::cipher::ContentEncryption;
use crate::crypto::key::Key;

/// The five parts of a compact JWE. The header is given as text, all else as bytes.
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
        [self.header.as_bytes(), &self.encrypted_key, &self.iv, &self.ciphertext, &self.tag]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
            .join(".")
    }
}

/// A token as Auth.js makes it.
pub fn seal(key: &Key, enc: ContentEncryption, plaintext: &str) -> Parts {
    let name = match enc {
        ContentEncryption::A256CbcHs512 => "A256CBC-HS512",
        ContentEncryption::A256Gcm => "A256GCM",
    };
    let header = format!(r#"{{"alg":"dir","enc":"{name}","kid":"{}"}}"#, key.kid());
    seal_with_header(key, enc, plaintext.as_bytes(), &header)
}

pub fn seal_with_header(key: &Key, enc: ContentEncryption, plaintext: &[u8], header: &str) -> Parts {
    match enc {
        ContentEncryption::A256CbcHs512 => seal_cbc(key, &pad(plaintext), header, &[7; 16]),
        ContentEncryption::A256Gcm => seal_gcm(key, plaintext, header, &[7; 12]),
    }
}

/// `padded` is encrypted as it is, so its padding may be wrong. The tag is right.
pub fn seal_cbc(key: &Key, padded: &[u8], header: &str, iv: &[u8]) -> Parts {
    let (mac_key, encryption_key) = key.as_bytes().split_at(32);
    let cipher = Cipher::aes_256_cbc();
    let mut crypter = Crypter::new(cipher, Mode::Encrypt, encryption_key, Some(&[7; 16])).expect("cipher");
    crypter.pad(false);
    let mut ciphertext = vec![0; padded.len() + cipher.block_size()];
    let written = crypter.update(padded, &mut ciphertext).expect("encrypts");
    ciphertext.truncate(written);

    let aad = BASE64_URL_SAFE_NO_PAD.encode(header);
    let mac_key = PKey::hmac(mac_key).expect("key");
    let mut signer = Signer::new(MessageDigest::sha512(), &mac_key).expect("signer");
    for part in [aad.as_bytes(), iv, &ciphertext, &(aad.len() as u64 * 8).to_be_bytes()] {
        signer.update(part).expect("signs");
    }
    let mut tag = signer.sign_to_vec().expect("signs");
    tag.truncate(32);
    Parts { header: header.to_owned(), encrypted_key: Vec::new(), iv: iv.to_vec(), ciphertext, tag }
}

pub fn seal_gcm(key: &Key, plaintext: &[u8], header: &str, iv: &[u8]) -> Parts {
    let aad = BASE64_URL_SAFE_NO_PAD.encode(header);
    let mut tag = vec![0; 16];
    let ciphertext = encrypt_aead(Cipher::aes_256_gcm(), key.as_bytes(), Some(iv), aad.as_bytes(), plaintext, &mut tag)
        .expect("encrypts");
    Parts { header: header.to_owned(), encrypted_key: Vec::new(), iv: iv.to_vec(), ciphertext, tag }
}

/// PKCS #7 for blocks of 16 bytes.
pub fn pad(plaintext: &[u8]) -> Vec<u8> {
    let missing = 16 - plaintext.len() % 16;
    [plaintext, &vec![missing as u8; missing]].concat()
}
