//! The pipeline: a `Cookie` header comes in, the body of `GET /api/auth/session` goes out.
#![forbid(unsafe_code)]

mod explain;

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use crate::claims::{Claims, ClaimsError};
use crate::config::{Config, SessionCookie};
use crate::cookie::{CookieName, MAX_HEADER_BYTES, SizeError};
use crate::error::Error;
use crate::key::Keyring;
use crate::revocation::{Liveness, RevocationSource, RowExpiry, SessionRecord};
use crate::session::{Session, UNAUTHENTICATED_BODY};
use crate::token::{self, TokenError};

/// Why a request has no session, as far as the cookie tells.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unauthenticated {
    #[error("no session cookie")]
    NoCookie,
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// Reads sessions: opens the cookie, then asks `S` whether the session still lives.
#[derive(Debug)]
pub struct Bridge<S> {
    /// In order of preference: the first name that a request has is the one that counts.
    cookies: Vec<(CookieName, Keyring)>,
    row_expiry: RowExpiry,
    revocation: S,
    /// The lookups in flight; closed by `close`.
    lookups: TaskTracker,
}

impl<S: RevocationSource + 'static> Bridge<S> {
    pub fn new(config: Config, revocation: S) -> Result<Self, Error> {
        let with_keys = |SessionCookie { name, issuer }| {
            let keyring = Keyring::new(&config.secrets, &name, issuer)?;
            Ok((name, keyring))
        };
        Ok(Self {
            cookies: config.cookies.into_iter().map(with_keys).collect::<Result<_, _>>()?,
            row_expiry: config.row_expiry,
            revocation,
            lookups: TaskTracker::new(),
        })
    }

    /// All that needs no database: cookie, token, claims. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the bridge is closed; never for what the client sent.
    pub fn read(&self, cookie_header: &str, now: u64) -> Result<Result<Session, Unauthenticated>, Error> {
        if self.lookups.is_closed() {
            return Err(Error::Closed);
        }
        Ok(self.open(cookie_header, now))
    }

    /// The body for a session that was read: the object if it lives, else `{}`. The lookup counts
    /// as in flight from this call on, not from its first poll.
    pub fn confirm(self: &Arc<Self>, session: Session) -> impl Future<Output = Result<String, Error>> + Send + use<S> {
        let bridge = Arc::clone(self);
        let lookup = async move {
            match bridge.look_up(&session).await? {
                (Liveness::Live, _) => Ok(session.body),
                _ => Ok(UNAUTHENTICATED_BODY.to_owned()),
            }
        };
        self.track(lookup)
    }

    /// Refuses calls from now on, lets those in flight have their answer, then ends every connection.
    pub fn close(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<S> {
        self.lookups.close();
        let bridge = Arc::clone(self);
        async move {
            bridge.lookups.wait().await;
            bridge.revocation.close();
        }
    }

    fn open(&self, cookie_header: &str, now: u64) -> Result<Session, Unauthenticated> {
        if cookie_header.len() > MAX_HEADER_BYTES {
            return Err(SizeError::HeaderTooLarge { bytes: cookie_header.len() }.into());
        }
        let (cookie, keyring) = self
            .cookies
            .iter()
            .find_map(|(name, keyring)| Some((name.find(cookie_header)?, keyring)))
            .ok_or(Unauthenticated::NoCookie)?;
        let mut refusal = Unauthenticated::NoCookie;
        for reading in cookie.readings() {
            match read_token(reading, keyring, now) {
                Ok(session) => return Ok(session),
                // The reason of the reading that came furthest.
                Err(reason) if reason.step() >= refusal.step() => refusal = reason,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    async fn look_up(&self, session: &Session) -> Result<(Liveness, Option<SessionRecord>), Error> {
        let record = self.revocation.find(session.key).await?;
        Ok((Liveness::of(record.as_ref(), &session.holder, self.row_expiry), record))
    }

    /// In flight from now on, not from its first poll; a panic in it is an error.
    fn track<T, Call>(&self, call: Call) -> impl Future<Output = Result<T, Error>> + Send + use<S, T, Call>
    where
        Call: Future<Output = Result<T, Error>> + Send,
    {
        let caught = AssertUnwindSafe(call)
            .catch_unwind()
            .map(|outcome| outcome.unwrap_or_else(|payload| Err(Error::panicked(payload))));
        self.lookups.track_future(caught)
    }
}

impl Unauthenticated {
    /// How far the request came.
    fn step(&self) -> u8 {
        match self {
            Self::NoCookie => 0,
            Self::Size(_) => 1,
            Self::Token(_) => 2,
            Self::Claims(_) => 3,
        }
    }
}

fn read_token(reading: Result<Cow<str>, SizeError>, keyring: &Keyring, now: u64) -> Result<Session, Unauthenticated> {
    let plaintext = token::open(&reading?, keyring)?;
    let claims = Claims::parse(&plaintext, now)?;
    Ok(Session::from_claims(&claims)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::{Value, json};
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;
    use crate::config::Database;
    use crate::key::{ContentEncryption, Issuer, Secret};
    use crate::revocation::{SessionEnd, SessionKey};
    use crate::token::forge;

    const NOW: u64 = 1_700_000_000;
    const ENC: ContentEncryption = ContentEncryption::A256CbcHs512;
    const PLAIN: &str = "authjs.session-token";
    const SECURE: &str = "__Secure-authjs.session-token";

    /// Answers each lookup with the same, once `gate` is open.
    #[derive(Debug)]
    struct Fake {
        answer: Result<Option<SessionRecord>, Error>,
        asked: Mutex<Vec<SessionKey>>,
        gate: Option<Notify>,
        closed: AtomicBool,
    }

    impl RevocationSource for Arc<Fake> {
        async fn find(&self, key: SessionKey) -> Result<Option<SessionRecord>, Error> {
            self.asked.lock().expect("no panic").push(key);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            assert!(!self.closed.load(Ordering::SeqCst), "asked after close");
            self.answer.clone()
        }

        async fn find_end(&self, _: SessionKey) -> Result<Option<SessionEnd>, Error> {
            Ok(None)
        }

        fn close(&self) {
            self.closed.store(true, Ordering::SeqCst);
        }
    }

    fn fake(answer: Result<Option<SessionRecord>, Error>) -> Arc<Fake> {
        Arc::new(Fake { answer, asked: Mutex::default(), gate: None, closed: AtomicBool::new(false) })
    }

    fn live() -> Result<Option<SessionRecord>, Error> {
        Ok(Some(SessionRecord {
            user_id: Some(Uuid::from_u128(1)),
            revoked: false,
            expired: false,
            user_type: Some("internal".to_owned()),
        }))
    }

    fn secret() -> Secret {
        Secret::new("secret".to_owned()).expect("a secret")
    }

    fn bridge(names: &[&str], source: &Arc<Fake>) -> Arc<Bridge<Arc<Fake>>> {
        let config = Config {
            secrets: vec![secret()],
            cookies: names.iter().map(|name| SessionCookie::by_name(name).expect("a name")).collect(),
            database: Database::Variables(Box::default()),
            row_expiry: RowExpiry::Checked,
            warnings: Vec::new(),
        };
        Arc::new(Bridge::new(config, Arc::clone(source)).expect("a bridge"))
    }

    fn keyring(name: &str) -> Keyring {
        Keyring::new(&[secret()], &CookieName::new(name).expect("a name"), Issuer::AuthJs).expect("derives")
    }

    /// A token of user 1 in tenant 2 for `session`, made for the cookie `name`.
    fn token(name: &str, session: u128, exp: u64) -> String {
        let keyring = keyring(name);
        let key = keyring.candidates(ENC, None).next().expect("a key");
        let [user, tenant, session] = [1, 2, session].map(Uuid::from_u128);
        let claims = format!(
            r#"{{"exp":{exp},"id":"{user}","tenant":"{tenant}","session_id":"{session}","user_type":"internal"}}"#
        );
        forge::seal(key, ENC, &claims).to_token()
    }

    fn session_of(outcome: &Result<Session, Unauthenticated>) -> Result<u128, Unauthenticated> {
        match outcome {
            Ok(session) => Ok(session.key.session_id.as_u128()),
            Err(reason) => Err(reason.clone()),
        }
    }

    #[test]
    fn which_cookie_is_read() {
        let source = fake(live());
        let plain = token(PLAIN, 3, NOW + 60);
        let secure = token(SECURE, 4, NOW + 60);
        let expired = token(PLAIN, 5, NOW - 60);
        let (start, end) = plain.split_at(200);
        let kid = keyring(SECURE).candidates(ENC, None).next().map(|key| key.kid().to_owned());
        let foreign = Err(Unauthenticated::Token(TokenError::NoMatchingSecret { enc: ENC, kid }));
        let malformed = || Err(Unauthenticated::Token(TokenError::Malformed));
        let expiry = Err(Unauthenticated::Claims(ClaimsError::Expired { exp: (NOW - 60) as f64, now: NOW }));
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
            ("plain where only secure counts", &[SECURE], format!("{PLAIN}={plain}"), Err(Unauthenticated::NoCookie)),
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
            ("expired", either, format!("{PLAIN}={expired}"), expiry),
        ] {
            let outcome = bridge(names, &source).read(&header, NOW).expect("no error");
            assert_eq!(session_of(&outcome), expected, "{case}");
        }
        assert!(source.asked.lock().expect("no panic").is_empty(), "reading asks no database");
    }

    fn read(bridge: &Bridge<Arc<Fake>>) -> Session {
        let header = format!("{PLAIN}={}", token(PLAIN, 3, NOW + 60));
        let outcome = bridge.read(&header, NOW).expect("no error");
        outcome.expect("a session")
    }

    /// The files that vitest compares with Auth.js itself.
    #[test]
    fn vectors() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/__test__/vectors");
        let files = std::fs::read_dir(folder).expect("the folder of vectors");
        let paths = files.map(|file| file.expect("a file").path());
        let mut read = 0;
        for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
            let text = std::fs::read_to_string(&path).expect("a file of vectors");
            let file: Value = serde_json::from_str(&text).expect("JSON");
            for vector in file["vectors"].as_array().expect("a list") {
                let source = fake(live());
                let bridge = bridge_of(vector, &source);
                let header = vector["header"].as_str().expect("a header");
                let outcome = match bridge.read(header, vector["now"].as_u64().expect("a time")) {
                    Ok(Ok(session)) => json!({"body": serde_json::from_str::<Value>(&session.body).expect("JSON")}),
                    Ok(Err(reason)) => json!({"refused": reason.to_string()}),
                    Err(error) => panic!("{error}"),
                };
                assert_eq!(outcome, vector["outcome"], "{}: {}", path.display(), vector["case"]);
                read += 1;
            }
        }
        assert!(read > 20, "only {read} vectors");
    }

    fn bridge_of(vector: &Value, source: &Arc<Fake>) -> Arc<Bridge<Arc<Fake>>> {
        let secrets = vector["secrets"].as_array().expect("a list");
        let secret = |text: &Value| Secret::new(text.as_str().expect("a text").to_owned()).expect("a secret");
        let config = Config {
            secrets: secrets.iter().map(secret).collect(),
            cookies: vec![SessionCookie::by_name(vector["name"].as_str().expect("a name")).expect("a name")],
            database: Database::Variables(Box::default()),
            row_expiry: RowExpiry::Checked,
            warnings: Vec::new(),
        };
        Arc::new(Bridge::new(config, Arc::clone(source)).expect("a bridge"))
    }

    #[tokio::test]
    async fn debug_shows_nothing_of_a_session_or_a_secret() {
        let source = fake(live());
        let bridge = bridge(&[PLAIN], &source);
        let session = read(&bridge);
        let record = source.find(session.key).await;
        let shown = format!("{session:?} {:?} {:?} {record:?} {bridge:?}", session.key, session.holder);
        assert!(
            shown.starts_with("Session(..) SessionKey(..) Holder(..) Ok(Some(SessionRecord(..))) Bridge"),
            "{shown}"
        );
        assert!(!shown.contains("0000-"), "{shown}");
    }

    #[tokio::test]
    async fn only_a_live_session_has_a_body() {
        let refused = Error::Query("broken".to_owned());
        for (answer, expected) in [
            (live(), None),
            (Ok(None), Some(Ok(UNAUTHENTICATED_BODY.to_owned()))),
            (Err(refused.clone()), Some(Err(refused))),
        ] {
            let source = fake(answer);
            let bridge = bridge(&[PLAIN], &source);
            let session = read(&bridge);
            let expected = expected.unwrap_or_else(|| Ok(session.body.clone()));
            let key = session.key;
            assert_eq!(bridge.confirm(session).await, expected);
            assert_eq!(*source.asked.lock().expect("no panic"), [key]);
        }
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        let source = fake(live());
        let bridge = bridge(&[PLAIN], &source);
        let session = read(&bridge);
        source.close(); // without the bridge's knowledge: the fake panics
        let error = bridge.confirm(session).await.expect_err("panicked");
        assert_eq!(error.code(), "ERR_AUTH_BRIDGE_INTERNAL");
    }

    #[tokio::test]
    async fn close_waits_for_calls_in_flight_and_refuses_new_ones() {
        let source = Arc::new(Fake {
            answer: live(),
            asked: Mutex::default(),
            gate: Some(Notify::new()),
            closed: AtomicBool::new(false),
        });
        let bridge = bridge(&[PLAIN], &source);
        // Neither is polled before both are made.
        let in_flight = bridge.confirm(read(&bridge));
        let closing = bridge.close();
        assert_eq!(bridge.read("", NOW).err(), Some(Error::Closed));
        let open_gate = async {
            assert!(!source.closed.load(Ordering::SeqCst));
            source.gate.as_ref().expect("a gate").notify_one();
        };
        let (answer, (), ()) = futures_util::future::join3(in_flight, closing, open_gate).await;
        assert!(answer.expect("an answer").contains("session_id"));
        assert!(source.closed.load(Ordering::SeqCst));
        bridge.close().await;
    }
}
