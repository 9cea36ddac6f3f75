//! Each attack is also tried on unmodified josekit; the last column of the table is its result.

use std::panic::{AssertUnwindSafe, catch_unwind};

use josekit::jwe::zip::Def;
use josekit::jwe::{Dir, JweCompression, JweContext};
use proptest::prelude::*;

use super::forge::{Parts, pad, seal as forge, seal_cbc, seal_with_header, seal_with_iv};
use super::*;
use crate::cookie::CookieName;
use crate::crypto::ContentEncryption::{A256CbcHs512, A256Gcm};
use crate::crypto::{CBC_DECRYPTED, ContentEncryption, Issuer, Key, Keyring, Secret, ShortKid, derive};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const PLAINTEXT: &str = r#"{"exp":4102444800}"#;

fn open(token: &str, keyring: &Keyring) -> Result<Vec<u8>, TokenError> {
    super::open(token, keyring).map(|opened| opened.plaintext)
}

fn keyring(secrets: &[&str]) -> Keyring {
    let secrets: Vec<_> = secrets.iter().filter_map(|secret| Secret::new((*secret).to_owned())).collect();
    let name = CookieName::new("authjs.session-token").expect("a name");
    Keyring::new(&secrets, &name, Issuer::AuthJs).expect("derives")
}

fn key(keyring: &Keyring, enc: ContentEncryption) -> &Key {
    keyring.candidates(enc, None).next().expect("a key").1
}

/// A valid token; the cases below change it.
fn good(keyring: &Keyring, enc: ContentEncryption) -> Parts {
    forge(key(keyring, enc), PLAINTEXT)
}

#[derive(Debug, PartialEq, Eq)]
enum Stock {
    Opens,
    Refuses,
    Panics,
}

/// The bytes of the key of [`keyring`] for `enc`.
fn key_bytes(enc: ContentEncryption) -> Vec<u8> {
    let secret = Secret::new("secret".to_owned()).expect("a secret");
    let name = CookieName::new("authjs.session-token").expect("a name");
    derive(&secret, &name, Issuer::AuthJs, enc).expect("derives").to_vec()
}

fn stock_josekit(token: &str, enc: ContentEncryption) -> Stock {
    let decrypter = Dir.decrypter_from_bytes(key_bytes(enc)).expect("a decrypter");
    let open = || JweContext::new().deserialize_compact(token, &decrypter);
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(_)) => Stock::Opens,
        Ok(Err(_)) => Stock::Refuses,
        Err(_) => Stock::Panics,
    }
}

