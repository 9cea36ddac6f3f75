//! Makes tokens with known keys, and says whether they must open.

use std::collections::HashMap;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use authjs_bridge::cookie::CookieName;
use authjs_bridge::crypto::{ContentEncryption, Issuer, Key, Keyring, Secret};
use authjs_bridge::token::forge::{Parts, seal_cbc, seal_with_header};
use serde_json::{Map, Value};

/// The default names of session cookies.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Plain,
    Secure,
    PlainV4,
    SecureV4,
}

impl Name {
    pub const ALL: [Self; 4] = [Self::Plain, Self::Secure, Self::PlainV4, Self::SecureV4];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "authjs.session-token",
            Self::Secure => "__Secure-authjs.session-token",
            Self::PlainV4 => "next-auth.session-token",
            Self::SecureV4 => "__Secure-next-auth.session-token",
        }
    }

    pub fn is_secure(self) -> bool {
        matches!(self, Self::Secure | Self::SecureV4)
    }

    fn is_v4(self) -> bool {
        matches!(self, Self::PlainV4 | Self::SecureV4)
    }

    /// NextAuth v4 derives its keys independently of the cookie's name.
    pub fn shares_keys_with(self, other: Self) -> bool {
        self == other || self.is_v4() && other.is_v4()
    }
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestSecret {
    Newest,
    Older,
    Unconfigured,
}

impl TestSecret {
    const ALL: [Self; 3] = [Self::Newest, Self::Older, Self::Unconfigured];

    fn value(self) -> Secret {
        let text = match self {
            Self::Newest => "the newest secret of the fuzz targets",
            Self::Older => "the secret of the fuzz targets before that",
            Self::Unconfigured => "a secret that is not configured here",
        };
        Secret::new(text.to_owned()).expect("a secret")
    }
}

/// Newest first.
pub fn configured_secrets() -> Vec<Secret> {
    [TestSecret::Newest, TestSecret::Older].map(TestSecret::value).into()
}

/// The keys of the configured secrets for a cookie.
pub fn keyring(name: Name) -> &'static Keyring {
    static KEYRINGS: LazyLock<HashMap<Name, Keyring>> =
        LazyLock::new(|| Name::ALL.map(|name| (name, derive(name, &configured_secrets()))).into());
    &KEYRINGS[&name]
}

fn derive(name: Name, secrets: &[Secret]) -> Keyring {
    let name = CookieName::new(name.as_str()).expect("a name");
    Keyring::new(secrets, &name, Issuer::of(&name)).expect("derives")
}

/// The key and the algorithm of a token.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Seal {
    pub name: Name,
    pub secret: TestSecret,
    pub is_gcm: bool,
}

impl Seal {
    pub fn enc(self) -> ContentEncryption {
        // NextAuth v4 has GCM only.
        if self.is_gcm || self.name.is_v4() { ContentEncryption::A256Gcm } else { ContentEncryption::A256CbcHs512 }
    }

    fn key(self) -> &'static Key {
        static KEYRINGS: LazyLock<HashMap<(Name, TestSecret), Keyring>> = LazyLock::new(|| {
            let all = Name::ALL.into_iter().flat_map(|name| TestSecret::ALL.map(|secret| (name, secret)));
            all.map(|(name, secret)| ((name, secret), derive(name, &[secret.value()]))).collect()
        });
        KEYRINGS[&(self.name, self.secret)].candidates(self.enc(), None).next().expect("a key").1
    }

    pub fn kid(self) -> &'static str {
        self.key().kid()
    }

    /// Encrypts any plaintext under any header. The tag is right.
    pub fn seal(self, header: &str, plaintext: &[u8]) -> Parts {
        seal_with_header(self.key(), plaintext, header)
    }

    /// Whether a configured key of the cookie `name` is the token's key.
    fn is_configured_for(self, name: Name) -> bool {
        self.name.shares_keys_with(name) && self.secret != TestSecret::Unconfigured
    }
}

/// The protected header that the issuer of a cookie writes, in base64url.
pub fn issued_header(name: Name, secret: TestSecret) -> String {
    let seal = Seal { name, secret, is_gcm: false };
    let token = seal.seal(&ProtectedHeader::AsIssued.text(seal), b"").to_token();
    token.split('.').next().unwrap_or_default().to_owned()
}

