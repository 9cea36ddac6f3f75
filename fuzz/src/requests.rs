//! Whole requests, and the responses that they must get.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use authjs_bridge::bridge::Bridge;
use authjs_bridge::claims::{Rolling, UNAUTHENTICATED_BODY};
use authjs_bridge::config::{Config, Database, Limits, Location, Secrets, SessionCookie};
use authjs_bridge::cookie::Attributes;
use authjs_bridge::error::Error;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::allocations::Budget;
use crate::claims::{Expected, FreshClaims, NOW};
use crate::cookies::readings;
use crate::database::{Channels, Contents, DATABASE, FakeDatabase, Row};
use crate::json::split_line;
use crate::setup::{IdColumn, Ids, Setup};
use crate::tokens::{Name, Recipe, Token, configured_secrets};

/// The budgets for the protected header and for the claims; joining, decoding and decrypting the token
/// takes less. An explanation joins chunks up to sixteen times, but holds one token at a time.
const BUDGET: Budget = Budget { base: 128 * 1024, multiple: 32 };

/// A request, with the configuration and the state of the database.
#[derive(Arbitrary, Debug)]
pub struct Request<'a> {
    cookie_setup: CookieSetup,
    setup: Setup,
    /// Whether there was a query before.
    knows_types: bool,
    row: Row,
    /// The cookie whose claims are in `rest`.
    first: Cookie,
    second: Option<Cookie>,
    first_goes_last: bool,
    /// Values above 170 add a cookie of `padding - 170` KiB.
    padding: u8,
    /// A line of other cookies, a line with the fresh claims of the first cookie's session, then the claims of that cookie.
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
    fn names(self) -> &'static [Name] {
        match self {
            Self::Default => &[Name::Secure, Name::Plain],
            Self::Plain => &[Name::Plain],
            Self::V4 => &[Name::SecureV4],
            Self::FromV4ToV5 => &[Name::Secure, Name::SecureV4, Name::Plain, Name::PlainV4],
        }
    }
}

/// Runs queries on this thread, while it waits for their result.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

