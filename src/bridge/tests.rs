//! Tests of the pipeline with a fake store.

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::claims::ClaimsError;
use crate::config::{Database, Limits, Location, Secrets};
use crate::cookie::{Attributes, CookieName, SizeError};
use crate::crypto::{ContentEncryption, Issuer, Secret, ShortKid};
use crate::lookups::Channels;
use crate::runtime;
use crate::store::fake::{Fake, live_record, number};
use crate::store::{SessionRecord, UserRow};
use crate::token::{TokenError, forge};

const NOW: u64 = 1_700_000_000;
const ENC: ContentEncryption = ContentEncryption::A256CbcHs512;
const PLAIN: &str = "authjs.session-token";
const SECURE: &str = "__Secure-authjs.session-token";

/// Not used, since the store is a fake.
fn unused_database() -> Database {
    Database::at(Location::default())
}

fn secret() -> Secret {
    Secret::new("secret".to_owned()).expect("a secret")
}

fn cookie(name: &str) -> (SessionCookie, Attributes) {
    (SessionCookie::by_name(name).expect("a name"), Attributes::default())
}

fn bridge(names: &[&str], store: &Arc<Fake>) -> Bridge<Arc<Fake>, Channels> {
    let config = Config {
        ignored_cookie: None,
        secrets: Secrets::of_option(vec![secret()]),
        cookies: names.iter().map(|name| cookie(name)).collect(),
        database: unused_database(),
        rolling: Rolling::default(),
        migrates_cookies: false,
        limits: Limits::default(),
        warnings: Vec::new(),
    };
    Bridge::new(config, Arc::clone(store), Channels, runtime::handle().expect("runs").clone()).expect("a bridge")
}

fn keyring(name: &str) -> Keyring {
    Keyring::new(&[secret()], &CookieName::new(name).expect("a name"), Issuer::AuthJs).expect("derives")
}

