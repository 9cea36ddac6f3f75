//! The oracle for claims, written from the README: whether they are valid, and which body they give.

use std::sync::Arc;

use arbitrary::Arbitrary;
use authjs_bridge::claims::{Session, SessionReader};
use authjs_bridge::store::{FreshValue, Lookup, SessionKey, UserType};
use serde_json::value::RawValue;

use crate::allocations::Budget;
use crate::body;
use crate::json::{Fields, compact, split_line, without_lone_surrogates};
use crate::setup::{IdColumn, Ids, Setup, UserCheck, is_uuid};

/// The clock of all targets, and of the vectors.
pub const NOW: u64 = 1_800_000_000;
const CLOCK_TOLERANCE: f64 = 15.0;

/// An empty string in a list takes three bytes of JSON, and forty bytes in two lists of references
/// that grow by doubling.
const BUDGET: Budget = Budget { base: 4 * 1024, multiple: 32 };

/// Claims, and the options under which they are read.
#[derive(Arbitrary, Debug)]
pub struct ClaimsCase<'a> {
    setup: Setup,
    /// A line with the fresh claims, as an object; then the plaintext.
    rest: &'a [u8],
}

impl ClaimsCase<'_> {
    /// Panics unless the plaintext gives the body that the oracle expects.
    pub fn assert(&self) {
        let Self { setup, rest } = self;
        let (line, plaintext) = split_line(rest);
        let fresh = FreshClaims::parse(&line, setup);
        let row = fresh.row();
        let reader = SessionReader::new(setup.schema());
        let read = BUDGET.assert(rest.len(), || {
            let Session { identity, body } = reader.read(plaintext, NOW, &setup.ids.types()).ok()?;
            Some((identity, body.render(row.as_deref())))
        });
        match Expected::of(plaintext, setup, setup.ids, fresh) {
            None => assert!(read.is_none(), "a body without a session"),
            Some(expected) => {
                let (identity, body) = read.expect("a session");
                assert!(expected.is_looked_up_by(&identity.lookup), "another session");
                assert_eq!(identity.user_type.map(|user_type| user_type == UserType::Client), expected.is_client);
                expected.assert_body(&body, setup);
            }
        }
    }
}