struct TestBridge(Bridge<&'static FakeDatabase, Channels>);

impl TestBridge {
    fn new(cookies: CookieSetup, setup: &Setup) -> Self {
        let cookie = |name: &Name| (SessionCookie::by_name(name.as_str()).expect("a name"), Attributes::default());
        let config = Config {
            ignored_cookie: None,
            secrets: Secrets::of_option(configured_secrets()),
            cookies: cookies.names().iter().map(cookie).collect(),
            database: Database { schema: setup.schema(), ..Database::at(Location::default()) },
            rolling: Rolling::default(),
            migrates_cookies: false,
            limits: Limits::default(),
            warnings: Vec::new(),
        };
        Self(Bridge::new(config, &DATABASE, Channels, RUNTIME.handle().clone()).expect("a bridge"))
    }

    /// `getSession` as the binding implements it.
    fn get_session(&self, header: &str) -> Result<String, Error> {
        let Some(sessions) = self.0.read_and_count(header, NOW)? else {
            return Ok(UNAUTHENTICATED_BODY.to_owned());
        };
        let (call, answer) = oneshot::channel();
        self.0.confirm(sessions.identities(), call);
        let verdict = RUNTIME.block_on(answer).expect("an answer")?;
        let session = if verdict.is_live() { sessions.take(verdict.place) } else { None };
        Ok(session.map_or_else(
            || UNAUTHENTICATED_BODY.to_owned(),
            |session| session.body.render(verdict.record.and_then(|record| record.fresh).as_deref()),
        ))
    }

    fn explain_session(&self, header: &str) -> String {
        let explanation = self.0.explain(header, NOW).expect("is open");
        RUNTIME.block_on(explanation).expect("an explanation").to_json()
    }

    fn close(self) {
        RUNTIME.block_on(self.0.lookups().close());
    }
}

/// A session that the request stands for, and what the database says of it.
struct Candidate {
    session: Expected,
    row: Row,
    /// Whether the columns can hold its ids.
    fits: bool,
}

impl Request<'_> {
    /// Asserts that the session and the explanation are right.
    pub fn assert(&self) {
        let (others, rest) = split_line(self.rest);
        let (line, claims) = split_line(rest);
        let second_claims = second_claims(self.setup.ids);
        let first = self.first.recipe.make(claims);
        let second = self.second.map(|cookie| (cookie, cookie.recipe.make(second_claims.as_bytes())));
        let header = self.header(&others, &first, second.as_ref());

        let mut tokens = vec![(&first, claims, FreshClaims::parse(&line, &self.setup))];
        let without = FreshClaims::parse("", &self.setup);
        tokens.extend(second.as_ref().map(|(_, token)| (token, second_claims.as_bytes(), without)));
        let candidates = self.candidates(&header, &tokens);
        let contents = Contents {
            sessions: candidates.iter().map(|candidate| (candidate.row, candidate.session.clone())).collect(),
            user_check: self.setup.user_check,
            ids: self.setup.ids,
            knows_types: self.knows_types,
            lookups: 0,
        };

        let bridge = TestBridge::new(self.cookie_setup, &self.setup);
        let input_bytes = header.len() + line.len();
        DATABASE.set(contents.clone());
        let body = BUDGET.assert(input_bytes, || bridge.get_session(&header));
        let newest = candidates.first().map(|candidate| candidate.row);
        let lookups = if let Some(Row::Live | Row::Outage) = newest { 1 } else { candidates.len() };
        assert_eq!(DATABASE.lookups(), lookups, "lookups");
        DATABASE.set(contents);
        let explanation = BUDGET.assert(input_bytes, || bridge.explain_session(&header));
        bridge.close();

        let live = candidates.iter().find(|candidate| candidate.row == Row::Live);
        match (newest, live) {
            (Some(Row::Outage), _) => assert_eq!(body.expect_err("an outage").code(), "ERR_AUTH_BRIDGE_DATABASE"),
            (_, Some(live)) => live.session.assert_body(&body.expect("a body"), &self.setup),
            (_, None) => assert_eq!(body.as_deref(), Ok("{}")),
        }
        let is_decided = newest != Some(Row::Outage);
        assert_explanation(&explanation, live.filter(|_| is_decided).or(candidates.first()));
        // Ids are shown, and one that is a text can be anything.
        let ids: Vec<_> = candidates.iter().flat_map(|candidate| candidate.session.ids()).collect();
        let is_shown = |text: &str| explanation.contains(text) && !ids.iter().any(|id| id.contains(text));
        for (token, ..) in tokens {
            assert!(!starts_of_parts(token).any(is_shown), "a part of the token: {explanation}");
        }
        assert!(!is_shown("grace@"), "{explanation}");
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
    fn candidates(&self, header: &str, tokens: &[(&Token, &[u8], FreshClaims)]) -> Vec<Candidate> {
        let ids = if self.knows_types { self.setup.ids } else { self.setup.ids.unknown() };
        let found = self.cookie_setup.names().iter().filter_map(|name| Some((*name, readings(name.as_str(), header)?)));
        let found: Vec<_> = found.collect();
        let is_secure = found.iter().any(|(name, _)| name.is_secure());
        let mut sessions = Vec::new();
        for (name, readings) in found.into_iter().filter(|(name, _)| name.is_secure() == is_secure) {
            for reading in readings {
                let opened = tokens.iter().find(|(token, ..)| token.text == reading && token.opens_as(name));
                let session = |(_, plaintext, fresh): &(_, &[u8], FreshClaims)| {
                    Expected::of(plaintext, &self.setup, ids, fresh.clone())
                };
                sessions.extend(opened.and_then(session));
            }
        }
        sessions.sort_by(|one: &Expected, other| other.issued_at.total_cmp(&one.issued_at));
        let mut newest: Vec<Candidate> = Vec::new();
        for session in sessions {
            if !newest.iter().any(|known| known.session.is_same_session_as(&session)) {
                let fits = session.fits(self.setup.ids);
                let row = match self.row.seen_by(self.setup.user_check) {
                    Row::Outage if newest.is_empty() => Row::Outage,
                    _ if !fits => Row::Missing,
                    row if newest.is_empty() => row,
                    _ => Row::Live,
                };
                newest.push(Candidate { session, row, fits });
            }
        }
        newest
    }
}

/// The claims of the second cookie. The explanation must not contain the e-mail address.
fn second_claims(ids: Ids) -> String {
    let id = |column, number: u8| match column {
        IdColumn::Uuid => format!(r#""0b8f6d4e-0000-4000-8000-00000000000{number}""#),
        IdColumn::Integer => number.to_string(),
        IdColumn::Text => format!(r#""id {number}""#),
    };
    let (user_id, session_id) = (id(ids.user_id, 4), id(ids.session_id, 6));
    let tenant = id(ids.tenant.unwrap_or(IdColumn::Text), 5);
    format!(
        r#"{{"exp":1800000060,"id":{user_id},"tenant":{tenant},"session_id":{session_id},"user_type":"client",
        "email":"grace@example.com","role":{{"a" : [null]}}}}"#
    )
}

/// `decisive` is the session that decides.
fn assert_explanation(json: &str, decisive: Option<&Candidate>) {
    let explanation: Value = serde_json::from_str(json).expect("JSON");
    let (status, reason) = (explanation["status"].as_str(), explanation["reason"].as_str());
    let Some(Candidate { session, row, fits }) = decisive else {
        assert_eq!(status, Some("unauthenticated"), "{json}");
        assert_eq!(explanation.get("session"), None, "{json}");
        assert!(!["live", "session-revoked", "database-unavailable"].map(Some).contains(&reason), "{json}");
        return;
    };
    let outcome = match row {
        Row::Live => ("authenticated", "live"),
        Row::Missing if !fits => ("unauthenticated", "missing-claims"),
        Row::Missing => ("unauthenticated", "session-unknown"),
        Row::Revoked => ("unauthenticated", "session-revoked"),
        Row::Expired => ("unauthenticated", "session-expired"),
        Row::TooOld => ("unauthenticated", "session-too-old"),
        Row::OtherUser => ("unauthenticated", "user-mismatch"),
        Row::UserGone => ("unauthenticated", "user-gone"),
        Row::OtherUserType => ("unauthenticated", "user-type-changed"),
        Row::Outage => ("unavailable", "database-unavailable"),
    };
    assert_eq!((status, reason), (Some(outcome.0), Some(outcome.1)), "{json}");
    if outcome.1 == "missing-claims" {
        return assert_eq!(explanation.get("session"), None, "{json}");
    }
    let ids = ["sessionId", "tenant", "userId"].map(|name| explanation["session"][name].as_str());
    let expected = [Some(session.session_id.as_str()), session.tenant.as_deref(), Some(session.user_id.as_str())];
    assert_eq!(ids, expected, "{json}");
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

/// The first characters of each long part. A shorter text may be in the explanation, as the start of the `kid` is.
fn starts_of_parts(token: &Token) -> impl Iterator<Item = &str> {
    const MIN_LENGTH: usize = 20;
    let parts = token.text.split('.').filter(|part| part.len() >= MIN_LENGTH);
    parts.map(|part| part.get(..MIN_LENGTH).unwrap_or(part))
}
