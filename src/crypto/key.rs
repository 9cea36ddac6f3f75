//! Secret -> the key of a cookie, as Auth.js and NextAuth derive it, and the `kid` that names it.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use crate::cookie::CookieName;
use crate::crypto::cipher::{ContentCipher, ContentEncryption};
use crate::error::Error;
use crate::redacted::redacted;
use crate::sensitive::Sensitive;

/// What `AUTH_SECRET` holds. Not empty; redacted in `Debug`; wiped on drop.
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

    #[cfg(test)]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Derived once from a secret, a cookie's name and `enc`. Redacted in `Debug`; wiped on drop.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<Vec<u8>>,
    kid: String,
    cipher: Arc<ContentCipher>,
}

impl Key {
    fn derive(secret: &Secret, salt: &str, info: &str, enc: ContentEncryption) -> Result<Self, ErrorStack> {
        let mut bytes = Zeroizing::new(vec![0; enc.key_bytes()]);
        let mut hkdf = PkeyCtx::new_id(Id::HKDF)?;
        hkdf.derive_init()?;
        hkdf.set_hkdf_md(Md::sha256())?;
        hkdf.set_hkdf_key(secret.0.as_bytes())?;
        hkdf.set_hkdf_salt(salt.as_bytes())?;
        hkdf.add_hkdf_info(info.as_bytes())?;
        hkdf.derive(Some(&mut bytes))?;
        let kid = thumbprint(&bytes, thumbprint_digest(enc))?;
        let cipher = Arc::new(ContentCipher::new(enc, &bytes)?);
        Ok(Self { bytes, kid, cipher })
    }

    /// What opens a token with this key.
    pub fn cipher(&self) -> &ContentCipher {
        &self.cipher
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The base64url JWK thumbprint of this key.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

redacted!(Secret, Key, FamiliarHeader);

/// The first characters of a `kid`: enough to compare, too few to be anything else.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ShortKid(String);

impl ShortKid {
    const CHARACTERS: usize = 8;
    /// Of SHA-256 and SHA-512, in base64url.
    const THUMBPRINT_CHARACTERS: [usize; 2] = [43, 86];

    /// `None` for what is no thumbprint: a client could write anything there.
    pub fn of(kid: &str) -> Option<Self> {
        let is_base64url = kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let is_thumbprint = is_base64url && Self::THUMBPRINT_CHARACTERS.contains(&kid.len());
        is_thumbprint.then(|| Self(kid.chars().take(Self::CHARACTERS).collect()))
    }
}

/// The keys of one cookie name: one for each secret of the rotation list, newest first.
#[derive(Debug)]
pub struct Keyring {
    cbc: Vec<Key>,
    gcm: Vec<Key>,
    familiar: Vec<FamiliarHeader>,
}

/// A protected header exactly as the issuer writes it, and the keys that it stands for.
struct FamiliarHeader {
    /// base64url, as in the token.
    text: String,
    enc: ContentEncryption,
    keys: Range<usize>,
}

impl Keyring {
    pub fn new(secrets: &[Secret], cookie: &CookieName, issuer: Issuer) -> Result<Self, Error> {
        let (salt, info) = issuer.salt_and_info(cookie);
        let derive = |enc| {
            secrets
                .iter()
                .map(|secret| Key::derive(secret, salt, &info, enc))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|cause| Error::Internal(format!("key derivation: {cause}")))
        };
        let cbc = match issuer {
            Issuer::AuthJs => derive(ContentEncryption::A256CbcHs512)?,
            Issuer::NextAuth4 => Vec::new(),
        };
        let gcm = derive(ContentEncryption::A256Gcm)?;
        let familiar = match issuer {
            Issuer::AuthJs => {
                cbc.iter().enumerate().map(|(index, key)| FamiliarHeader::of_auth_js(index, key)).collect()
            }
            Issuer::NextAuth4 => vec![FamiliarHeader::of_next_auth_4(gcm.len())],
        };
        Ok(Self { cbc, gcm, familiar })
    }

    /// The keys that may open a token: the one that `kid` names, or all where it names none.
    pub fn candidates(&self, enc: ContentEncryption, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        self.keys(enc).iter().filter(move |key| kid.is_none_or(|kid| kid == key.kid()))
    }

    /// The same for a protected header, in base64url, that stands as the issuer writes it.
    pub fn familiar_candidates(&self, header: &str) -> Option<&[Key]> {
        let familiar = self.familiar.iter().find(|familiar| familiar.text == header)?;
        self.keys(familiar.enc).get(familiar.keys.clone())
    }

    fn keys(&self, enc: ContentEncryption) -> &[Key] {
        match enc {
            ContentEncryption::A256CbcHs512 => &self.cbc,
            ContentEncryption::A256Gcm => &self.gcm,
        }
    }
}

impl FamiliarHeader {
    /// `encode` in `@auth/core` `jwt.js`.
    fn of_auth_js(index: usize, key: &Key) -> Self {
        let enc = ContentEncryption::A256CbcHs512;
        let header = format!(r#"{{"alg":"dir","enc":"{}","kid":"{}"}}"#, enc.name(), key.kid());
        Self { text: BASE64_URL_SAFE_NO_PAD.encode(header), enc, keys: index..index + 1 }
    }

    /// `encode` in next-auth 4 `jwt/index.js`.
    fn of_next_auth_4(keys: usize) -> Self {
        let enc = ContentEncryption::A256Gcm;
        let header = format!(r#"{{"alg":"dir","enc":"{}"}}"#, enc.name());
        Self { text: BASE64_URL_SAFE_NO_PAD.encode(header), enc, keys: 0..keys }
    }
}

/// Who encrypts a cookie; that decides how its key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Auth.js, which is next-auth 5 and `@auth/core`.
    AuthJs,
    /// next-auth 4. It writes and reads `A256GCM` only.
    NextAuth4,
}

impl Issuer {
    /// Who uses this name by default.
    pub fn of(cookie: &CookieName) -> Self {
        match cookie.as_str() {
            "next-auth.session-token" | "__Secure-next-auth.session-token" => Self::NextAuth4,
            _ => Self::AuthJs,
        }
    }

