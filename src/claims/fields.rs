//! Claims -> the identity of the session and the documented session object.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Claim, Claims, ClaimsError};
use crate::redacted::redacted;
use crate::schema::Schema;
use crate::store::{Candidates, Holder, Identity, SessionKey, UserType};

/// The body for a request without a live session.
pub const UNAUTHENTICATED_BODY: &str = "{}";

/// A session as the token describes it, before the database is queried.
pub struct Session {
    /// What the database is queried for.
    pub identity: Identity,
    /// The session object as JSON. Not wiped on drop, since JavaScript gets a copy.
    pub body: String,
}

redacted!(Session);

impl Candidates<Session> {
    pub fn identities(&self) -> Candidates<Identity> {
        let older = self.older.iter().map(|session| session.identity).collect();
        Candidates { newest: self.newest.identity, older }
    }
}

impl Session {
    /// # Errors
    /// `ClaimsError::Missing` with the claims of [`Schema::identity`] that are absent or invalid.
    pub fn from_claims(claims: &Claims, schema: &Schema) -> Result<Self, ClaimsError> {
        let id = if claims.has(Claim::Id) { Claim::Id } else { Claim::Sub };
        let identity = (
            claims.uuid(Claim::SessionId),
            claims.uuid(Claim::Tenant),
            claims.uuid(id),
            claims.one_of(Claim::UserType, &UserType::BY_NAME),
        );
        let (Some((session_text, session_id)), Some((tenant_text, tenant)), Some((id_text, user_id)), Some(user_type)) =
            identity
        else {
            let (session, tenant, id, user_type) = identity;
            let present = [session.is_some(), tenant.is_some(), id.is_some(), user_type.is_some()];
            let missing = schema.identity.iter().zip(present).filter(|(_, is_present)| !is_present);
            return Err(ClaimsError::Missing(missing.map(|(identity, _)| identity.claim).collect()));
        };
        let object = SessionObject {
            session_id: session_text,
            login_method: claims.text(Claim::LoginMethod),
            user: User {
                id: id_text,
                email: claims.text(Claim::Email).unwrap_or(Cow::Borrowed(*EMPTY_TEXT)),
                name: claims.text(Claim::Name).unwrap_or(Cow::Borrowed(*EMPTY_TEXT)),
                username: claims.text(Claim::Username).unwrap_or(Cow::Borrowed(*EMPTY_TEXT)),
                image: claims.text(Claim::Image).or_else(|| claims.text(Claim::Picture)),
                pro_token: claims.text(Claim::ProToken),
                tenant_slug: claims.text(Claim::TenantSlug),
                plan: claims.text(Claim::Plan),
                tenant: tenant_text,
                user_type,
                client_id: claims.uuid(Claim::ClientId).map(|(text, _)| text),
                contact_id: claims.uuid(Claim::ContactId).map(|(text, _)| text),
                addons: claims.texts(Claim::Addons).unwrap_or_default(),
                trial_end: claims.text(Claim::TrialEnd),
                solo_pro_trial_end: claims.text(Claim::SoloProTrialEnd),
                premium_trial_end: claims.text(Claim::PremiumTrialEnd),
                premium_trial_effective_date: claims.text(Claim::PremiumTrialEffectiveDate),
                premium_trial_confirmed: claims.flag(Claim::PremiumTrialConfirmed).unwrap_or_default(),
                subscription_status: claims.one_of(Claim::SubscriptionStatus, &SUBSCRIPTION_STATUSES),
            },
        };
        Ok(Self {
            identity: Identity {
                key: SessionKey { tenant, session_id },
                holder: Holder { user_id, user_type },
                issued_at: claims.iat.unwrap_or(f64::NEG_INFINITY),
                token_expires_at: claims.exp,
            },
            body: to_json(&object),
        })
    }
}

fn to_json(object: &SessionObject) -> String {
    // Enough for most bodies, so the buffer rarely grows.
    let mut json = Vec::with_capacity(1024);
    serde_json::to_writer(&mut json, object).expect("strings and booleans always serialise");
    // The whole error holds the text, which must not get into the message of the panic.
    String::from_utf8(json).map_err(|error| error.utf8_error()).expect("JSON is UTF-8")
}

/// Names and order are those of the JSON object. Strings stay JSON and are not decoded.
#[derive(Serialize)]
struct SessionObject<'t> {
    session_id: Text<'t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_method: Option<Text<'t>>,
    user: User<'t>,
}

