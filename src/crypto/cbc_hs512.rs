//! `A256CBC-HS512`: AES-256-CBC with HMAC-SHA-512 (RFC 7518 section 5.2.5).
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::memcmp;

use super::hmac::HmacSha512;
use super::{Sealed, Undecryptable, exactly};

/// A wrong tag takes the same steps as a right tag on bad padding, so time doesn't tell them apart.
pub struct CbcHs512 {
    mac: HmacSha512,
    /// Each context holds the key; a call only sets the IV.
    decrypter: Mutex<CipherCtx>,
    encrypter: Mutex<CipherCtx>,
}

impl CbcHs512 {
    pub const IV_BYTES: usize = 16;
    pub const TAG_BYTES: usize = 32;
    const BLOCK_BYTES: usize = 16;

    pub(super) fn new(key: &[u8]) -> Result<Self, ErrorStack> {
        let (mac_key, encryption_key) = key.split_at(key.len() / 2);
        let mut decrypter = CipherCtx::new()?;
        decrypter.decrypt_init(Some(Cipher::aes_256_cbc()), Some(encryption_key), None)?;
        // The padding is checked below in constant time; OpenSSL would take longer for bad padding.
        decrypter.set_padding(false);
        let mut encrypter = CipherCtx::new()?;
        encrypter.encrypt_init(Some(Cipher::aes_256_cbc()), Some(encryption_key), None)?;
        encrypter.set_padding(false);
        let (decrypter, encrypter) = (Mutex::new(decrypter), Mutex::new(encrypter));
        Ok(Self { mac: HmacSha512::new(mac_key), decrypter, encrypter })
    }

    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
        let iv = exactly::<{ Self::IV_BYTES }>(sealed.iv)?;
        let tag = exactly::<{ Self::TAG_BYTES }>(sealed.tag)?;
        if sealed.ciphertext.is_empty() || !sealed.ciphertext.len().is_multiple_of(Self::BLOCK_BYTES) {
            return Err(Undecryptable);
        }
        let (ciphertext, is_authentic) = Authentic::or_zeros(&self.mac, sealed, tag);
        let mut plaintext = self.decrypt(ciphertext, iv).map_err(|_| Undecryptable)?;
        let (length, is_padded) = unpadded_length(&plaintext);
        // Without the black box the compiler could check one before the other.
        if !black_box(is_authentic & is_padded) {
            return Err(Undecryptable);
        }
        plaintext.truncate(length);
        Ok(plaintext)
    }

    /// The ciphertext and its tag.
    pub fn seal(&self, plaintext: &[u8], iv: &[u8], aad: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let ciphertext = self.encrypt(&pad(plaintext), iv)?;
        let tag = self.tag(&Sealed { aad, iv, ciphertext: &ciphertext, tag: &[] });
        Ok((ciphertext, tag))
    }

    /// `padded` is whole blocks; tests also pass wrong padding.
    pub fn encrypt(&self, padded: &[u8], iv: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        // A poisoned lock is harmless: no panic can change the key.
        let mut encrypter = self.encrypter.lock().unwrap_or_else(PoisonError::into_inner);
        encrypter.encrypt_init(None, None, Some(iv))?;
        let mut ciphertext = Vec::with_capacity(padded.len() + Self::BLOCK_BYTES);
        encrypter.cipher_update_vec(padded, &mut ciphertext)?;
        Ok(ciphertext)
    }

    /// The tag for all other parts of `sealed`.
    pub fn tag(&self, sealed: &Sealed) -> Vec<u8> {
        mac_of(&self.mac, sealed)[..Self::TAG_BYTES].to_vec()
    }

    /// The plaintext, with its padding.
    fn decrypt(&self, Authentic(mut bytes): Authentic, iv: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        #[cfg(test)]
        CBC_DECRYPTED.set(bytes.clone());
        let length = bytes.len();
        // OpenSSL requires a block of spare room, though without padding it doesn't use it.
        bytes.resize(length + Self::BLOCK_BYTES, 0);
        // A poisoned lock is harmless: no panic can change the key.
        let mut decrypter = self.decrypter.lock().unwrap_or_else(PoisonError::into_inner);
        decrypter.decrypt_init(None, None, Some(iv))?;
        let decrypted = decrypter.cipher_update_inplace(&mut bytes, length)?;
        bytes.truncate(decrypted);
        Ok(bytes)
    }
}

/// Ciphertext with a right tag, or zeros. Only [`Authentic::or_zeros`] makes it, and CBC decrypts nothing else.
struct Authentic(Vec<u8>);