/// A token of user 1 in tenant 2 for `session`, made for the cookie `name`.
fn token(name: &str, session: u128, exp: u64) -> String {
    let keyring = keyring(name);
    let (_, key) = keyring.candidates(ENC, None).next().expect("a key");
    let [user, tenant, session] = [1, 2, session].map(Uuid::from_u128);
    let claims =
        format!(r#"{{"exp":{exp},"id":"{user}","tenant":"{tenant}","session_id":"{session}","user_type":"internal"}}"#);
    forge::seal(key, &claims).to_token()
}

fn session_of(outcome: &Result<Candidates<Session>, Unauthenticated>) -> Result<u128, Unauthenticated> {
    match outcome {
        Ok(sessions) => Ok(number(&sessions.newest.identity.lookup.key)),
        Err(reason) => Err(reason.clone()),
    }
}

#[test]
fn the_first_accepted_name_is_read_whole_or_in_chunks() {
    let store = Arc::new(Fake::live());
    let plain = token(PLAIN, 3, NOW + 60);
    let secure = token(SECURE, 4, NOW + 60);
    let expired = token(PLAIN, 5, NOW - 60);
    let (start, end) = plain.split_at(200);
    let kid = keyring(SECURE).candidates(ENC, None).next().and_then(|(_, key)| ShortKid::of(key.kid()));
    let foreign = Err(Unauthenticated::Token(TokenError::NoMatchingSecret { enc: ENC, kid }));
    let malformed = || Err(Unauthenticated::Token(TokenError::Malformed));
    let expiry = || Err(Unauthenticated::Claims(ClaimsError::Expired { exp: (NOW - 60) as f64, now: NOW }));
    let bytes = PLAIN.len() + plain.len() + "=; a=".len() + 65_536;
    let too_large = Err(Unauthenticated::Size(SizeError::HeaderTooLarge { bytes }));
    let either = &[SECURE, PLAIN] as &[_];
    for (case, names, header, expected) in [
        ("none", either, "a=b".to_owned(), Err(Unauthenticated::NoCookie)),
        ("plain", either, format!("{PLAIN}={plain}"), Ok(3)),
        ("secure", either, format!("{SECURE}={secure}"), Ok(4)),
        ("both", either, format!("{PLAIN}={plain}; {SECURE}={secure}"), Ok(4)),
        ("bad secure beside good plain", either, format!("{PLAIN}={plain}; {SECURE}=x"), malformed()),
        (
            "empty secure beside good plain",
            either,
            format!("{PLAIN}={plain}; {SECURE}="),
            Err(Unauthenticated::Size(SizeError::Empty)),
        ),
        ("secure chunk beside good plain", either, format!("{PLAIN}={plain}; {SECURE}.0=x"), malformed()),
        ("look-alike of secure beside good plain", either, format!("{PLAIN}={plain}; {SECURE}.3000=x"), Ok(3)),
        ("later chunk of secure beside good plain", either, format!("{PLAIN}={plain}; {SECURE}.1=x"), Ok(3)),
        ("plain, but only secure is accepted", &[SECURE], format!("{PLAIN}={plain}"), Err(Unauthenticated::NoCookie)),
        ("token of the other name", either, format!("{PLAIN}={secure}"), foreign),
        ("chunks", either, format!("{PLAIN}.1={end}; {PLAIN}.0={start}"), Ok(3)),
        ("whole beside stale chunks", either, format!("{PLAIN}.0=x; {PLAIN}={plain}; {PLAIN}.1=y"), Ok(3)),
        ("chunks beside a stale whole", either, format!("{PLAIN}.0={start}; {PLAIN}=x; {PLAIN}.1={end}"), Ok(3)),
        (
            "chunks beside an expired whole",
            either,
            format!("{PLAIN}={expired}; {PLAIN}.0={start}; {PLAIN}.1={end}"),
            Ok(3),
        ),
        ("expired", either, format!("{PLAIN}={expired}"), expiry()),
        ("expired whole beside a stale chunk", either, format!("{PLAIN}={expired}; {PLAIN}.0=x"), expiry()),
        ("too large", either, format!("{PLAIN}={plain}; a={}", "x".repeat(65_536)), too_large),
    ] {
        let outcome = bridge(names, &store).read(&header, NOW).expect("no error");
        assert_eq!(session_of(&outcome), expected, "{case}");
    }
    assert!(store.batches().is_empty(), "reading queries no database");
}

fn read(bridge: &Bridge<Arc<Fake>, Channels>) -> Session {
    let header = format!("{PLAIN}={}", token(PLAIN, 3, NOW + 60));
    let outcome = bridge.read(&header, NOW).expect("no error");
    outcome.expect("a session").newest
}

/// vitest compares the same files with Auth.js itself.
#[test]
fn vectors_give_the_documented_results() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/__test__/vectors");
    let files = std::fs::read_dir(folder).expect("the folder of vectors");
    let paths = files.map(|file| file.expect("a file").path());
    let mut read = 0;
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let text = std::fs::read_to_string(&path).expect("a file of vectors");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        for vector in file["vectors"].as_array().expect("a list") {
            let bridge = bridge_of(vector);
            let header = vector["header"].as_str().expect("a header");
            let outcome = match bridge.read(header, vector["now"].as_u64().expect("a time")) {
                Ok(Ok(sessions)) => {
                    let body = sessions.newest.body.render(None);
                    json!({"body": serde_json::from_str::<Value>(&body).expect("JSON")})
                }
                Ok(Err(reason)) => json!({"refused": reason.to_string()}),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(outcome, vector["outcome"], "{}: {}", path.display(), vector["case"]);
            read += 1;
        }
    }
    assert!(read > 20, "only {read} vectors");
}

fn bridge_of(vector: &Value) -> Bridge<Arc<Fake>, Channels> {
    let secrets = vector["secrets"].as_array().expect("a list");
    let secret = |text: &Value| Secret::new(text.as_str().expect("a text").to_owned()).expect("a secret");
    let config = Config {
        ignored_cookie: None,
        secrets: Secrets::of_option(secrets.iter().map(secret).collect()),
        cookies: vec![cookie(vector["name"].as_str().expect("a name"))],
        database: unused_database(),
        rolling: Rolling::default(),
        migrates_cookies: false,
        limits: Limits::default(),
        warnings: Vec::new(),
    };
    Bridge::new(config, Arc::new(Fake::live()), Channels, runtime::handle().expect("runs").clone()).expect("a bridge")
}

