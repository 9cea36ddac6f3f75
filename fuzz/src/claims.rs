//! The oracle for claims, written from the README: whether they are valid, and which body they give.

use authjs_bridge::claims::{Claims, Session};
use authjs_bridge::schema::Schema;
use authjs_bridge::store::{Identity, UserType};
use uuid::Uuid;

use crate::allocations::Budget;
use crate::body::{self, is_uuid};
use crate::json::{Fields, without_lone_surrogates};

/// The clock of all targets, and of the vectors.
pub const NOW: u64 = 1_800_000_000;
const CLOCK_TOLERANCE: f64 = 15.0;

/// An empty string in a list takes three bytes of JSON, and forty bytes in two lists of references
/// that grow by doubling.
const BUDGET: Budget = Budget { base: 4 * 1024, multiple: 32 };

/// Panics unless `plaintext` gives the body that the oracle expects.
pub fn assert(plaintext: &[u8]) {
    let schema = Schema::new(None);
    let read = || Session::from_claims(&Claims::parse(plaintext, NOW).ok()?, &schema).ok();
    let read = BUDGET.assert(plaintext.len(), read);
    match Expected::of(plaintext) {
        None => assert!(read.is_none(), "a body without a session"),
        Some(expected) => expected.assert_session(&read.expect("a session")),
    }
}

/// The session that the claims of a token describe.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub session_id: Uuid,
    pub tenant: Uuid,
    pub user_id: Uuid,
    pub is_client: bool,
    /// `iat`; minus infinity if it is absent.
    pub issued_at: f64,
    /// With U+FFFD for lone surrogates.
    pub body: String,
}

impl Expected {
    /// `None` if the claims are not valid at [`NOW`].
    pub fn of(plaintext: &[u8]) -> Option<Self> {
        let text = str::from_utf8(plaintext).ok()?;
        let json = without_lone_surrogates(text.strip_prefix('\u{feff}').unwrap_or(text));
        let claims = Values(Fields::parse(&json)?);
        if !claims.are_valid_now()? {
            return None;
        }
        let id = if claims.json("id").is_some_and(|id| id != "null") { "id" } else { "sub" };
        let user_type = claims.one_of("user_type", &["client", "internal"])?;
        Some(Self {
            session_id: claims.uuid("session_id")?.parse().ok()?,
            tenant: claims.uuid("tenant")?.parse().ok()?,
            user_id: claims.uuid(id)?.parse().ok()?,
            is_client: user_type == "client",
            issued_at: claims.time("iat", f64::NEG_INFINITY)?,
            body: claims.body(id),
        })
    }

    fn assert_session(&self, session: &Session) {
        let Identity { key, holder, .. } = session.identity;
        assert_eq!((key.session_id, key.tenant), (self.session_id, self.tenant));
        assert_eq!((holder.user_id, holder.user_type == UserType::Client), (self.user_id, self.is_client));
        self.assert_body(&session.body);
    }

    pub fn assert_body(&self, body: &str) {
        body::assert_session(body);
        assert_eq!(without_lone_surrogates(body), self.body);
    }
}

struct Values<'j>(Fields<'j>);

impl Values<'_> {
    /// `None` if a time is not a number.
    fn are_valid_now(&self) -> Option<bool> {
        let now = NOW as f64;
        self.time("iat", 0.0)?;
        let (exp, nbf) = (self.time("exp", f64::NEG_INFINITY)?, self.time("nbf", f64::NEG_INFINITY)?);
        Some(exp > now - CLOCK_TOLERANCE && nbf <= now + CLOCK_TOLERANCE)
    }

    fn time(&self, name: &str, absent: f64) -> Option<f64> {
        let Some(json) = self.json(name) else {
            return Some(absent);
        };
        let is_number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then(|| json.parse().ok())?
    }

    fn body(&self, id: &str) -> String {
        let mut user = Object::default();
        user.put("id", self.uuid(id));
        for name in ["email", "name", "username"] {
            user.put(name, Some(self.text(name).unwrap_or_default()));
        }
        user.put("image", self.text("image").or_else(|| self.text("picture")));
        for name in ["proToken", "tenantSlug", "plan"] {
            user.put(name, self.text(name));
        }
        user.put("tenant", self.uuid("tenant"));
        user.put("user_type", self.text("user_type"));
        user.put("clientId", self.uuid("clientId"));
        user.put("contactId", self.uuid("contactId"));
        user.put("addons", Some(self.texts("addons").unwrap_or_default()));
        for name in ["trial_end", "solo_pro_trial_end", "premium_trial_end", "premium_trial_effective_date"] {
            user.put(name, Some(self.text(name)));
        }
        user.put("premium_trial_confirmed", Some(self.json("premium_trial_confirmed") == Some("true")));
        let statuses = ["active", "trialing", "past_due", "unpaid"];
        user.put("subscription_status", Some(self.one_of("subscription_status", &statuses)));

        let mut session = Object::default();
        session.put("session_id", self.uuid("session_id"));
        session.put("login_method", self.text("login_method"));
        session.put_json("user", &user.to_json());
        session.to_json()
    }

    fn uuid(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| is_uuid(text))
    }

    fn one_of(&self, name: &str, choices: &[&str]) -> Option<String> {
        self.text(name).filter(|text| choices.contains(&text.as_str()))
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.json(name)?).ok()
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        serde_json::from_str(self.json(name)?).ok()
    }

    /// If a name is repeated, the last one counts.
    fn json(&self, name: &str) -> Option<&str> {
        self.0.0.iter().rfind(|(found, _)| found == name).map(|(_, value)| value.get())
    }
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
        self.0.push(format!("\"{name}\":{json}"));
    }

    fn to_json(&self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}