impl Authentic {
    /// The ciphertext if `tag` is right, else as many zeros; and whether it is right.
    fn or_zeros(mac: &HmacSha512, sealed: &Sealed, tag: &[u8; CbcHs512::TAG_BYTES]) -> (Self, bool) {
        let expected = mac_of(mac, sealed);
        let is_right =
            expected.first_chunk().is_some_and(|expected: &[u8; CbcHs512::TAG_BYTES]| memcmp::eq(expected, tag));
        // Without the black box the compiler could turn this into a branch.
        let mask = black_box(if is_right { u8::MAX } else { 0 });
        let mut bytes = Vec::with_capacity(sealed.ciphertext.len() + CbcHs512::BLOCK_BYTES);
        bytes.extend(sealed.ciphertext.iter().map(|byte| byte & mask));
        (Self(bytes), is_right)
    }
}

/// The whole MAC, of which the tag is the first half (RFC 7518 section 5.2.2.1).
fn mac_of(mac: &HmacSha512, sealed: &Sealed) -> [u8; 64] {
    let aad_bits = (sealed.aad.len() as u64 * 8).to_be_bytes();
    mac.sign([sealed.aad, sealed.iv, sealed.ciphertext, &aad_bits])
}

/// PKCS #7 (RFC 5652 section 6.3).
fn pad(plaintext: &[u8]) -> Vec<u8> {
    let missing = CbcHs512::BLOCK_BYTES - plaintext.len() % CbcHs512::BLOCK_BYTES;
    [plaintext, &vec![missing as u8; missing]].concat()
}

/// The length of the plaintext without its padding (RFC 5652 section 6.3), and whether the padding is right.
/// Takes the same steps whatever the bytes are.
fn unpadded_length(padded: &[u8]) -> (usize, bool) {
    let last = padded.last_chunk::<{ CbcHs512::BLOCK_BYTES }>().unwrap_or(&[0; _]);
    let padding = last[CbcHs512::BLOCK_BYTES - 1];
    let is_in_range = (1..=CbcHs512::BLOCK_BYTES as u8).contains(&padding);
    let is_whole = last
        .iter()
        .rev()
        .zip(0..)
        .fold(true, |is_whole, (byte, place)| is_whole & ((place >= padding) | (*byte == padding)));
    (padded.len().saturating_sub(padding.into()), is_in_range & is_whole)
}

#[cfg(test)]
thread_local! {
    /// What this thread has last decrypted with CBC.
    pub(crate) static CBC_DECRYPTED: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_padding_is_refused() {
        for (case, end, padding) in [
            ("one byte", [7, 1].as_slice(), Some(1)),
            ("two bytes", &[7, 2, 2], Some(2)),
            ("two bytes before another padding", &[1, 2, 2], Some(2)),
            ("a whole block", &[16; 16], Some(16)),
            ("none", &[7, 0], None),
            ("a block of zeros", &[0; 16], None),
            ("more than a block", &[17; 17], None),
            ("far more than a block", &[255; 16], None),
            ("two bytes that differ", &[3, 2], None),
            ("the first byte of a whole block differs", &[[15; 1].as_slice(), &[16; 15]].concat(), None),
        ] {
            let padded = [&vec![7; 32 - end.len()], end].concat();
            let (length, is_whole) = unpadded_length(&padded);
            assert_eq!(is_whole.then_some(length), padding.map(|padding| padded.len() - padding), "{case}");
        }
    }

    #[test]
    fn a_cipher_opens_again_after_a_failure() {
        let cipher = CbcHs512::new(&[1; 64]).expect("sets up");
        let iv = [2; 16];
        let sealed = |padded: &[u8], tag_bytes: usize| {
            let ciphertext = cipher.encrypt(padded, &iv).expect("encrypts");
            let tag = cipher.tag(&Sealed { aad: b"aad", iv: &iv, ciphertext: &ciphertext, tag: &[] });
            (ciphertext, tag[..tag_bytes].to_vec())
        };
        let open =
            |(ciphertext, tag): &(Vec<u8>, Vec<u8>)| cipher.open(&Sealed { aad: b"aad", iv: &iv, ciphertext, tag });
        let good = sealed(&pad(b"plaintext"), 32);
        let bad_padding = sealed(&[0x11; 16], 32);
        for _ in 0..3 {
            assert_eq!(open(&good).as_deref(), Ok(b"plaintext".as_slice()));
            assert_eq!(open(&bad_padding), Err(Undecryptable));
            assert_eq!(open(&sealed(&pad(b"plaintext"), 31)), Err(Undecryptable));
        }
    }
}