#[derive(Serialize)]
struct User<'t> {
    id: Text<'t>,
    email: Text<'t>,
    name: Text<'t>,
    username: Text<'t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Text<'t>>,
    #[serde(rename = "proToken", skip_serializing_if = "Option::is_none")]
    pro_token: Option<Text<'t>>,
    #[serde(rename = "tenantSlug", skip_serializing_if = "Option::is_none")]
    tenant_slug: Option<Text<'t>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Text<'t>>,
    tenant: Text<'t>,
    user_type: UserType,
    #[serde(rename = "clientId", skip_serializing_if = "Option::is_none")]
    client_id: Option<Text<'t>>,
    #[serde(rename = "contactId", skip_serializing_if = "Option::is_none")]
    contact_id: Option<Text<'t>>,
    addons: Vec<Text<'t>>,
    trial_end: Option<Text<'t>>,
    solo_pro_trial_end: Option<Text<'t>>,
    premium_trial_end: Option<Text<'t>>,
    premium_trial_effective_date: Option<Text<'t>>,
    premium_trial_confirmed: bool,
    subscription_status: Option<&'static str>,
}

type Text<'t> = Cow<'t, RawValue>;

static EMPTY_TEXT: LazyLock<&RawValue> = LazyLock::new(|| serde_json::from_str("\"\"").expect("is JSON"));

const SUBSCRIPTION_STATUSES: [(&str, &str); 4] =
    [("active", "active"), ("trialing", "trialing"), ("past_due", "past_due"), ("unpaid", "unpaid")];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";
    const TENANT: &str = "00000000-0000-4000-8000-000000000002";
    const SESSION: &str = "00000000-0000-4000-8000-000000000003";

    fn read(claims: &Value) -> Result<Session, ClaimsError> {
        let plaintext = claims.to_string();
        Session::from_claims(&Claims::parse(plaintext.as_bytes(), 0).expect("is valid"), &Schema::new(None))
    }

    fn minimal() -> Value {
        json!({"exp": 1, "id": ID, "tenant": TENANT, "session_id": SESSION, "user_type": "client"})
    }

    #[test]
    fn a_session_with_only_the_required_claims() {
        let session = read(&minimal()).expect("a session");
        assert_eq!(
            session.body,
            format!(r#"{{"session_id":"{SESSION}","user":{{"id":"{ID}","email":"","name":"","username":"","#)
                + &format!(r#""tenant":"{TENANT}","user_type":"client","addons":[],"trial_end":null,"#)
                + r#""solo_pro_trial_end":null,"premium_trial_end":null,"#
                + r#""premium_trial_effective_date":null,"premium_trial_confirmed":false,"subscription_status":null}}"#
        );
        let Identity { key, holder, issued_at, token_expires_at } = session.identity;
        assert_eq!(key.tenant.to_string(), TENANT);
        assert_eq!(key.session_id.to_string(), SESSION);
        assert_eq!(holder.user_id.to_string(), ID);
        assert_eq!(holder.user_type, UserType::Client);
        assert_eq!((issued_at, token_expires_at), (f64::NEG_INFINITY, 1.0));
    }

    #[test]
    fn claims_of_the_identity_are_required() {
        for (name, value) in [
            ("id", json!(null)),
            ("id", json!("ada")),
            ("id", json!(1)),
            ("tenant", json!(null)),
            ("tenant", json!("")),
            ("tenant", json!({})),
            ("session_id", json!(null)),
            ("session_id", json!(SESSION.replace('-', ""))),
            ("user_type", json!(null)),
            ("user_type", json!("Internal")),
            ("user_type", json!({"client": null})),
        ] {
            let mut claims = minimal();
            claims[name] = value.clone();
            assert_eq!(read(&claims).expect_err("is refused"), ClaimsError::Missing(vec![name]), "{name}: {value}");
        }
    }

    #[test]
    fn deeply_nested_claims_are_of_the_wrong_type() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let body = |claims: &str| {
            let plaintext = minimal().to_string().replacen('{', &format!("{{{claims},"), 1);
            let claims = Claims::parse(plaintext.as_bytes(), 0).expect("is valid");
            Session::from_claims(&claims, &Schema::new(None)).map(|session| session.body)
        };
        let plain = body(r#""x":0"#).expect("a session");
        for name in ["addons", "premium_trial_confirmed", "email", "subscription_status", "clientId"] {
            assert_eq!(body(&format!(r#""{name}":{deep}"#)).as_ref(), Ok(&plain), "{name}");
        }
    }

    #[test]
    fn id_falls_back_to_sub() {
        for (id, sub, expected) in [
            (json!(ID), json!(TENANT), Some(ID)),
            (json!(null), json!(TENANT), Some(TENANT)),
            (json!(7), json!(TENANT), None),
            (json!(""), json!(TENANT), None),
            (json!(null), json!(null), None),
        ] {
            let mut claims = minimal();
            (claims["id"], claims["sub"]) = (id, sub);
            let user_id = read(&claims).ok().map(|session| session.identity.holder.user_id.to_string());
            assert_eq!(user_id.as_deref(), expected);
        }
    }
}
