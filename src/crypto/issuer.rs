//! The library that encrypts a session cookie. It decides how the key is derived and what the token looks like.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::ContentEncryption;
use crate::cookie::CookieName;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Auth.js, which is next-auth 5 and `@auth/core`.
    AuthJs,
    /// next-auth 4. It writes and reads `A256GCM` only.
    NextAuth4,
}

impl Issuer {
    /// The issuer that uses this name by default.
    pub fn of(cookie: &CookieName) -> Self {
        match cookie.as_str() {
            "next-auth.session-token" | "__Secure-next-auth.session-token" => Self::NextAuth4,
            _ => Self::AuthJs,
        }
    }

    /// The `enc` of the tokens that it writes.
    pub fn enc(self) -> ContentEncryption {
        match self {
            Self::AuthJs => ContentEncryption::A256CbcHs512,
            Self::NextAuth4 => ContentEncryption::A256Gcm,
        }
    }

    /// The longest value of one cookie, in bytes; a longer token is cut into chunks (`CHUNK_SIZE` in `@auth/core`
    /// `lib/utils/cookie.js` and in next-auth 4 `core/lib/cookie.js`).
    pub fn max_cookie_value(self) -> usize {
        match self {
            Self::AuthJs => 3936,
            Self::NextAuth4 => 3933,
        }
    }

    /// The protected header that the issuer writes for the key with this `kid`, in base64url (`encode` in
    /// `@auth/core` `jwt.js` and in next-auth 4 `jwt/index.js`, which writes no `kid`).
    pub(super) fn protected_header(self, kid: &str) -> String {
        let enc = self.enc().name();
        BASE64_URL_SAFE_NO_PAD.encode(match self {
            Self::AuthJs => format!(r#"{{"alg":"dir","enc":"{enc}","kid":"{kid}"}}"#),
            Self::NextAuth4 => format!(r#"{{"alg":"dir","enc":"{enc}"}}"#),
        })
    }

    /// `getDerivedEncryptionKey` in `@auth/core` `jwt.js` and in next-auth 4 `jwt/index.js`.
    pub(super) fn salt_and_info(self, cookie: &CookieName) -> (&str, String) {
        match self {
            Self::AuthJs => (cookie.as_str(), format!("Auth.js Generated Encryption Key ({})", cookie.as_str())),
            Self::NextAuth4 => ("", "NextAuth.js Generated Encryption Key".to_owned()),
        }
    }
}
