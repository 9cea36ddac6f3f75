//! The keys of one session cookie, and which of them may open a token.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::{ContentEncryption, Issuer, Key, Secret};
use crate::cookie::CookieName;
use crate::error::Error;
use crate::redacted::redacted;

/// One key for each secret of the rotation list and each `enc`, newest secret first.
#[derive(Debug)]
pub struct Keyring {
    cbc: Vec<Key>,
    gcm: Vec<Key>,
    issued: Vec<IssuedHeader>,
}

/// A protected header exactly as the issuer writes it, and the keys that may have sealed its token.
struct IssuedHeader {
    /// In base64url, as in the token.
    text: String,
    enc: ContentEncryption,
    keys: Range<usize>,
}

redacted!(IssuedHeader);

impl Keyring {
    pub fn new(secrets: &[Secret], cookie: &CookieName, issuer: Issuer) -> Result<Self, Error> {
        let derive = |enc| {
            secrets
                .iter()
                .map(|secret| Key::new(secret, cookie, issuer, enc))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|cause| Error::Internal(format!("key derivation: {cause}")))
        };
        let cbc = match issuer {
            Issuer::AuthJs => derive(ContentEncryption::A256CbcHs512)?,
            Issuer::NextAuth4 => Vec::new(),
        };
        let gcm = derive(ContentEncryption::A256Gcm)?;
        let enc = issuer.enc();
        let header = |key: &Key, keys| IssuedHeader { text: issuer.protected_header(key.kid()), enc, keys };
        let issued = match issuer {
            Issuer::AuthJs => cbc.iter().enumerate().map(|(index, key)| header(key, index..index + 1)).collect(),
            // Without a `kid` the header is the same for all keys.
            Issuer::NextAuth4 => gcm.first().map(|key| header(key, 0..gcm.len())).into_iter().collect(),
        };
        Ok(Self { cbc, gcm, issued })
    }

    /// The keys that may open a token, each with the place of its secret: the one that `kid` names, or all if there is no `kid`.
    pub fn candidates(&self, enc: ContentEncryption, kid: Option<&str>) -> impl Iterator<Item = (usize, &Key)> {
        self.keys(enc).iter().enumerate().filter(move |(_, key)| kid.is_none_or(|kid| kid == key.kid()))
    }

    /// The same for a protected header in base64url, if it is exactly what the issuer writes; `None` for any other.
    pub fn issued_candidates(&self, header: &str) -> Option<impl Iterator<Item = (usize, &Key)>> {
        let issued = self.issued.iter().find(|issued| issued.text == header)?;
        Some(issued.keys.clone().zip(self.keys(issued.enc).get(issued.keys.clone())?))
    }

    /// The key that the issuer would seal with for the secret at `index`, and its protected header in base64url.
    pub fn sealing_key(&self, index: usize) -> Option<(&Key, &str)> {
        let issued = self.issued.iter().find(|issued| issued.keys.contains(&index))?;
        Some((self.keys(issued.enc).get(index)?, &issued.text))
    }

    fn keys(&self, enc: ContentEncryption) -> &[Key] {
        match enc {
            ContentEncryption::A256CbcHs512 => &self.cbc,
            ContentEncryption::A256Gcm => &self.gcm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ContentEncryption::{A256CbcHs512, A256Gcm};
    use super::*;

    fn keyring(cookie: &str, secrets: &[&str]) -> Keyring {
        let secrets: Vec<_> = secrets.iter().filter_map(|secret| Secret::new((*secret).to_owned())).collect();
        let cookie = CookieName::new(cookie).expect("a name");
        Keyring::new(&secrets, &cookie, Issuer::of(&cookie)).expect("derives")
    }

    #[test]
    fn kid_chooses_among_the_candidates() {
        let keyring = keyring("authjs.session-token", &["new", "old"]);
        for enc in [A256CbcHs512, A256Gcm] {
            let all: Vec<_> = keyring.candidates(enc, None).map(|(_, key)| key).collect();
            assert_eq!(all.len(), 2);
            let old = all[1].kid();
            let chosen: Vec<_> = keyring.candidates(enc, Some(old)).map(|(place, key)| (place, key.kid())).collect();
            assert_eq!(chosen, [(1, old)]);
            assert_eq!(keyring.candidates(enc, Some("other")).count(), 0);
        }
    }

    #[test]
    fn next_auth_4_has_no_cbc_key() {
        assert_eq!(keyring("next-auth.session-token", &["secret"]).candidates(A256CbcHs512, None).count(), 0);
    }

    #[test]
    fn the_sealing_key_is_that_of_the_secret_with_the_enc_of_the_issuer() {
        for (cookie, enc) in [("authjs.session-token", A256CbcHs512), ("next-auth.session-token", A256Gcm)] {
            let keyring = keyring(cookie, &["new", "old"]);
            for (index, expected) in keyring.candidates(enc, None) {
                let (key, header) = keyring.sealing_key(index).expect("a key");
                assert_eq!(key.kid(), expected.kid(), "{cookie} {index}");
                assert!(keyring.issued_candidates(header).is_some(), "{cookie} {index}");
            }
            assert!(keyring.sealing_key(2).is_none(), "{cookie}");
        }
    }

    #[test]
    fn debug_leaks_nothing() {
        let keyring = keyring("authjs.session-token", &["hunter2"]);
        let shown = "Keyring { cbc: [Key(..)], gcm: [Key(..)], issued: [IssuedHeader(..)] }";
        assert_eq!(format!("{keyring:?}"), shown);
    }
}
