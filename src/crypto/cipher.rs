//! The content encryption of the two `enc` values, decryption only: exact lengths, the tag in constant time and before
//! anything is given out, and one error for every failure, which takes the same time whatever is wrong with tag or padding.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use openssl::cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::memcmp;
use openssl::sha::Sha512;
use openssl::symm;
use zeroize::{Zeroize, Zeroizing};

use crate::redacted::redacted;

/// The two values of `enc` that are opened (RFC 7518 section 5.1).
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

    /// The longest IV and the longest tag of the two.
    pub const MAX_IV_BYTES: usize = 16;
    pub const MAX_TAG_BYTES: usize = 32;

    pub const fn iv_bytes(self) -> usize {
        match self {
            Self::A256CbcHs512 => 16,
            Self::A256Gcm => 12,
        }
    }
}

/// All that was sealed, as the token has it.
pub struct Sealed<'t> {
    pub aad: &'t [u8],
    pub iv: &'t [u8],
    pub ciphertext: &'t [u8],
    pub tag: &'t [u8],
}

/// The one failure, whatever its cause.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecryptable;

/// A key that is set up for its content encryption. Wiped on drop, by OpenSSL what it holds itself. What a call
/// leaves on the stack is not wiped: the next one writes over it.
pub struct ContentCipher(Kind);

redacted!(ContentCipher);

enum Kind {
    CbcHs512(Box<CbcHs512>),
    Gcm(Zeroizing<Vec<u8>>),
}

impl ContentCipher {
    /// Fails where OpenSSL does, and where the key has another length than it must have.
    pub fn new(enc: ContentEncryption, key: &[u8]) -> Result<Self, ErrorStack> {
        if key.len() != enc.key_bytes() {
            return Err(ErrorStack::get());
        }
        Ok(Self(match enc {
            ContentEncryption::A256CbcHs512 => Kind::CbcHs512(Box::new(CbcHs512::new(key)?)),
            ContentEncryption::A256Gcm => Kind::Gcm(Zeroizing::new(key.to_vec())),
        }))
    }

    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
        match &self.0 {
            Kind::CbcHs512(cipher) => cipher.open(sealed),
            Kind::Gcm(key) => open_gcm(key, sealed),
        }
    }
}

/// AES-256-GCM (RFC 7518 section 5.3). OpenSSL gives out the plaintext only if the tag is right.
fn open_gcm(key: &[u8], sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
    const TAG_BYTES: usize = 16;
    let iv = exactly::<{ ContentEncryption::A256Gcm.iv_bytes() }>(sealed.iv)?;
    let tag = exactly::<TAG_BYTES>(sealed.tag)?;
    symm::decrypt_aead(symm::Cipher::aes_256_gcm(), key, Some(iv), sealed.aad, sealed.ciphertext, tag)
        .map_err(|_| Undecryptable)
}

/// AES-256-CBC with HMAC-SHA-512 (RFC 7518 section 5.2.5). A wrong tag takes the same steps as a
/// right one on bad padding, so time doesn't tell them apart.
struct CbcHs512 {
    mac: HmacSha512,
    /// Holds the key; a call only sets the IV.
    aes: Mutex<CipherCtx>,
}

impl CbcHs512 {
    const TAG_BYTES: usize = 32;
    const BLOCK_BYTES: usize = 16;

    fn new(key: &[u8]) -> Result<Self, ErrorStack> {
        let (mac_key, encryption_key) = key.split_at(key.len() / 2);
        let mut aes = CipherCtx::new()?;
        aes.decrypt_init(Some(cipher::Cipher::aes_256_cbc()), Some(encryption_key), None)?;
        // OpenSSL would take longer for bad padding.
        aes.set_padding(false);
        Ok(Self { mac: HmacSha512::new(mac_key), aes: Mutex::new(aes) })
    }

    fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, Undecryptable> {
        let iv = exactly::<{ ContentEncryption::A256CbcHs512.iv_bytes() }>(sealed.iv)?;
        let tag = exactly::<{ Self::TAG_BYTES }>(sealed.tag)?;
        if sealed.ciphertext.is_empty() || !sealed.ciphertext.len().is_multiple_of(Self::BLOCK_BYTES) {
            return Err(Undecryptable);
        }
        let (ciphertext, is_authentic) = Authentic::or_zeros(&self.mac, sealed, tag);
        let mut plaintext = self.decrypt(ciphertext, iv).map_err(|_| Undecryptable)?;
        let (length, is_padded) = unpadded_length(&plaintext);
        // Else the compiler could ask one before the other.
        if !black_box(is_authentic & is_padded) {
            return Err(Undecryptable);
        }
        plaintext.truncate(length);
        Ok(plaintext)
    }

    /// The plaintext, with its padding.
    fn decrypt(&self, Authentic(mut bytes): Authentic, iv: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        #[cfg(test)]
        CBC_DECRYPTED.set(bytes.clone());
        let length = bytes.len();
        // Room that OpenSSL asks for, though without padding it needs none.
        bytes.resize(length + Self::BLOCK_BYTES, 0);
        // Whoever panics has not changed the key.
        let mut aes = self.aes.lock().unwrap_or_else(PoisonError::into_inner);
        aes.decrypt_init(None, None, Some(iv))?;
        let decrypted = aes.cipher_update_inplace(&mut bytes, length)?;
        bytes.truncate(decrypted);
        Ok(bytes)
    }
}

/// Ciphertext whose tag was found right, or zeros. Made by [`Authentic::or_zeros`] alone, and CBC
/// decrypts nothing else.
struct Authentic(Vec<u8>);