    /// `getDerivedEncryptionKey` in `@auth/core` `jwt.js` and in next-auth 4 `jwt/index.js`.
    fn salt_and_info(self, cookie: &CookieName) -> (&str, String) {
        match self {
            Self::AuthJs => (cookie.as_str(), format!("Auth.js Generated Encryption Key ({})", cookie.as_str())),
            Self::NextAuth4 => ("", "NextAuth.js Generated Encryption Key".to_owned()),
        }
    }
}

/// The digest that Auth.js makes the thumbprint with: `sha${8 * key.byteLength}`.
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
    // In parts: a text that grows leaves copies of the key behind.
    for part in [r#"{"k":""#, &k, r#"","kty":"oct"}"#] {
        hasher.update(part.as_bytes())?;
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(hasher.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::cipher::ContentEncryption::{A256CbcHs512, A256Gcm};

    const V5: &str = "authjs.session-token";
    const V4: &str = "next-auth.session-token";

    fn keyring(cookie: &str, secrets: &[&str]) -> Keyring {
        let secrets: Vec<_> = secrets.iter().filter_map(|secret| Secret::new((*secret).to_owned())).collect();
        let cookie = CookieName::new(cookie).expect("a name");
        Keyring::new(&secrets, &cookie, Issuer::of(&cookie)).expect("derives")
    }

    fn hex(keyring: &Keyring, enc: ContentEncryption) -> String {
        let key = keyring.candidates(enc, None).next().expect("a key");
        key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_those_of_auth_js() {
        let v5 = keyring(V5, &["secret"]);
        assert_eq!(
            hex(&v5, A256CbcHs512),
            "b1ef6cdd915c44c0a71232574a6a70546a5e16d12bb38df4638e3b96bdd32025\
             131e90695ff072a9d148f1511c7a4981a85b63a628311da1fa7ccfc49c47c2bb"
        );
        let v4_key = "9ab5058ebf5be88f82f4aee99d22cf8be7a34a4af1836299d0668f4d83020f5a";
        assert_eq!(hex(&keyring(V4, &["secret"]), A256Gcm), v4_key);
        let secure_v4 = keyring("__Secure-next-auth.session-token", &["secret"]);
        assert_eq!(hex(&secure_v4, A256Gcm), v4_key, "not salted with the name");
        assert_ne!(hex(&v5, A256Gcm), v4_key);
    }

    #[test]
    fn kid_is_the_thumbprint_of_the_key() {
        let keyring = keyring(V5, &["secret"]);
        let key = keyring.candidates(A256CbcHs512, None).next().expect("a key");
        assert_eq!(key.kid(), "7x9DUMVaEU6giab0l0OWDt4e4SsRH_cbwMof2EzEyy6onK5o8xSPPB799RVoqm2v6z674kQCv9jom2T8S-a1dQ");
    }

    #[test]
    fn kid_chooses_among_the_candidates() {
        let keyring = keyring(V5, &["new", "old"]);
        for enc in [A256CbcHs512, A256Gcm] {
            let all: Vec<_> = keyring.candidates(enc, None).collect();
            assert_eq!(all.len(), 2);
            let old = all[1].kid();
            let chosen: Vec<_> = keyring.candidates(enc, Some(old)).map(Key::kid).collect();
            assert_eq!(chosen, [old]);
            assert_eq!(keyring.candidates(enc, Some("other")).count(), 0);
        }
    }

    #[test]
    fn next_auth_4_has_no_cbc_key() {
        assert_eq!(keyring(V4, &["secret"]).candidates(A256CbcHs512, None).count(), 0);
    }

    #[test]
    fn only_thumbprints_are_shown() {
        let short = |kid: &str| ShortKid::of(kid).map(|ShortKid(text)| text);
        let keyring = keyring(V5, &["secret"]);
        for enc in [A256CbcHs512, A256Gcm] {
            let kid = keyring.candidates(enc, None).next().expect("a key").kid();
            assert_eq!(short(kid).as_deref(), Some(&kid[..8]));
            assert_eq!(short(&kid[1..]), None);
            assert_eq!(short(&format!("<{}", &kid[1..])), None);
        }
        assert_eq!(short(""), None);
    }

    /// That it does not compile with bytes that stay in memory.
    #[test]
    fn keys_are_wiped_on_drop() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        let keyring = keyring(V5, &["secret"]);
        is_wiped(&keyring.candidates(A256Gcm, None).next().expect("a key").bytes);
    }

    #[test]
    fn debug_leaks_nothing() {
        let secret = Secret::new("hunter2".to_owned()).expect("a secret");
        let keyring = keyring(V5, &["hunter2"]);
        let key = keyring.candidates(A256Gcm, None).next().expect("a key");
        assert_eq!(format!("{secret:?} {key:?}"), "Secret(..) Key(..)");
        assert_eq!(
            format!("{keyring:?} {:?}", key.cipher()),
            "Keyring { cbc: [Key(..)], gcm: [Key(..)], familiar: [FamiliarHeader(..)] } ContentCipher(..)"
        );
    }
}