#[test]
fn attacks_are_refused_without_a_panic() {
    use TokenError::{Malformed, Undecryptable};
    let unsupported = |field| TokenError::UnsupportedHeader(vec![field]);
    let keyring = keyring(&["secret"]);
    let cbc = good(&keyring, A256CbcHs512);
    let gcm = good(&keyring, A256Gcm);
    let cbc_key = key(&keyring, A256CbcHs512);
    let gcm_key = key(&keyring, A256Gcm);
    let change = |parts: &Parts, change: &dyn Fn(&mut Parts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        parts.to_token()
    };
    let with_header = |header: &str| seal_with_header(cbc_key, PLAINTEXT.as_bytes(), header).to_token();
    let flip_tag = |parts: &mut Parts| parts.tag[0] ^= 1;
    let bad_padding = || seal_cbc(cbc_key, &[0x11; 32], &cbc.header, &[7; 16]);
    let bomb = Def.compress(&vec![b' '; 50_000_000]).expect("deflates");

    let cases = [
        // name, token, outcome, unmodified josekit
        ("CBC: bad padding", bad_padding().to_token(), Undecryptable, Stock::Refuses),
        ("CBC: bad padding and bad tag", change(&bad_padding(), &flip_tag), Undecryptable, Stock::Refuses),
        ("CBC: bad tag", change(&cbc, &flip_tag), Undecryptable, Stock::Refuses),
        ("CBC: no whole block", change(&cbc, &|parts| parts.ciphertext.truncate(17)), Undecryptable, Stock::Refuses),
        ("CBC: no ciphertext", change(&cbc, &|parts| parts.ciphertext.clear()), Undecryptable, Stock::Refuses),
        ("CBC: no tag", change(&cbc, &|parts| parts.tag.clear()), Undecryptable, Stock::Refuses),
        ("CBC: tag of 16 bytes", change(&cbc, &|parts| parts.tag.truncate(16)), Undecryptable, Stock::Refuses),
        ("CBC: tag of 33 bytes", change(&cbc, &|parts| parts.tag.push(0)), Undecryptable, Stock::Refuses),
        (
            "CBC: empty IV",
            seal_cbc(cbc_key, &pad(PLAINTEXT.as_bytes()), &cbc.header, &[]).to_token(),
            Undecryptable,
            Stock::Panics,
        ),
        (
            "CBC: IV of 8 bytes",
            seal_cbc(cbc_key, &pad(PLAINTEXT.as_bytes()), &cbc.header, &[7; 8]).to_token(),
            Undecryptable,
            Stock::Panics,
        ),
        ("GCM: bad tag", change(&gcm, &flip_tag), Undecryptable, Stock::Refuses),
        ("GCM: no tag", change(&gcm, &|parts| parts.tag.clear()), Undecryptable, Stock::Refuses),
        ("GCM: no ciphertext", change(&gcm, &|parts| parts.ciphertext.clear()), Undecryptable, Stock::Refuses),
        ("GCM: tag of 1 byte", change(&gcm, &|parts| parts.tag.truncate(1)), Undecryptable, Stock::Opens),
        ("GCM: tag of 4 bytes", change(&gcm, &|parts| parts.tag.truncate(4)), Undecryptable, Stock::Opens),
        ("GCM: tag of 8 bytes", change(&gcm, &|parts| parts.tag.truncate(8)), Undecryptable, Stock::Opens),
        ("GCM: tag of 15 bytes", change(&gcm, &|parts| parts.tag.truncate(15)), Undecryptable, Stock::Opens),
        ("GCM: tag of 17 bytes", change(&gcm, &|parts| parts.tag.push(0)), Undecryptable, Stock::Refuses),
        ("GCM: IV of 13 bytes", change(&gcm, &|parts| parts.iv.push(0)), Undecryptable, Stock::Refuses),
        ("GCM: empty IV", change(&gcm, &|parts| parts.iv.clear()), Undecryptable, Stock::Panics),
        (
            "GCM: IV of 8 bytes",
            seal_with_iv(gcm_key, PLAINTEXT.as_bytes(), &gcm.header, &[7; 8]).to_token(),
            Undecryptable,
            Stock::Opens,
        ),
        (
            "crit",
            with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","crit":["exp"],"exp":1}"#),
            unsupported("crit"),
            Stock::Opens,
        ),
        ("crit: null", with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","crit":null}"#), Malformed, Stock::Refuses),
        (
            "zip: 50 MB",
            seal_with_header(cbc_key, &bomb, r#"{"alg":"dir","enc":"A256CBC-HS512","zip":"DEF"}"#).to_token(),
            unsupported("zip"),
            Stock::Opens,
        ),
        (
            "zip: unknown",
            with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","zip":"GZIP"}"#),
            unsupported("zip"),
            Stock::Refuses,
        ),
        ("iss", with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","iss":"a"}"#), unsupported("iss"), Stock::Opens),
        ("sub", with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","sub":"a"}"#), unsupported("sub"), Stock::Opens),
        ("aud", with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","aud":["a"]}"#), unsupported("aud"), Stock::Opens),
        (
            "header of more than 2 KiB",
            with_header(&format!(r#"{{"alg":"dir","enc":"A256CBC-HS512","x":"{}"}}"#, "x".repeat(1500))),
            Malformed,
            Stock::Opens,
        ),
        ("alg: A256KW", with_header(r#"{"alg":"A256KW","enc":"A256CBC-HS512"}"#), unsupported("alg"), Stock::Refuses),
        ("alg: DIR", with_header(r#"{"alg":"DIR","enc":"A256CBC-HS512"}"#), unsupported("alg"), Stock::Refuses),
        ("alg: missing", with_header(r#"{"enc":"A256CBC-HS512"}"#), unsupported("alg"), Stock::Refuses),
        ("enc: missing", with_header(r#"{"alg":"dir"}"#), unsupported("enc"), Stock::Refuses),
        (
            "enc: A128CBC-HS256",
            with_header(r#"{"alg":"dir","enc":"A128CBC-HS256"}"#),
            unsupported("enc"),
            Stock::Refuses,
        ),
        ("enc: lower case", with_header(r#"{"alg":"dir","enc":"a256cbc-hs512"}"#), unsupported("enc"), Stock::Refuses),
        ("kid: a number", with_header(r#"{"alg":"dir","enc":"A256CBC-HS512","kid":1}"#), Malformed, Stock::Refuses),
        ("encrypted key", change(&cbc, &|parts| parts.encrypted_key = vec![1]), Undecryptable, Stock::Refuses),
        ("four parts", cbc.to_token().rsplit_once('.').expect("parts").0.to_owned(), Malformed, Stock::Refuses),
        ("six parts", cbc.to_token() + ".AA", Malformed, Stock::Refuses),
        ("nothing", String::new(), Malformed, Stock::Refuses),
        ("five empty parts", "....".to_owned(), Malformed, Stock::Refuses),
        ("header no JSON", change(&cbc, &|parts| parts.header = "{".to_owned()), Malformed, Stock::Refuses),
        ("header of depth 10000", with_header(&"[".repeat(10_000)), Malformed, Stock::Refuses),
        ("a field of depth 700", with_header(&deep_field(700)), Malformed, Stock::Refuses),
        ("padded base64", cbc.to_token() + "=", Malformed, Stock::Refuses),
        ("base64 with white space", cbc.to_token().replacen('.', ". ", 1), Malformed, Stock::Refuses),
        ("not ASCII", cbc.to_token() + "é", Malformed, Stock::Refuses),
    ];
    for (name, token, expected, stock) in cases {
        assert_eq!(open(&token, &keyring), Err(expected), "{name}");
        let enc = if name.starts_with("GCM") { A256Gcm } else { A256CbcHs512 };
        assert_eq!(stock_josekit(&token, enc), stock, "unmodified josekit: {name}");
    }
}

/// A header that is short enough to be parsed.
fn deep_field(depth: usize) -> String {
    let value = "[".repeat(depth) + &"]".repeat(depth);
    let header = format!(r#"{{"alg":"dir","enc":"A256CBC-HS512","x":{value}}}"#);
    assert!(header.len() < MAX_PROTECTED_HEADER_BYTES);
    header
}

#[test]
fn unmodified_josekit_tells_bad_padding_from_a_bad_tag_and_ours_does_not() {
    let keyring = keyring(&["secret"]);
    let key = key(&keyring, A256CbcHs512);
    let bad_padding = seal_cbc(key, &[0x11; 32], &good(&keyring, A256CbcHs512).header, &[7; 16]);
    let mut bad_tag = good(&keyring, A256CbcHs512);
    bad_tag.tag[0] ^= 1;

    let stock = |parts: &Parts| {
        let decrypter = Dir.decrypter_from_bytes(key_bytes(A256CbcHs512)).expect("a decrypter");
        let error = JweContext::new().deserialize_compact(parts.to_token(), &decrypter);
        error.expect_err("is refused").to_string()
    };
    assert_ne!(stock(&bad_padding), stock(&bad_tag));
    for parts in [&bad_padding, &bad_tag] {
        assert_eq!(open(&parts.to_token(), &keyring), Err(TokenError::Undecryptable));
    }
}

#[test]
fn nothing_is_decrypted_unless_the_tag_is_right() {
    let keyring = keyring(&["secret"]);
    let decrypted = |parts: &Parts| {
        let _ = open(&parts.to_token(), &keyring);
        CBC_DECRYPTED.take()
    };
    let good = good(&keyring, A256CbcHs512);
    let zeros = vec![0; good.ciphertext.len()];
    let mut bad_tag = good.clone();
    bad_tag.tag[0] ^= 1;
    let mut bad_ciphertext = good.clone();
    bad_ciphertext.ciphertext[0] ^= 1;
    let bad_padding = seal_cbc(key(&keyring, A256CbcHs512), &[0x11; 32], &good.header, &[7; 16]);
    assert_eq!(decrypted(&good), good.ciphertext);
    assert_eq!(decrypted(&bad_padding), bad_padding.ciphertext);
    assert_eq!(decrypted(&bad_tag), zeros);
    assert_eq!(decrypted(&bad_ciphertext), zeros);
}

#[test]
fn a_token_opens_with_the_secret_that_made_it() {
    let old = keyring(&["old"]);
    let rotated = keyring(&["new", "old"]);
    let foreign = keyring(&["foreign"]);
    for enc in [A256CbcHs512, A256Gcm] {
        let kid = ShortKid::of(key(&old, enc).kid());
        let token = good(&old, enc).to_token();
        assert_eq!(open(&token, &old).as_deref(), Ok(PLAINTEXT.as_bytes()), "{enc:?}");
        assert_eq!(open(&token, &rotated).as_deref(), Ok(PLAINTEXT.as_bytes()), "{enc:?} rotated");
        assert_eq!(open(&token, &foreign), Err(TokenError::NoMatchingSecret { enc, kid }), "{enc:?} foreign");
    }
}

fn next_auth_4(secrets: &[&str]) -> Keyring {
    let secrets: Vec<_> = secrets.iter().filter_map(|secret| Secret::new((*secret).to_owned())).collect();
    let name = CookieName::new("next-auth.session-token").expect("a name");
    Keyring::new(&secrets, &name, Issuer::NextAuth4).expect("derives")
}

/// As next-auth 4 writes it: without `kid`.
fn v4_token(secret: &str) -> Parts {
    let key = next_auth_4(&[secret]);
    seal_with_header(self::key(&key, A256Gcm), PLAINTEXT.as_bytes(), r#"{"alg":"dir","enc":"A256GCM"}"#)
}

#[test]
fn an_issued_header_selects_the_same_keys_as_a_parsed_one() {
    let v5 = keyring(&["new", "old"]);
    let v4 = next_auth_4(&["new", "old"]);
    for (secret, keyring, parts) in [
        ("new", &v5, good(&keyring(&["new"]), A256CbcHs512)),
        ("old", &v5, good(&keyring(&["old"]), A256CbcHs512)),
        ("new", &v4, v4_token("new")),
        ("old", &v4, v4_token("old")),
    ] {
        let issued_by = if std::ptr::eq(keyring, &v5) { self::keyring(&[secret]) } else { next_auth_4(&[secret]) };
        let enc = if std::ptr::eq(keyring, &v5) { A256CbcHs512 } else { A256Gcm };
        let rewritten = parts.header.replacen('{', "{ ", 1);
        let rewritten = seal_with_header(key(&issued_by, enc), PLAINTEXT.as_bytes(), &rewritten);
        for (parts, is_issued) in [(&parts, true), (&rewritten, false)] {
            let token = parts.to_token();
            let header = token.split('.').next().expect("a header");
            assert_eq!(keyring.issued_candidates(header).is_some(), is_issued, "{enc:?} {secret}");
            assert_eq!(open(&token, keyring).as_deref(), Ok(PLAINTEXT.as_bytes()), "{enc:?} {secret}");
            let mut bad = parts.clone();
            bad.encrypted_key = vec![1];
            assert_eq!(open(&bad.to_token(), keyring), Err(TokenError::Undecryptable));
        }
    }
    let foreign = v4_token("foreign").to_token();
    assert_eq!(open(&foreign, &v4), Err(TokenError::Undecryptable));
}

#[test]
fn debug_shows_no_kid() {
    let kid = ShortKid::of(key(&keyring(&["secret"]), A256Gcm).kid());
    assert!(kid.is_some());
    let error = TokenError::NoMatchingSecret { enc: A256Gcm, kid };
    assert_eq!(format!("{error:?}"), "kid names none of the secrets");
}

#[test]
fn without_kid_every_secret_is_tried() {
    let header = r#"{"alg":"dir","enc":"A256CBC-HS512"}"#;
    let third = keyring(&["third"]);
    let key = key(&third, A256CbcHs512);
    let token = seal_with_header(key, PLAINTEXT.as_bytes(), header).to_token();

    let all = keyring(&["first", "second", "third"]);
    assert_eq!(open(&token, &all).as_deref(), Ok(PLAINTEXT.as_bytes()));
    let others = keyring(&["first", "second"]);
    assert_eq!(open(&token, &others), Err(TokenError::Undecryptable));
}

#[test]
fn the_kid_decides_even_if_another_key_would_open_the_token() {
    let keyring = keyring(&["first", "second"]);
    let mut keys = keyring.candidates(A256CbcHs512, None).map(|(_, key)| key);
    let (first, second) = (keys.next().expect("a key"), keys.next().expect("a key"));
    let header = format!(r#"{{"alg":"dir","enc":"A256CBC-HS512","kid":"{}"}}"#, second.kid());
    let token = seal_with_header(first, PLAINTEXT.as_bytes(), &header).to_token();
    assert_eq!(open(&token, &keyring), Err(TokenError::Undecryptable));
}

/// The tokens of these files were written by Auth.js and next-auth 4.
#[test]
fn sealing_writes_what_the_issuer_writes() {
    for (file, issuer, name) in [
        ("authjs.json", Issuer::AuthJs, "authjs.session-token"),
        ("next-auth-4.json", Issuer::NextAuth4, "next-auth.session-token"),
    ] {
        let path = format!("{}/__test__/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a file of vectors");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut compared = 0;
        for vector in vectors["vectors"].as_array().expect("a list") {
            let secret = vector["secrets"][0].as_str().expect("a secret");
            let header = vector["header"].as_str().expect("a header");
            let Some(token) = header.strip_prefix(&format!("{name}=")).filter(|_| vector["name"] == name) else {
                continue;
            };
            let secrets = [Secret::new(secret.to_owned()).expect("a secret")];
            let keyring = Keyring::new(&secrets, &CookieName::new(name).expect("a name"), issuer).expect("derives");
            let Ok(plaintext) = open(token, &keyring) else { continue };
            let iv = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(2).expect("an IV")).expect("base64url");
            let (key, header) = keyring.sealing_key(0).expect("a key");
            let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url");
            let sealed = seal_with_iv(key, &plaintext, std::str::from_utf8(&header).expect("UTF-8"), &iv);
            assert_eq!(sealed.to_token(), token, "{file}: {}", vector["case"]);
            compared += 1;
        }
        assert!(compared > 0, "{file}: no token was compared");
    }
}

#[test]
fn sealed_tokens_open_and_have_different_ivs() {
    for keyring in [keyring(&["new", "old"]), next_auth_4(&["new", "old"])] {
        let iv = |token: &str| token.split('.').nth(2).map(str::to_owned);
        let [one, other] = [0, 1].map(|secret| seal(PLAINTEXT.as_bytes(), &keyring, secret).expect("seals"));
        assert_eq!(open(&one, &keyring).as_deref(), Ok(PLAINTEXT.as_bytes()));
        assert_eq!(open(&other, &keyring).as_deref(), Ok(PLAINTEXT.as_bytes()));
        assert_ne!(iv(&one), iv(&other));
        let error = seal(PLAINTEXT.as_bytes(), &keyring, 2).expect_err("has no third secret");
        assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
    }
    let old = seal(PLAINTEXT.as_bytes(), &keyring(&["new", "old"]), 1).expect("seals");
    assert_eq!(open(&old, &keyring(&["old"])).as_deref(), Ok(PLAINTEXT.as_bytes()), "sealed with the old secret");
}

proptest! {
    #[test]
    fn any_plaintext_is_restored(plaintext in "\\PC{0,400}", gcm: bool) {
        let keyring = keyring(&["secret"]);
        let enc = if gcm { A256Gcm } else { A256CbcHs512 };
        let token = forge(key(&keyring, enc), &plaintext).to_token();
        prop_assert_eq!(open(&token, &keyring), Ok(plaintext.into_bytes()));
    }

    #[test]
    fn a_token_with_one_byte_changed_is_refused(
        kind in 0..3,
        place: prop::sample::Index,
        byte in b' '..=b'~',
    ) {
        let (keyring, token) = match kind {
            0 => (keyring(&["secret"]), good(&keyring(&["secret"]), A256CbcHs512)),
            1 => (keyring(&["secret"]), good(&keyring(&["secret"]), A256Gcm)),
            _ => (next_auth_4(&["new", "secret"]), v4_token("secret")),
        };
        let mut token = token.to_token().into_bytes();
        let place = place.index(token.len());
        prop_assume!(token[place] != byte);
        token[place] = byte;
        let token = std::str::from_utf8(&token).expect("ASCII");
        prop_assert!(open(token, &keyring).is_err());
    }

    #[test]
    fn nothing_panics(token in "[a-zA-Z0-9_-]{0,40}(\\.[a-zA-Z0-9_-]{0,40}){0,5}|\\PC{0,80}") {
        prop_assert!(open(&token, &keyring(&["secret"])).is_err());
    }
}