#[tokio::test]
async fn explanations_of_cookies_that_are_empty_or_too_large() {
    let bridge = bridge(&[PLAIN], &Arc::new(Fake::live()));
    for (header, expected) in [
        (format!("{PLAIN}="), "empty-cookie"),
        (format!("{PLAIN}={}", "x".repeat(32_769)), "token-too-large"),
        (format!("a={}", "x".repeat(65_536)), "header-too-large"),
    ] {
        let explanation = bridge.explain(&header, NOW).expect("is open").await.expect("an explanation");
        assert_eq!(json!(explanation)["reason"], expected);
    }
}

#[tokio::test]
async fn explanations_of_each_verdict() {
    let with = |change: &dyn Fn(&mut SessionRecord)| {
        let mut record = live_record();
        change(&mut record);
        Some(record)
    };
    for (answer, expected) in [
        (with(&|_| {}), "live"),
        (None, "session-unknown"),
        (with(&|record| record.revoked = true), "session-revoked"),
        (with(&|record| record.expired = true), "session-expired"),
        (with(&|record| record.too_old = true), "session-too-old"),
        (with(&|record| record.is_of_user = false), "user-mismatch"),
        (with(&|record| record.user = UserRow::Missing), "user-gone"),
        (with(&|record| record.user = UserRow::OfType("client".to_owned())), "user-type-changed"),
    ] {
        let bridge = bridge(&[PLAIN], &Arc::new(Fake::new(Ok(answer))));
        let header = format!("{PLAIN}={}", token(PLAIN, 3, NOW + 60));
        let explanation = bridge.explain(&header, NOW).expect("is open").await.expect("an explanation");
        assert_eq!(json!(explanation)["reason"], expected);
    }
}

