//! Whole requests, and the responses that they must get.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use authjs_bridge::bridge::Bridge;
use authjs_bridge::claims::UNAUTHENTICATED_BODY;
use authjs_bridge::config::{Config, Database, Limits, Location, SessionCookie};
use authjs_bridge::error::Error;
use authjs_bridge::store::RowExpiry;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::allocations::Budget;
use crate::claims::{Expected, NOW};
use crate::cookies::readings;
use crate::database::{Channels, FakeDatabase, Row};
use crate::tokens::{Name, Recipe, Token, configured_secrets};

/// The budgets for the protected header and for the claims; joining, decoding and decrypting the token
/// takes less. An explanation joins chunks up to sixteen times, but holds one token at a time.
const BUDGET: Budget = Budget { base: 128 * 1024, multiple: 32 };

/// The claims of the second cookie. The explanation must not contain the e-mail address.
const SECOND_CLAIMS: &str = r#"{"exp":1800000060,"id":"0b8f6d4e-0000-4000-8000-000000000004",
    "tenant":"0b8f6d4e-0000-4000-8000-000000000005","session_id":"0b8f6d4e-0000-4000-8000-000000000006",
    "user_type":"client","email":"grace@example.com"}"#;

/// A request, with the configuration and the state of the database.
#[derive(Arbitrary, Debug)]
pub struct Request<'a> {
    cookie_setup: CookieSetup,
    row: Row,
    /// The cookie whose claims are in `rest`.
    first: Cookie,
    second: Option<Cookie>,
    first_goes_last: bool,
    /// Values above 170 add a cookie of `padding - 170` KiB.
    padding: u8,
    /// A line of other cookies, then the claims of the first cookie.
    rest: &'a [u8],
}

/// The cookies that the bridge reads, in order of preference.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum CookieSetup {
    Default,
    Plain,
    V4,
    FromV4ToV5,
}

/// A token, and how it is sent.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Cookie {
    recipe: Recipe,
    sent_as: Name,
    shape: Shape,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Shape {
    Whole,
    PercentEncoded,
    Chunks { bytes: u8 },
    ChunksBackwards { bytes: u8 },
    ChunksAndStale { bytes: u8 },
    ChunkMissing { bytes: u8, place: u8 },
}

impl CookieSetup {
    const ALL: [Self; 4] = [Self::Default, Self::Plain, Self::V4, Self::FromV4ToV5];

    fn names(self) -> &'static [Name] {
        match self {
            Self::Default => &[Name::Secure, Name::Plain],
            Self::Plain => &[Name::Plain],
            Self::V4 => &[Name::SecureV4],
            Self::FromV4ToV5 => &[Name::Secure, Name::SecureV4, Name::Plain, Name::PlainV4],
        }
    }

    fn bridge(self) -> &'static TestBridge {
        static ALL: LazyLock<[TestBridge; 4]> = LazyLock::new(|| CookieSetup::ALL.map(TestBridge::new));
        &ALL[self as usize]
    }
}

/// A bridge with its fake database.
struct TestBridge {
    bridge: Bridge<&'static FakeDatabase, Channels>,
    database: &'static FakeDatabase,
}

/// Runs queries on this thread, while it waits for their result.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

impl TestBridge {
    fn new(setup: CookieSetup) -> Self {
        let cookie = |name: &Name| SessionCookie::by_name(name.as_str()).expect("a name");
        let config = Config {
            ignored_cookie: None,
            secrets: configured_secrets(),
            cookies: setup.names().iter().map(cookie).collect(),
            database: Database::at(Location::default()),
            row_expiry: RowExpiry::Checked,
            limits: Limits::default(),
            warnings: Vec::new(),
        };
        let database: &FakeDatabase = Box::leak(Box::default());
        let bridge = Bridge::new(config, database, Channels, RUNTIME.handle().clone());
        let bridge = bridge.expect("a bridge");
        Self { bridge, database }
    }