/// The fresh claims of one row of users, in the order of the option; `None` is null.
#[derive(Clone, Debug, Default)]
pub struct FreshClaims(Vec<(&'static str, Option<Box<RawValue>>)>);

impl FreshClaims {
    /// Those in `line`; all are null if it is not an object.
    pub fn parse(line: &str, setup: &Setup) -> Self {
        let Fields(fields) = Fields::parse(line).unwrap_or_default();
        let value = |name: &str| fields.iter().rfind(|(found, _)| found == name).map(|(_, value)| (*value).to_owned());
        Self(setup.fresh_claims().into_iter().map(|name| (name, value(name))).collect())
    }

    /// As the store gives them; `None` if there are no fresh claims.
    pub fn row(&self) -> Option<Arc<[Option<FreshValue>]>> {
        let values = self.0.iter().map(|(_, value)| value.clone().map(FreshValue));
        (!self.0.is_empty()).then(|| values.collect())
    }
}

/// The session that the claims of a token describe.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The ids as the columns have them.
    pub session_id: String,
    pub tenant: Option<String>,
    pub user_id: String,
    pub is_client: Option<bool>,
    /// `iat`; minus infinity if it is absent.
    pub issued_at: f64,
    pub fresh: FreshClaims,
    /// With U+FFFD for lone surrogates.
    body: String,
}

impl Expected {
    /// `None` if the claims are not valid at [`NOW`]. `ids` is what the columns can hold as far as it is known.
    pub fn of(plaintext: &[u8], setup: &Setup, ids: Ids, fresh: FreshClaims) -> Option<Self> {
        let text = str::from_utf8(plaintext).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let json = without_lone_surrogates(text, '\u{fffd}');
        let other = without_lone_surrogates(text, '?');
        let overriding = fresh.0.iter().map(|(name, value)| {
            let value = value.as_ref().map(|value| without_lone_surrogates(value.get(), '\u{fffd}'));
            (*name, value.filter(|value| value != "null"))
        });
        let claims =
            Values { token: Fields::parse(&json)?, other: Fields::parse(&other)?, fresh: overriding.collect() };
        if !claims.are_valid_now()? {
            return None;
        }
        let id_claim = if claims.token.last("id").is_some_and(|id| id != "null") { "id" } else { "sub" };
        let user_type = claims.token.last("user_type").and_then(|json| one_of(json, &["client", "internal"]));
        if setup.user_check == UserCheck::Type && user_type.is_none() {
            return None;
        }
        let session_id = claims.id("session_id", ids.session_id)?;
        let user_id = claims.id(id_claim, ids.user_id)?;
        let tenant = match ids.tenant {
            Some(column) => Some(claims.id("tenant", column)?),
            None => None,
        };
        let body =
            claims.body(setup, &session_id.claim, tenant.as_ref().map(|id| id.claim.as_str()), &user_id.claim)?;
        Some(Self {
            session_id: session_id.value,
            tenant: tenant.map(|tenant| tenant.value),
            user_id: user_id.value,
            is_client: user_type.map(|name| name == "client"),
            issued_at: claims.time("iat", f64::NEG_INFINITY)?,
            fresh,
            body,
        })
    }

    /// Whether the columns can hold the ids.
    pub fn fits(&self, ids: Ids) -> bool {
        let has_tenant = || Some(ids.tenant?.hold(self.tenant.as_deref()?).is_some());
        has_tenant().unwrap_or(true)
            && ids.session_id.hold(&self.session_id).is_some()
            && ids.user_id.hold(&self.user_id).is_some()
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        [&self.session_id, &self.user_id].into_iter().chain(&self.tenant).map(String::as_str)
    }

    pub fn is_same_session_as(&self, other: &Self) -> bool {
        (&self.tenant, &self.session_id) == (&other.tenant, &other.session_id)
    }

    pub fn is_looked_up_by(&self, Lookup { key: SessionKey { tenant, session_id }, user_id }: &Lookup) -> bool {
        tenant.as_ref().map(|tenant| tenant.text().into_owned()) == self.tenant
            && session_id.text() == self.session_id
            && user_id.text() == self.user_id
    }

    pub fn assert_body(&self, body: &str, setup: &Setup) {
        body::assert_session(body, setup);
        assert_eq!(without_lone_surrogates(body, '\u{fffd}'), self.body);
    }
}

struct Values<'j> {
    /// With U+FFFD for lone surrogates.
    token: Fields<'j>,
    /// With another character for them.
    other: Fields<'j>,
    /// `None` for null.
    fresh: Vec<(&'static str, Option<String>)>,
}

struct ClaimedId {
    claim: String,
    /// As the column has it.
    value: String,
}

impl Values<'_> {
    /// `None` if a time is not a number.
    fn are_valid_now(&self) -> Option<bool> {
        let now = NOW as f64;
        self.time("iat", 0.0)?;
        let (exp, nbf) = (self.time("exp", f64::NEG_INFINITY)?, self.time("nbf", f64::NEG_INFINITY)?);
        Some(exp > now - CLOCK_TOLERANCE && nbf <= now + CLOCK_TOLERANCE)
    }

    fn time(&self, name: &str, absent: f64) -> Option<f64> {
        let Some(json) = self.token.last(name) else {
            return Some(absent);
        };
        is_number(json).then(|| json.parse().ok())?
    }

    /// A number is as its text. A text with a lone surrogate is no id.
    fn id(&self, name: &str, column: IdColumn) -> Option<ClaimedId> {
        let json = self.token.last(name)?;
        let claim = match text(json) {
            Some(text) => (self.other.last(name) == Some(json)).then_some(text)?,
            None => is_number(json).then(|| json.to_owned())?,
        };
        Some(ClaimedId { value: column.hold(&claim)?, claim })
    }

    /// The ids are the claims.
    fn body(&self, setup: &Setup, session_id: &str, tenant: Option<&str>, user_id: &str) -> Option<String> {
        let mut user = Object::default();
        user.put("id", Some(user_id));
        for name in ["email", "name", "username"] {
            user.put(name, Some(self.text(name).unwrap_or_default()));
        }
        user.put("image", self.text("image").or_else(|| self.text("picture")));
        for name in ["proToken", "tenantSlug", "plan"] {
            user.put(name, self.text(name));
        }
        user.put("tenant", tenant);
        user.put("user_type", self.one_of("user_type", &["client", "internal"]));
        user.put("clientId", self.uuid("clientId"));
        user.put("contactId", self.uuid("contactId"));
        user.put("addons", Some(self.texts("addons").unwrap_or_default()));
        for name in ["trial_end", "solo_pro_trial_end", "premium_trial_end", "premium_trial_effective_date"] {
            user.put(name, Some(self.text(name)));
        }
        user.put("premium_trial_confirmed", Some(self.json("premium_trial_confirmed") == Some("true")));
        let statuses = ["active", "trialing", "past_due", "unpaid"];
        user.put("subscription_status", Some(self.one_of("subscription_status", &statuses)));
        for name in setup.extra_claims() {
            if let Some(value) = self.json(name) {
                user.put_json(name, &compact(value));
            }
        }

        let mut session = Object::default();
        session.put("session_id", Some(session_id));
        session.put("login_method", self.text("login_method"));
        session.put_json("user", &user.to_json());
        if setup.expires {
            session.put("expires", Some(iso8601(self.time("exp", 0.0)?)));
        }
        Some(session.to_json())
    }

    fn uuid(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| is_uuid(text))
    }

    fn one_of(&self, name: &str, choices: &[&str]) -> Option<String> {
        one_of(self.json(name)?, choices)
    }

    fn text(&self, name: &str) -> Option<String> {
        text(self.json(name)?)
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        serde_json::from_str(self.json(name)?).ok()
    }

    /// The fresh claim, or else that of the token.
    fn json(&self, name: &str) -> Option<&str> {
        match self.fresh.iter().find(|(fresh, _)| *fresh == name) {
            Some((_, value)) => value.as_deref(),
            None => self.token.last(name),
        }
    }
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn one_of(json: &str, choices: &[&str]) -> Option<String> {
    text(json).filter(|text| choices.contains(&text.as_str()))
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// As `Date.prototype.toISOString` writes a time after 1970, but none is later than the year 9999.
fn iso8601(seconds: f64) -> String {
    const LAST: f64 = 253_402_300_799_999.0;
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let milliseconds = (seconds * 1000.0).round().min(LAST) as u64;
    let (mut day, time) = (milliseconds / DAY, milliseconds % DAY);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", month + 1, day + 1, time % 1000)
}

#[derive(Default)]
struct Object(Vec<String>);

impl Object {
    /// Omits the field if there is no value.
    fn put(&mut self, name: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            self.put_json(name, &serde_json::to_string(&value).expect("serialises"));
        }
    }

    fn put_json(&mut self, name: &str, json: &str) {
        self.0.push(format!("{}:{json}", serde_json::Value::from(name)));
    }

    fn to_json(&self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}
