//! Derives the key of a cookie from a secret, as Auth.js and NextAuth do, and its `kid`.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::{ContentCipher, ContentEncryption, Issuer};
use crate::cookie::CookieName;
use crate::redacted::redacted;
use crate::sensitive::Sensitive;

/// A value of `AUTH_SECRET`. Never empty; redacted in `Debug`; wiped on drop.
#[derive(Clone)]
pub struct Secret(Sensitive);

impl Secret {
    /// `None` for the empty string.
    pub fn new(secret: impl Into<Sensitive>) -> Option<Self> {
        let secret = secret.into();
        (!secret.is_empty()).then_some(Self(secret))
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether it has quotes or white space around it, which most likely were not meant as part of it.
    pub fn is_wrapped(&self) -> bool {
        let text = self.0.as_str();
        let is_quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
        text.trim() != text || is_quoted('"') || is_quoted('\'')
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The key for a secret, the name of a cookie, and `enc`. Redacted in `Debug`; wiped on drop.
pub struct Key {
    kid: String,
    cipher: ContentCipher,
}

redacted!(Secret, Key);

impl Key {
    pub fn new(
        secret: &Secret,
        cookie: &CookieName,
        issuer: Issuer,
        enc: ContentEncryption,
    ) -> Result<Self, ErrorStack> {
        let bytes = derive(secret, cookie, issuer, enc)?;
        Ok(Self { kid: thumbprint(&bytes, thumbprint_digest(enc))?, cipher: ContentCipher::new(enc, &bytes)? })
    }

    /// Opens and seals with this key.
    pub fn cipher(&self) -> &ContentCipher {
        &self.cipher
    }

    /// The base64url JWK thumbprint of this key.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// The bytes of a key, derived with HKDF-SHA256 (RFC 5869).
pub fn derive(
    secret: &Secret,
    cookie: &CookieName,
    issuer: Issuer,
    enc: ContentEncryption,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let (salt, info) = issuer.salt_and_info(cookie);
    let mut bytes = Zeroizing::new(vec![0; enc.key_bytes()]);
    let mut hkdf = PkeyCtx::new_id(Id::HKDF)?;
    hkdf.derive_init()?;
    hkdf.set_hkdf_md(Md::sha256())?;
    hkdf.set_hkdf_key(secret.0.as_bytes())?;
    hkdf.set_hkdf_salt(salt.as_bytes())?;
    hkdf.add_hkdf_info(info.as_bytes())?;
    hkdf.derive(Some(&mut bytes))?;
    Ok(bytes)
}

/// The first characters of a `kid`: enough to compare kids, too few to leak another value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ShortKid(String);

impl ShortKid {
    const CHARACTERS: usize = 8;
    /// The lengths of SHA-256 and SHA-512 thumbprints in base64url.
    const THUMBPRINT_CHARACTERS: [usize; 2] = [43, 86];

    /// `None` if `kid` is not a thumbprint, since a client can set it to any text.
    pub fn of(kid: &str) -> Option<Self> {
        let is_base64url = kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let is_thumbprint = is_base64url && Self::THUMBPRINT_CHARACTERS.contains(&kid.len());
        is_thumbprint.then(|| Self(kid.chars().take(Self::CHARACTERS).collect()))
    }
}

/// The digest of the thumbprint in Auth.js: `sha${8 * key.byteLength}`.
fn thumbprint_digest(enc: ContentEncryption) -> MessageDigest {
    match enc {
        ContentEncryption::A256CbcHs512 => MessageDigest::sha512(),
        ContentEncryption::A256Gcm => MessageDigest::sha256(),
    }
}

/// RFC 7638 section 3: the digest of the required members in lexical order, no white space.
fn thumbprint(key: &[u8], digest: MessageDigest) -> Result<String, ErrorStack> {
    let k = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key));
    let mut hasher = Hasher::new(digest)?;
    // In parts, since a growing string would leave copies of the key in memory.
    for part in [r#"{"k":""#, &k, r#"","kty":"oct"}"#] {
        hasher.update(part.as_bytes())?;
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(hasher.finish()?))
}

#[cfg(test)]
mod tests {
    use super::ContentEncryption::{A256CbcHs512, A256Gcm};
    use super::*;

    const V5: &str = "authjs.session-token";
    const V4: &str = "next-auth.session-token";

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).expect("a secret")
    }

    fn key(cookie: &str, enc: ContentEncryption) -> Key {
        let cookie = CookieName::new(cookie).expect("a name");
        Key::new(&secret("secret"), &cookie, Issuer::of(&cookie), enc).expect("derives")
    }

    fn bytes(cookie: &str, enc: ContentEncryption) -> Zeroizing<Vec<u8>> {
        let cookie = CookieName::new(cookie).expect("a name");
        derive(&secret("secret"), &cookie, Issuer::of(&cookie), enc).expect("derives")
    }

    fn hex(cookie: &str, enc: ContentEncryption) -> String {
        bytes(cookie, enc).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_equal_those_of_auth_js() {
        assert_eq!(
            hex(V5, A256CbcHs512),
            "b1ef6cdd915c44c0a71232574a6a70546a5e16d12bb38df4638e3b96bdd32025\
             131e90695ff072a9d148f1511c7a4981a85b63a628311da1fa7ccfc49c47c2bb"
        );
        let v4_key = "9ab5058ebf5be88f82f4aee99d22cf8be7a34a4af1836299d0668f4d83020f5a";
        assert_eq!(hex(V4, A256Gcm), v4_key);
        assert_eq!(hex("__Secure-next-auth.session-token", A256Gcm), v4_key, "not salted with the name");
        assert_ne!(hex(V5, A256Gcm), v4_key);
    }

    #[test]
    fn kid_is_the_thumbprint_of_the_key() {
        let expected = "7x9DUMVaEU6giab0l0OWDt4e4SsRH_cbwMof2EzEyy6onK5o8xSPPB799RVoqm2v6z674kQCv9jom2T8S-a1dQ";
        assert_eq!(key(V5, A256CbcHs512).kid(), expected);
    }

    #[test]
    fn only_thumbprints_are_shown() {
        let short = |kid: &str| ShortKid::of(kid).map(|ShortKid(text)| text);
        for enc in [A256CbcHs512, A256Gcm] {
            let key = key(V5, enc);
            let kid = key.kid();
            assert_eq!(short(kid).as_deref(), Some(&kid[..8]));
            assert_eq!(short(&kid[1..]), None);
            assert_eq!(short(&format!("<{}", &kid[1..])), None);
        }
        assert_eq!(short(""), None);
    }

    /// Doesn't compile if the bytes are not wiped.
    #[test]
    fn keys_are_wiped_on_drop() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        is_wiped(&bytes(V5, A256Gcm));
    }

    #[test]
    fn debug_leaks_nothing() {
        let key = key(V5, A256Gcm);
        let shown = format!("{:?} {key:?} {:?}", secret("hunter2"), key.cipher());
        assert_eq!(shown, "Secret(..) Key(..) ContentCipher(..)");
    }
}