    /// `getSession` as the binding implements it.
    fn get_session(&self, header: &str) -> Result<String, Error> {
        let Some(sessions) = self.bridge.read_and_count(header, NOW)? else {
            return Ok(UNAUTHENTICATED_BODY.to_owned());
        };
        let (call, answer) = oneshot::channel();
        self.bridge.confirm(sessions.identities(), call);
        let verdict = RUNTIME.block_on(answer).expect("an answer")?;
        let session = if verdict.is_live() { sessions.take(verdict.place) } else { None };
        Ok(session.map_or_else(|| UNAUTHENTICATED_BODY.to_owned(), |session| session.body))
    }

    fn explain_session(&self, header: &str) -> String {
        let explanation = self.bridge.explain(header, NOW).expect("is open");
        RUNTIME.block_on(explanation).expect("an explanation").to_json()
    }
}

impl Request<'_> {
    /// Asserts that the session and the explanation are right.
    pub fn assert(&self) {
        let (others, claims) = split_line(self.rest);
        let first = self.first.recipe.make(claims);
        let second = self.second.map(|cookie| (cookie, cookie.recipe.make(SECOND_CLAIMS.as_bytes())));
        let header = self.header(&others, &first, second.as_ref());

        let mut tokens = vec![(&first, claims)];
        tokens.extend(second.as_ref().map(|(_, token)| (token, SECOND_CLAIMS.as_bytes())));
        let expected = self.expected(&header, &tokens);

        let bridge = self.cookie_setup.bridge();
        bridge.database.set_sessions(self.row, &expected);
        let body = BUDGET.assert(header.len(), || bridge.get_session(&header));
        let is_newest_enough = matches!(self.row, Row::Live | Row::Outage);
        let lookups = if is_newest_enough { expected.len().min(1) } else { expected.len() };
        assert_eq!(bridge.database.lookups(), lookups, "lookups");
        let explanation = BUDGET.assert(header.len(), || bridge.explain_session(&header));

        match (&expected[..], self.row) {
            ([], _) => assert_eq!(body.as_deref(), Ok("{}")),
            ([newest, ..], Row::Live) => newest.assert_body(&body.expect("a body")),
            (_, Row::Outage) => {
                assert_eq!(body.expect_err("an outage").code(), "ERR_AUTH_BRIDGE_DATABASE");
            }
            ([_, second, ..], _) => second.assert_body(&body.expect("a body")),
            ([_], _) => assert_eq!(body.as_deref(), Ok("{}")),
        }
        self.assert_explanation(&explanation, &expected);
        for (token, _) in tokens {
            assert_no_part_of(token, &explanation);
        }
        assert!(!explanation.contains("grace@"), "{explanation}");
    }

    fn header(&self, others: &str, first: &Token, second: Option<&(Cookie, Token)>) -> String {
        let mut cookies = vec![others.to_owned(), self.first.to_header(first)];
        cookies.extend(second.map(|(cookie, token)| cookie.to_header(token)));
        if self.first_goes_last {
            cookies.reverse();
        }
        // In two of three requests there is none.
        let padding = usize::from(self.padding.saturating_sub(170)) * 1024;
        if padding > 0 {
            cookies.insert(0, format!("padding={}", "x".repeat(padding)));
        }
        cookies.join("; ")
    }

    /// The sessions of all readings that open and have valid claims, of the names with the strongest prefix that the
    /// header has: newest first, each session once.
    fn expected(&self, header: &str, tokens: &[(&Token, &[u8])]) -> Vec<Expected> {
        let found = self.cookie_setup.names().iter().filter_map(|name| Some((*name, readings(name.as_str(), header)?)));
        let found: Vec<_> = found.collect();
        let is_secure = found.iter().any(|(name, _)| name.is_secure());
        let mut sessions = Vec::new();
        for (name, readings) in found.into_iter().filter(|(name, _)| name.is_secure() == is_secure) {
            for reading in readings {
                let opened = tokens.iter().find(|(token, _)| token.text == reading && token.opens_as(name));
                sessions.extend(opened.and_then(|(_, plaintext)| Expected::of(plaintext)));
            }
        }
        sessions.sort_by(|one: &Expected, other| other.issued_at.total_cmp(&one.issued_at));
        let mut newest: Vec<Expected> = Vec::new();
        for session in sessions {
            let is_known = |known: &Expected| (known.tenant, known.session_id) == (session.tenant, session.session_id);
            if !newest.iter().any(is_known) {
                newest.push(session);
            }
        }
        newest
    }

    fn assert_explanation(&self, json: &str, expected: &[Expected]) {
        let explanation: Value = serde_json::from_str(json).expect("JSON");
        let (status, reason) = (explanation["status"].as_str(), explanation["reason"].as_str());
        let is_newest_enough = matches!(self.row, Row::Live | Row::Outage);
        let (row, session) = match expected {
            [_, second, ..] if !is_newest_enough => (Row::Live, Some(second)),
            sessions => (self.row, sessions.first()),
        };
        let Some(session) = session else {
            assert_eq!(status, Some("unauthenticated"), "{json}");
            assert_eq!(explanation.get("session"), None, "{json}");
            assert!(!["live", "session-revoked", "database-unavailable"].map(Some).contains(&reason), "{json}");
            return;
        };
        let outcome = match row {
            Row::Live => ("authenticated", "live"),
            Row::Missing => ("unauthenticated", "session-unknown"),
            Row::Revoked => ("unauthenticated", "session-revoked"),
            Row::Expired => ("unauthenticated", "session-expired"),
            Row::OtherUser => ("unauthenticated", "user-mismatch"),
            Row::UserGone => ("unauthenticated", "user-gone"),
            Row::OtherUserType => ("unauthenticated", "user-type-changed"),
            Row::Outage => ("unavailable", "database-unavailable"),
        };
        assert_eq!((status, reason), (Some(outcome.0), Some(outcome.1)), "{json}");
        let ids = ["sessionId", "tenant", "userId"].map(|name| explanation["session"][name].as_str());
        let expected = [session.session_id, session.tenant, session.user_id].map(|id| id.to_string());
        assert_eq!(ids, expected.each_ref().map(|id| Some(id.as_str())), "{json}");
    }
}

