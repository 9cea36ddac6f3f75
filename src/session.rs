//! Claims -> the documented session object, field by field.
#![forbid(unsafe_code)]

use serde::Serialize;

use crate::claims::{Claims, ClaimsError, parse_uuid};
use crate::revocation::{Holder, SessionKey, UserType};

/// The body for a request without a live session.
pub const UNAUTHENTICATED_BODY: &str = "{}";

/// A session as the token tells it, before the database was asked.
#[derive(Debug)]
pub struct Session {
    pub key: SessionKey,
    pub holder: Holder,
    /// The object, as JSON.
    pub body: String,
}

impl Session {
    pub fn from_claims(claims: &Claims) -> Result<Self, ClaimsError> {
        let object = SessionObject::from_claims(claims)?;
        let uuid = |name, text| parse_uuid(text).ok_or(ClaimsError::Missing(name));
        Ok(Self {
            key: SessionKey {
                tenant: uuid("tenant", &object.user.tenant)?,
                session_id: uuid("session_id", &object.session_id)?,
            },
            holder: Holder { user_id: uuid("id", &object.user.id)?, user_type: object.user.user_type },
            body: serde_json::to_string(&object).expect("strings and booleans always serialise"),
        })
    }
}

/// Names and order are those of the JSON object.
#[derive(Serialize)]
struct SessionObject {
    session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_method: Option<String>,
    user: User,
}

#[derive(Serialize)]
struct User {
    id: String,
    email: String,
    name: String,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(rename = "proToken", skip_serializing_if = "Option::is_none")]
    pro_token: Option<String>,
    #[serde(rename = "tenantSlug", skip_serializing_if = "Option::is_none")]
    tenant_slug: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    tenant: String,
    user_type: UserType,
    #[serde(rename = "clientId", skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(rename = "contactId", skip_serializing_if = "Option::is_none")]
    contact_id: Option<String>,
    addons: Vec<String>,
    trial_end: Option<String>,
    solo_pro_trial_end: Option<String>,
    premium_trial_end: Option<String>,
    premium_trial_effective_date: Option<String>,
    premium_trial_confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_status: Option<String>,
}

impl SessionObject {
    fn from_claims(claims: &Claims) -> Result<Self, ClaimsError> {
        Ok(Self {
            session_id: claims.text("session_id").ok_or(ClaimsError::Missing("session_id"))?,
            login_method: claims.text("login_method"),
            user: User::from_claims(claims)?,
        })
    }
}

impl User {
    fn from_claims(claims: &Claims) -> Result<Self, ClaimsError> {
        Ok(Self {
            id: claims.text("id").or_else(|| claims.text("sub")).ok_or(ClaimsError::Missing("id"))?,
            email: claims.text("email").unwrap_or_default(),
            name: claims.text("name").unwrap_or_default(),
            username: claims.text("username").unwrap_or_default(),
            image: claims.text("image").or_else(|| claims.text("picture")),
            pro_token: claims.text("proToken"),
            tenant_slug: claims.text("tenantSlug"),
            plan: claims.text("plan"),
            tenant: claims.text("tenant").ok_or(ClaimsError::Missing("tenant"))?,
            user_type: claims
                .text("user_type")
                .and_then(|name| UserType::from_name(&name))
                .ok_or(ClaimsError::Missing("user_type"))?,
            client_id: claims.uuid_text("clientId"),
            contact_id: claims.uuid_text("contactId"),
            addons: claims.texts("addons").unwrap_or_default(),
            trial_end: claims.text("trial_end"),
            solo_pro_trial_end: claims.text("solo_pro_trial_end"),
            premium_trial_end: claims.text("premium_trial_end"),
            premium_trial_effective_date: claims.text("premium_trial_effective_date"),
            premium_trial_confirmed: claims.flag("premium_trial_confirmed").unwrap_or_default(),
            subscription_status: claims
                .text("subscription_status")
                .filter(|status| SUBSCRIPTION_STATUSES.contains(&status.as_str())),
        })
    }
}

const SUBSCRIPTION_STATUSES: [&str; 4] = ["active", "trialing", "past_due", "unpaid"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";
    const TENANT: &str = "00000000-0000-4000-8000-000000000002";
    const SESSION: &str = "00000000-0000-4000-8000-000000000003";

    fn read(claims: &Value) -> Result<Session, ClaimsError> {
        let plaintext = claims.to_string();
        Session::from_claims(&Claims::parse(&plaintext, 0).expect("counts"))
    }

    fn least() -> Value {
        json!({"exp": 1, "id": ID, "tenant": TENANT, "session_id": SESSION, "user_type": "client"})
    }

    #[test]
    fn the_least_session() {
        let session = read(&least()).expect("a session");
        assert_eq!(
            session.body,
            format!(r#"{{"session_id":"{SESSION}","user":{{"id":"{ID}","email":"","name":"","username":"","#)
                + &format!(r#""tenant":"{TENANT}","user_type":"client","addons":[],"trial_end":null,"#)
                + r#""solo_pro_trial_end":null,"premium_trial_end":null,"#
                + r#""premium_trial_effective_date":null,"premium_trial_confirmed":false}}"#
        );
        assert_eq!(session.key.tenant.to_string(), TENANT);
        assert_eq!(session.key.session_id.to_string(), SESSION);
        assert_eq!(session.holder.user_id.to_string(), ID);
        assert_eq!(session.holder.user_type, UserType::Client);
    }

    #[test]
    fn what_the_query_needs_must_be_there() {
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
            let mut claims = least();
            claims[name] = value.clone();
            assert_eq!(read(&claims).expect_err("is refused"), ClaimsError::Missing(name), "{name}: {value}");
        }
    }

    #[test]
    fn id_falls_back_to_sub() {
        for (id, sub, expected) in [
            (json!(ID), json!(TENANT), Some(ID)),
            (json!(null), json!(TENANT), Some(TENANT)),
            (json!(7), json!(TENANT), Some(TENANT)),
            (json!(""), json!(TENANT), None),
            (json!(null), json!(null), None),
        ] {
            let mut claims = least();
            (claims["id"], claims["sub"]) = (id, sub);
            let user_id = read(&claims).ok().map(|session| session.holder.user_id.to_string());
            assert_eq!(user_id.as_deref(), expected);
        }
    }
}