/// A token for [`Name::Plain`] that encrypts whole blocks with CBC without padding them.
pub fn seal_unpadded(secret: TestSecret, blocks: &[u8]) -> String {
    let seal = Seal { name: Name::Plain, secret, is_gcm: false };
    seal_cbc(seal.key(), blocks, &ProtectedHeader::AsIssued.text(seal), &[7; 16]).to_token()
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub enum ProtectedHeader {
    /// The header that Auth.js writes.
    AsIssued,
    WithoutKid,
    /// Other text that parses to the same JSON.
    Respelled,
    WithType,
    KidOfOther,
    UnknownKid,
    KidNumber,
    Crit,
    Zip,
    Issuer,
    Subject,
    Audience,
    OtherAlg,
    OtherEnc,
    NoAlg,
    NoEnc,
    TooLong,
    NoObject,
}

impl ProtectedHeader {
    fn text(self, seal: Seal) -> String {
        let kid = if seal.name.is_v4() { String::new() } else { format!(r#","kid":"{}""#, seal.kid()) };
        let is_newest = seal.secret == TestSecret::Newest;
        let other = Seal { secret: if is_newest { TestSecret::Older } else { TestSecret::Newest }, ..seal };
        let enc = seal.enc().name();
        let with = |more: &str| format!(r#"{{"alg":"dir","enc":"{enc}"{more}}}"#);
        match self {
            Self::AsIssued => with(&kid),
            Self::WithoutKid => with(""),
            Self::Respelled => with(&kid).replacen('{', "{ ", 1),
            Self::WithType => with(&format!(r#"{kid},"typ":"JWT""#)),
            Self::KidOfOther => with(&format!(r#","kid":"{}""#, other.kid())),
            Self::UnknownKid => with(r#","kid":"x""#),
            Self::KidNumber => with(r#","kid":1"#),
            Self::Crit => with(&format!(r#"{kid},"crit":["exp"],"exp":1"#)),
            Self::Zip => with(&format!(r#"{kid},"zip":"DEF""#)),
            Self::Issuer => with(&format!(r#"{kid},"iss":"a""#)),
            Self::Subject => with(&format!(r#"{kid},"sub":"a""#)),
            Self::Audience => with(&format!(r#"{kid},"aud":["a"]"#)),
            Self::OtherAlg => with(&kid).replacen("dir", "A256KW", 1),
            Self::OtherEnc => with(&kid).replacen(enc, "A128CBC-HS256", 1),
            Self::NoAlg => with(&kid).replacen(r#""alg":"dir","#, "", 1),
            Self::NoEnc => with(&kid).replacen(&format!(r#","enc":"{enc}""#), "", 1),
            Self::TooLong => with(&format!(r#"{kid},"x":"{}""#, "x".repeat(1600))),
            Self::NoObject => "[]".to_owned(),
        }
    }

    fn is_accepted(self) -> bool {
        matches!(self, Self::AsIssued | Self::WithoutKid | Self::Respelled | Self::WithType)
    }
}

/// Whether a token of `seal` with this protected header may open.
pub fn may_be_accepted(header: &str, seal: Seal) -> bool {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(header) else {
        return false;
    };
    let is = |name: &str, expected: &str| fields.get(name).and_then(Value::as_str) == Some(expected);
    let has = |name: &&str| fields.contains_key(*name);
    is("alg", "dir")
        && is("enc", seal.enc().name())
        && (!has(&"kid") || is("kid", seal.kid()))
        && !["crit", "zip", "iss", "sub", "aud"].iter().any(has)
}

/// A change to a finished token.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Damage {
    None,
    /// Changes a byte of a part before it is encoded.
    Byte {
        part: Part,
        place: u16,
        change: u8,
    },
    Cut {
        part: Part,
        bytes: u8,
    },
    Grown {
        part: Part,
        byte: u8,
    },
    EncryptedKey,
    /// Replaces a character of the encoded token.
    Character {
        place: u16,
        ascii: u8,
    },
    PartMissing,
    PartTooMany,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Part {
    Header,
    Iv,
    Ciphertext,
    Tag,
}

impl Damage {
    fn apply(self, mut parts: Parts) -> String {
        match self {
            Self::None | Self::Character { .. } | Self::PartMissing | Self::PartTooMany => {}
            Self::Byte { part, place, change } => part.change(&mut parts, |bytes| {
                let place = usize::from(place) % bytes.len().max(1);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= change);
            }),
            Self::Cut { part, bytes: cut } => {
                part.change(&mut parts, |bytes| bytes.truncate(bytes.len().saturating_sub(cut.into())));
            }
            Self::Grown { part, byte } => part.change(&mut parts, |bytes| bytes.push(byte)),
            Self::EncryptedKey => parts.encrypted_key.push(0),
        }
        let mut token = parts.to_token();
        match self {
            Self::Character { place, ascii } => {
                let place = usize::from(place) % token.len();
                token.replace_range(place..=place, char::from(ascii & 0x7f).encode_utf8(&mut [0]));
            }
            Self::PartMissing => token.truncate(token.rfind('.').unwrap_or_default()),
            Self::PartTooMany => token.push_str(".AA"),
            _ => {}
        }
        token
    }
}

impl Part {
    fn change(self, parts: &mut Parts, change: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Header => {
                let mut bytes = std::mem::take(&mut parts.header).into_bytes();
                change(&mut bytes);
                parts.header = String::from_utf8_lossy(&bytes).into_owned();
            }
            Self::Iv => change(&mut parts.iv),
            Self::Ciphertext => change(&mut parts.ciphertext),
            Self::Tag => change(&mut parts.tag),
        }
    }
}

/// How to make a token from a plaintext.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Recipe {
    pub seal: Seal,
    pub header: ProtectedHeader,
    pub damage: Damage,
}

#[derive(Debug)]
pub struct Token {
    pub text: String,
    recipe: Recipe,
    is_whole: bool,
}

impl Recipe {
    pub fn make(self, plaintext: &[u8]) -> Token {
        let parts = self.seal.seal(&self.header.text(self.seal), plaintext);
        let whole = parts.to_token();
        let text = self.damage.apply(parts);
        Token { is_whole: text == whole, text, recipe: self }
    }
}

impl Token {
    /// Whether it must open as the value of the cookie `name`.
    pub fn opens_as(&self, name: Name) -> bool {
        self.is_whole && self.recipe.seal.is_configured_for(name) && self.recipe.header.is_accepted()
    }
}