impl Cookie {
    fn to_header(self, token: &Token) -> String {
        let name = self.sent_as.as_str();
        let chunks = |bytes: u8| {
            // At least 64 characters, or the names of the chunks alone could exceed the limit of the header.
            let characters: Vec<_> = token.text.chars().collect();
            let chunks = characters.chunks(usize::from(bytes) + 64).map(|chunk| chunk.iter().collect::<String>());
            chunks.enumerate().map(|(index, chunk)| format!("{name}.{index}={chunk}")).collect::<Vec<_>>()
        };
        match self.shape {
            Shape::Whole => format!("{name}={}", token.text),
            Shape::PercentEncoded => format!("{name}={}", token.text.replace('.', "%2E")),
            Shape::Chunks { bytes } => chunks(bytes).join("; "),
            Shape::ChunksBackwards { bytes } => chunks(bytes).into_iter().rev().collect::<Vec<_>>().join(";"),
            Shape::ChunksAndStale { bytes } => {
                let mut chunks = chunks(bytes);
                chunks.push(format!("{name}.{}=stale", chunks.len()));
                chunks.join("; ")
            }
            Shape::ChunkMissing { bytes, place } => {
                let mut chunks = chunks(bytes);
                chunks.remove(usize::from(place) % chunks.len());
                chunks.join("; ")
            }
        }
    }
}

fn split_line(bytes: &[u8]) -> (String, &[u8]) {
    let (line, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    (String::from_utf8_lossy(line).into_owned(), rest)
}

/// The first characters of the `kid` may be in the explanation.
fn assert_no_part_of(token: &Token, explanation: &str) {
    const MIN_LENGTH: usize = 20;
    for part in token.text.split('.').filter(|part| part.len() >= MIN_LENGTH) {
        let start = part.get(..MIN_LENGTH).unwrap_or(part);
        assert!(!explanation.contains(start), "a part of the token: {explanation}");
    }
}
