//! Claims -> the identity of the session and the documented session object.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::body::{Body, Writer};
use super::read::{Claim, Claims, ClaimsError};
use super::shape::Shape;
use crate::redacted::redacted;
use crate::schema::{IdTypes, Schema, UserCheck};
use crate::store::{Candidates, Identity, Lookup, SessionKey, UserType};

/// A session as the token describes it, before the database is queried.
pub struct Session {
    /// What the database is queried for.
    pub identity: Identity,
    pub body: Body,
}

redacted!(Session);

impl Candidates<Session> {
    pub fn identities(&self) -> Candidates<Identity> {
        self.as_ref().map(|session| session.identity.clone())
    }
}

/// Reads the sessions of one configuration.
pub struct SessionReader {
    schema: Schema,
    shape: Arc<Shape>,
}

redacted!(SessionReader);

impl SessionReader {
    pub fn new(schema: Schema) -> Self {
        Self { shape: Arc::new(Shape::new(&schema)), schema }
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Plaintext -> session. `now` is in seconds since 1970, `types` are what the columns of ids can hold.
    pub fn read(&self, plaintext: &[u8], now: u64, types: &IdTypes) -> Result<Session, ClaimsError> {
        self.session(&Claims::parse(plaintext, now, &self.schema.extra_claims)?, types)
    }

    /// # Errors
    /// `ClaimsError::Missing` with the claims of [`Schema::identity`] that are absent or invalid.
    fn session(&self, claims: &Claims, types: &IdTypes) -> Result<Session, ClaimsError> {
        let id_claim = if claims.has(Claim::Id) { Claim::Id } else { Claim::Sub };
        let session_id = claims.id(Claim::SessionId, types.session_id);
        let tenant = types.tenant.map(|tenant| claims.id(Claim::Tenant, tenant));
        let id = claims.id(id_claim, types.user_id);
        let user_type = claims.one_of(Claim::UserType, &UserType::BY_NAME);
        let is_typed = user_type.is_some() || self.schema.user_check != UserCheck::Type;
        let (Some((session_text, session_id)), None | Some(Some(_)), Some((id_text, user_id)), true) =
            (&session_id, &tenant, &id, is_typed)
        else {
            return Err(ClaimsError::Missing(self.schema.missing(|claim| match claim {
                "session_id" => session_id.is_some(),
                "tenant" => !matches!(tenant, Some(None)),
                "id" => id.is_some(),
                _ => is_typed,
            })));
        };
        let (tenant_text, tenant) = tenant.flatten().unzip();
        let writer = Writer { shape: &self.shape, claims, tenant: tenant_text.as_deref() };
        Ok(Session {
            body: writer.write(session_text, id_text),
            identity: Identity {
                lookup: Lookup { key: SessionKey { tenant, session_id: session_id.clone() }, user_id: user_id.clone() },
                user_type,
                issued_at: claims.iat.unwrap_or(f64::NEG_INFINITY),
                token_expires_at: claims.exp,
                rolled_at: claims.rolled_at.unwrap_or(f64::NEG_INFINITY),
                slide: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::{ClaimKind, Differences, FreshClaim, IdType};
    use crate::store::FreshValue;

    const ID: &str = "00000000-0000-4000-8000-000000000001";
    const TENANT: &str = "00000000-0000-4000-8000-000000000002";
    const SESSION: &str = "00000000-0000-4000-8000-000000000003";

    const UUIDS: IdTypes = IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Uuid, user_id: IdType::Uuid };

    fn read_as(claims: &str, schema: Schema, types: &IdTypes) -> Result<Session, ClaimsError> {
        SessionReader::new(schema).read(claims.as_bytes(), 0, types)
    }

    fn read(claims: &Value) -> Result<Session, ClaimsError> {
        read_as(&claims.to_string(), Schema::new(None), &UUIDS)
    }

    fn body(session: Session) -> String {
        session.body.render(None)
    }

    fn minimal() -> Value {
        json!({"exp": 1, "id": ID, "tenant": TENANT, "session_id": SESSION, "user_type": "client"})
    }

    #[test]
    fn a_session_with_only_the_required_claims() {
        let session = read(&minimal()).expect("a session");
        let Identity { lookup: Lookup { key, user_id }, user_type, issued_at, token_expires_at, rolled_at, slide } =
            session.identity.clone();
        assert_eq!(
            body(session),
            format!(r#"{{"session_id":"{SESSION}","user":{{"id":"{ID}","email":"","name":"","username":"","#)
                + &format!(r#""tenant":"{TENANT}","user_type":"client","addons":[],"trial_end":null,"#)
                + r#""solo_pro_trial_end":null,"premium_trial_end":null,"#
                + r#""premium_trial_effective_date":null,"premium_trial_confirmed":false,"subscription_status":null}}"#
        );
        assert_eq!(key.tenant.expect("has one").text(), TENANT);
        assert_eq!(key.session_id.text(), SESSION);
        assert_eq!(user_id.text(), ID);
        assert_eq!(user_type, Some(UserType::Client));
        assert_eq!((issued_at, token_expires_at, rolled_at), (f64::NEG_INFINITY, 1.0, f64::NEG_INFINITY));
        assert_eq!(slide, None);
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
            read_as(&plaintext, Schema::new(None), &UUIDS).map(body)
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
            let user_id = read(&claims).ok().map(|session| session.identity.lookup.user_id.text().into_owned());
            assert_eq!(user_id.as_deref(), expected);
        }
    }

    #[test]
    fn ids_are_those_of_the_columns() {
        let types = |id_type| IdTypes { tenant: None, session_id: id_type, user_id: id_type };
        let single = || {
            Schema::with(Differences { is_multi_tenant: false, user_check: UserCheck::None, ..Differences::default() })
        };
        for (id_type, session_id, id, expected) in [
            (IdType::Text, json!("s-1"), json!("clh3k2"), Ok((r#""s-1""#, r#""clh3k2""#))),
            (IdType::Text, json!(17), json!("clh3k2"), Ok((r#""17""#, r#""clh3k2""#))),
            (IdType::Integer, json!(17), json!("18"), Ok((r#""17""#, r#""18""#))),
            (IdType::Unknown, json!(17), json!("x"), Ok((r#""17""#, r#""x""#))),
            (IdType::Integer, json!("x"), json!(true), Err(vec!["session_id", "id"])),
            (IdType::Integer, json!(1.5), json!("1"), Err(vec!["session_id"])),
            (IdType::Text, json!("a\0b"), json!("1"), Err(vec!["session_id"])),
            (IdType::Text, json!("x".repeat(10_000)), json!(["1"]), Err(vec!["session_id", "id"])),
            (IdType::Uuid, json!("s-1"), json!(ID), Err(vec!["session_id"])),
        ] {
            let claims = json!({"exp": 1, "id": id, "session_id": session_id}).to_string();
            let read = read_as(&claims, single(), &types(id_type));
            match expected {
                Ok((session_id, id)) => {
                    let body = body(read.expect("a session"));
                    let start = format!(r#"{{"session_id":{session_id},"user":{{"id":{id},"email":"""#);
                    assert!(
                        body.starts_with(&start) && !body.contains("tenant") && !body.contains("user_type"),
                        "{body}"
                    );
                }
                Err(missing) => assert_eq!(read.expect_err("is refused"), ClaimsError::Missing(missing), "{claims}"),
            }
        }
        let lone = r#"{"exp":1,"id":"1","session_id":"\ud83d"}"#;
        assert_eq!(read_as(lone, single(), &types(IdType::Text)).err(), Some(ClaimsError::Missing(vec!["session_id"])));
    }

    #[test]
    fn the_user_type_is_optional_where_it_is_not_compared() {
        for (user_type, expected) in [(json!("client"), true), (json!("admin"), false), (json!(null), false)] {
            let schema = Schema::with(Differences { user_check: UserCheck::Exists, ..Differences::default() });
            let mut claims = minimal();
            claims["user_type"] = user_type;
            let session = read_as(&claims.to_string(), schema, &UUIDS).expect("a session");
            assert_eq!(session.identity.user_type.is_some(), expected);
            assert_eq!(body(session).contains(r#","user_type":"client""#), expected);
        }
    }

    #[test]
    fn claims_of_the_app_follow_as_the_token_has_them() {
        let extra_claims = ["role", "limits", "gone", "a\"b"].map(str::to_owned).to_vec();
        let schema = Schema::with(Differences { extra_claims, shows_expiry: true, ..Differences::default() });
        let claims = minimal().to_string().replacen(
            '{',
            r#"{"limits": {"b":[1.0, "\u0041"], "a":1e2 },"role":null,"unknown":1,"a\"b":{"__proto__":{}},"#,
            1,
        );
        let body = body(read_as(&claims, schema, &UUIDS).expect("a session"));
        let end =
            r#","subscription_status":null,"role":null,"limits":{"b":[1.0,"A"],"a":1e2},"a\"b":{"__proto__":{}}},"#
                .to_owned()
                + r#""expires":"1970-01-01T00:00:01.000Z"}"#;
        assert!(body.ends_with(&end), "{body}");
    }

    #[test]
    fn the_expiry_is_always_a_time() {
        for (exp, expected) in [("1e999", "9999-12-31T23:59:59.999Z"), ("1700000000.5", "2023-11-14T22:13:20.500Z")] {
            let schema = Schema::with(Differences { shows_expiry: true, ..Differences::default() });
            let claims = minimal().to_string().replace(r#""exp":1"#, &format!(r#""exp":{exp}"#));
            let body = body(read_as(&claims, schema, &UUIDS).expect("a session"));
            assert!(body.ends_with(&format!(r#"}},"expires":"{expected}"}}"#)), "{body}");
        }
    }

    /// The body with fresh claims is the body of a token that has them.
    #[test]
    fn fresh_claims_stand_in_place_of_those_of_the_token() {
        let kinds = [
            ("login_method", ClaimKind::Text),
            ("image", ClaimKind::Text),
            ("plan", ClaimKind::Text),
            ("addons", ClaimKind::Texts),
            ("trial_end", ClaimKind::Text),
            ("premium_trial_confirmed", ClaimKind::Flag),
            ("subscription_status", ClaimKind::Text),
            ("role", ClaimKind::Any),
        ];
        let with = |fresh: bool| {
            let claim = |(name, kind): (&str, ClaimKind)| FreshClaim { name: name.to_owned(), kind };
            Schema::with(Differences {
                extra_claims: vec!["role".to_owned(), "seats".to_owned()],
                fresh_claims: if fresh { kinds.map(claim).to_vec() } else { Vec::new() },
                ..Differences::default()
            })
        };
        let of_token = json!({
            "login_method": "google", "image": "old", "picture": "picture", "plan": "old", "addons": ["old"], "trial_end": "old",
            "premium_trial_confirmed": true, "subscription_status": "active", "role": {"old": 1}, "seats": 3,
        });
        let merged = |changes: &Value| {
            let mut claims = minimal();
            for object in [&of_token, changes] {
                claims.as_object_mut().expect("an object").extend(object.as_object().expect("an object").clone());
            }
            claims.to_string()
        };
        for fresh in [
            json!(["saml", "new", "new", ["a", "b"], "new", false, "unpaid", {"new": [1]}]),
            json!([null, null, null, null, null, null, null, null]),
            json!(["saml", 7, {}, [1], true, "yes", "canceled", 0]),
        ] {
            let values: Vec<_> = fresh.as_array().expect("a list").iter().collect();
            let changes: Value =
                kinds.iter().zip(&values).map(|((name, _), value)| (*name, (*value).clone())).collect();
            let mut expected = body(read_as(&merged(&changes), with(false), &UUIDS).expect("a session"));
            // A fresh claim that is null is as an absent one.
            expected = expected.replace(r#","role":null"#, "");
            let row: Vec<_> =
                values.iter().map(|value| Some(FreshValue(to_raw_value(value).expect("serialises")))).collect();
            let session = read_as(&merged(&json!({})), with(true), &UUIDS).expect("a session");
            assert_eq!(session.body.render(Some(&row)), expected);
        }
    }
}
