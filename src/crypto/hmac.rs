//! HMAC-SHA-512 for many messages under one key.
#![forbid(unsafe_code)]

use std::hint::black_box;

use openssl::sha::Sha512;
use zeroize::{Zeroize, Zeroizing};

/// HMAC (RFC 2104) with the key hashed in advance. OpenSSL's HMAC hashes the key and looks up the algorithm for each
/// message, which takes longer than hashing a token.
pub(super) struct HmacSha512 {
    inner: Sha512,
    outer: Sha512,
}

impl HmacSha512 {
    const BLOCK_BYTES: usize = 128;

    /// For a key of at most one block.
    pub(super) fn new(key: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = Zeroizing::new([pad; Self::BLOCK_BYTES]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut hash = Sha512::new();
            hash.update(block.as_slice());
            hash
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    pub(super) fn sign(&self, parts: [&[u8]; 4]) -> [u8; 64] {
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
        // Keeps the compiler from removing the overwrite.
        black_box((&self.inner, &self.outer));
    }
}

impl Drop for HmacSha512 {
    fn drop(&mut self) {
        self.zeroize();
    }
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
        fn hmac_equals_that_of_openssl(key: [u8; 32], message: Vec<u8>) {
            let pkey = PKey::hmac(&key).expect("a key");
            let mut signer = Signer::new(MessageDigest::sha512(), &pkey).expect("a signer");
            let expected = signer.sign_oneshot_to_vec(&message).expect("signs");
            let (start, end) = message.split_at(message.len() / 2);
            prop_assert_eq!(HmacSha512::new(&key).sign([start, &[], end, &[]]).to_vec(), expected);
        }
    }

    #[test]
    fn a_wiped_hmac_has_no_key() {
        let mut wiped = HmacSha512::new(&[7; 32]);
        wiped.zeroize();
        assert!(std::mem::needs_drop::<HmacSha512>(), "a drop wipes it");
        let blank = HmacSha512 { inner: Sha512::new(), outer: Sha512::new() };
        assert_eq!(wiped.sign([b"message", &[], &[], &[]]), blank.sign([b"message", &[], &[], &[]]));
    }
}