impl Authentic {
    /// The ciphertext if `tag` is right, else as many zeros; and whether it is.
    fn or_zeros(mac: &HmacSha512, sealed: &Sealed, tag: &[u8; CbcHs512::TAG_BYTES]) -> (Self, bool) {
        let expected = mac.sign([sealed.aad, sealed.iv, sealed.ciphertext, &bit_length(sealed.aad)]);
        let is_right =
            expected.first_chunk().is_some_and(|expected: &[u8; CbcHs512::TAG_BYTES]| memcmp::eq(expected, tag));
        // Else the compiler could make a branch of it.
        let mask = black_box(if is_right { u8::MAX } else { 0 });
        let mut bytes = Vec::with_capacity(sealed.ciphertext.len() + CbcHs512::BLOCK_BYTES);
        bytes.extend(sealed.ciphertext.iter().map(|byte| byte & mask));
        (Self(bytes), is_right)
    }
}

/// How long the plaintext is without its padding (RFC 5652 section 6.3), and whether that is whole.
/// The same steps whatever the bytes are.
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
    /// What this thread has decrypted with CBC last.
    pub(crate) static CBC_DECRYPTED: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

/// AL of RFC 7518 section 5.2.2.1.
fn bit_length(aad: &[u8]) -> [u8; 8] {
    (aad.len() as u64 * 8).to_be_bytes()
}

/// HMAC (RFC 2104) whose key is hashed in already: OpenSSL's own would do so, and look its
/// algorithm up, at each call, which takes longer than to hash a token.
struct HmacSha512 {
    inner: Sha512,
    outer: Sha512,
}

impl HmacSha512 {
    const BLOCK_BYTES: usize = 128;

    /// For a key of at most one block.
    fn new(key: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = Zeroizing::new([pad; Self::BLOCK_BYTES]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut hash = Sha512::new();
            hash.update(block.as_slice());
            hash
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn sign(&self, parts: [&[u8]; 4]) -> [u8; 64] {
        let (mut inner, mut outer) = (self.inner.clone(), self.outer.clone());
        for part in parts {
            inner.update(part);
        }
        outer.update(&inner.finish());
        outer.finish()
    }
}

impl Zeroize for HmacSha512 {
    fn zeroize(&mut self) {
        (self.inner, self.outer) = (Sha512::new(), Sha512::new());
        // Else the compiler could leave the overwriting out.
        black_box((&self.inner, &self.outer));
    }
}

impl Drop for HmacSha512 {
    fn drop(&mut self) {
        self.zeroize();
    }
}

fn exactly<const N: usize>(part: &[u8]) -> Result<&[u8; N], Undecryptable> {
    part.try_into().map_err(|_| Undecryptable)
}

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::sign::Signer;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hmac_is_that_of_openssl(key: [u8; 32], message: Vec<u8>) {
            let pkey = PKey::hmac(&key).expect("a key");
            let mut signer = Signer::new(MessageDigest::sha512(), &pkey).expect("a signer");
            let expected = signer.sign_oneshot_to_vec(&message).expect("signs");
            let (start, end) = message.split_at(message.len() / 2);
            prop_assert_eq!(HmacSha512::new(&key).sign([start, &[], end, &[]]).to_vec(), expected);
        }
    }

    #[test]
    fn a_wiped_hmac_knows_nothing_of_its_key() {
        let mut wiped = HmacSha512::new(&[7; 32]);
        wiped.zeroize();
        assert!(std::mem::needs_drop::<HmacSha512>(), "a drop wipes it");
        let blank = HmacSha512 { inner: Sha512::new(), outer: Sha512::new() };
        assert_eq!(wiped.sign([b"message", &[], &[], &[]]), blank.sign([b"message", &[], &[], &[]]));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for (enc, bytes) in [(ContentEncryption::A256CbcHs512, 32), (ContentEncryption::A256Gcm, 64)] {
            assert!(ContentCipher::new(enc, &vec![0; bytes]).is_err(), "{enc:?}");
        }
    }

    #[test]
    fn padding_is_whole_or_refused() {
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
        let key = [1; 64];
        let cipher = ContentCipher::new(ContentEncryption::A256CbcHs512, &key).expect("sets up");
        let seal = |plaintext: &[u8], padded: bool, tag_bytes: usize| {
            let mut crypter =
                symm::Crypter::new(symm::Cipher::aes_256_cbc(), symm::Mode::Encrypt, &key[32..], Some(&[2; 16]))
                    .expect("encrypts");
            crypter.pad(padded);
            let mut ciphertext = vec![0; plaintext.len() + 16];
            let start = crypter.update(plaintext, &mut ciphertext).expect("encrypts");
            let end = crypter.finalize(&mut ciphertext[start..]).expect("encrypts");
            ciphertext.truncate(start + end);
            let tag = HmacSha512::new(&key[..32]).sign([b"aad", &[2; 16], &ciphertext, &bit_length(b"aad")]);
            (ciphertext, tag[..tag_bytes].to_vec())
        };
        let open = |(ciphertext, tag): &(Vec<u8>, Vec<u8>)| {
            cipher.open(&Sealed { aad: b"aad", iv: &[2; 16], ciphertext, tag })
        };
        let good = seal(b"plaintext", true, 32);
        let bad_padding = seal(&[0x11; 16], false, 32);
        for _ in 0..3 {
            assert_eq!(open(&good).as_deref(), Ok(b"plaintext".as_slice()));
            assert_eq!(open(&bad_padding), Err(Undecryptable));
            assert_eq!(open(&seal(b"plaintext", true, 31)), Err(Undecryptable));
        }
    }
}