#[tokio::test]
async fn a_token_that_auth_js_issues_anew_is_slid_and_checked() {
    let with = |change: &dyn Fn(&mut SessionRecord)| {
        let mut record = live_record();
        change(&mut record);
        Some(record)
    };
    let [user, tenant, session] = [1, 2, 3].map(Uuid::from_u128);
    let claims = |rolled_at: u64| {
        json!({"exp": NOW + 600, "iat": NOW, "id": user, "tenant": tenant, "session_id": session, "user_type": "internal",
               "rolled_at": rolled_at})
        .to_string()
    };
    let live = |claims: &str| format!(r#"{{"state":"live","session":{{"session_id":"{session}","user""#) + claims;
    for (case, answer, rolled_at, start, end) in [
        ("due", with(&|_| {}), NOW - 300, live(""), format!(r#""claims":{{"rolled_at":{NOW}}}}}"#)),
        ("not due", with(&|_| {}), NOW - 299, live(""), r#""claims":{}}"#.to_owned()),
        ("revoked", with(&|record| record.revoked = true), NOW, r#"{"state":"ended"}"#.to_owned(), String::new()),
        ("expired", with(&|record| record.expired = true), NOW, r#"{"state":"ended"}"#.to_owned(), String::new()),
        ("too old", with(&|record| record.too_old = true), NOW, r#"{"state":"ended"}"#.to_owned(), String::new()),
        ("unknown", None, NOW, r#"{"state":"not-live"}"#.to_owned(), String::new()),
        (
            "of another user",
            with(&|record| record.is_of_user = false),
            NOW,
            r#"{"state":"not-live"}"#.to_owned(),
            String::new(),
        ),
    ] {
        let bridge = bridge(&[PLAIN], &Arc::new(Fake::new(Ok(answer))));
        let rolled = bridge.roll(&claims(rolled_at), NOW).await.expect("an answer").to_json();
        assert!(rolled.starts_with(&start) && rolled.ends_with(&end), "{case}: {rolled}");
    }
    let store = Arc::new(Fake::new(Err(Error::Closed)));
    let bridge = bridge(&[PLAIN], &store);
    assert_eq!(bridge.roll("{}", NOW).await.expect("an answer").to_json(), r#"{"state":"not-live"}"#);
    assert!(store.batches().is_empty(), "without a session nothing is queried");
    assert_eq!(bridge.roll(&claims(NOW), NOW).await.err(), Some(Error::Closed));
}

#[test]
fn the_sessions_that_cookies_name_are_those_of_all_classes() {
    let bridge = bridge(&[SECURE, PLAIN], &Arc::new(Fake::live()));
    let (plain, secure) = (token(PLAIN, 3, NOW + 60), token(SECURE, 4, NOW + 60));
    let expired = token(PLAIN, 5, NOW - 60);
    for (case, header, expected) in [
        ("none", "a=b".to_owned(), &[] as &[_]),
        ("both classes", format!("{PLAIN}={plain}; {SECURE}={secure}"), &[4, 3]),
        ("several of one name", format!("{PLAIN}=x; {PLAIN}={plain}; {PLAIN}={expired}; {PLAIN}={plain}"), &[3]),
        ("too large", format!("{PLAIN}={plain}; a={}", "x".repeat(65_536)), &[]),
    ] {
        let named = bridge.reader.named(&header, bridge.at(NOW));
        let named: Vec<_> = named.iter().map(|identity| number(&identity.lookup.key)).collect();
        assert_eq!(named, expected, "{case}");
    }
}

#[test]
fn auth_js_is_configured_as_the_bridge_is() {
    let options = |names: &[&str]| json!(bridge(names, &Arc::new(Fake::live())).issuer_options().expect("has a cookie"));
    let cookie = |name: &str| {
        json!({"name": name, "options": {"httpOnly": true, "sameSite": "lax", "path": "/", "secure": true}})
    };
    let expected = options(&[SECURE, PLAIN]);
    assert_eq!(expected["cookie"], cookie(SECURE));
    assert_eq!(expected["issuer"], "authjs");
    assert_eq!(expected["secrets"], json!(["secret"]));
    assert_eq!(expected["ownerClaims"], json!(["tenant", "id", "user_type"]));
    assert_eq!(options(&["next-auth.session-token", PLAIN])["issuer"], "next-auth-v4");
    let header = format!("{PLAIN}=a; {SECURE}.0=b; c=d");
    let deleted = bridge(&[SECURE, PLAIN], &Arc::new(Fake::live())).deleted_cookies(&header).expect("has a cookie");
    assert_eq!(deleted, [format!("{PLAIN}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax")]);
}

#[tokio::test(start_paused = true)]
async fn an_explanation_is_bounded_by_the_call_timeout() {
    let limit = Limits::default().call_timeout;
    let store = Arc::new(Fake::new(Ok(Some(SessionRecord { revoked: true, ..live_record() }))).gated());
    let bridge = bridge(&[PLAIN], &store);
    let header = format!("{PLAIN}={}", token(PLAIN, 3, NOW + 60));
    let start = Instant::now();
    let explaining = tokio::spawn(bridge.explain(&header, NOW).expect("is open"));
    tokio::time::sleep(limit / 2).await;
    // Answers the session query, but not the query of how the session ended.
    store.gate.add_permits(1);
    let explanation = explaining.await.expect("no panic").expect("an explanation");
    assert_eq!(json!(explanation)["reason"], "session-revoked");
    assert_eq!(start.elapsed().as_millis(), limit.as_millis());
}

#[tokio::test]
async fn an_internal_error_rejects_instead_of_an_explanation() {
    let bug = Error::Internal("bug".to_owned());
    let bridge = bridge(&[PLAIN], &Arc::new(Fake::new(Err(bug.clone()))));
    let header = format!("{PLAIN}={}", token(PLAIN, 3, NOW + 60));
    let explanation = bridge.explain(&header, NOW).expect("is open").await;
    assert_eq!(explanation.err(), Some(bug));
}

#[tokio::test]
async fn a_closed_bridge_rejects() {
    let bridge = bridge(&[PLAIN], &Arc::new(Fake::live()));
    bridge.lookups().close().await;
    assert_eq!(bridge.read("", NOW).err(), Some(Error::Closed));
    assert_eq!(bridge.read_and_count("", NOW).err(), Some(Error::Closed));
}

#[test]
fn debug_shows_neither_a_session_nor_a_secret() {
    let store = Arc::new(Fake::live());
    let bridge = bridge(&[PLAIN], &store);
    let session = read(&bridge);
    let record = live_record();
    let lookup = &session.identity.lookup;
    let shown = format!("{session:?} {lookup:?} {:?} {:?} {record:?} {bridge:?}", lookup.key, lookup.user_id);
    assert!(shown.starts_with("Session(..) Lookup(..) SessionKey(..) Id(..) SessionRecord(..) Bridge"), "{shown}");
    assert!(!shown.contains("0000-"), "{shown}");
}
