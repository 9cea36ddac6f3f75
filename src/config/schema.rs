//! The options about tables and claims -> [`Schema`].
#![forbid(unsafe_code)]

use super::Options;
use crate::claims::Field;
use crate::error::Error;
use crate::schema::{ClaimKind, Differences, FreshClaim, Schema, TableName, UserCheck};

/// The option `tables`, as it is written.
#[derive(Clone, Default)]
pub struct TableOptions {
    pub sessions: Option<String>,
    pub users: Option<String>,
}

const MAX_CLAIMS: usize = 100;
/// The longest name that PostgreSQL has for a column or a table, in bytes.
const MAX_NAME_BYTES: usize = 63;

/// Names of JWT (RFC 7519 section 4.1), of this package, and of the rows; beside them, those of the documented object.
const RESERVED_NAMES: [&str; 24] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "rolled_at",
    "user_id",
    "expires_at",
    "revoked_at",
    "revoked_reason",
    "created_at",
    "updated_at",
    "last_activity_at",
    "ip_address",
    "user_agent",
    "device_fingerprint",
    "device_name",
    "device_type",
    "location_data",
    // Of every object of JavaScript.
    "__proto__",
    "constructor",
    "toJSON",
];

pub(super) fn schema(options: &Options) -> Result<Schema, Error> {
    let is_multi_tenant = options.multi_tenant.unwrap_or(true);
    if !is_multi_tenant && options.sharded == Some(true) {
        return Err(Error::config("sharded", "needs tenants: leave it out, or set multiTenant to true"));
    }
    let tables = options.tables.clone().unwrap_or_default();
    let user_check = user_check(options.user_check.as_deref())?;
    let extra_claims = options.extra_claims.as_deref().map_or(Ok(Vec::new()), extra_claims)?;
    let fresh_claims = options.fresh_claims.as_deref();
    let fresh_claims =
        fresh_claims.map_or(Ok(Vec::new()), |names| self::fresh_claims(names, &extra_claims, user_check))?;
    Ok(Schema::with(Differences {
        sessions: tables.sessions.map(|name| table("tables.sessions", &name)).transpose()?,
        users: tables.users.map(|name| table("tables.users", &name)).transpose()?,
        is_multi_tenant,
        user_check,
        extra_claims,
        fresh_claims,
        shows_expiry: options.expires.unwrap_or(false),
        has_row_expiry: !options.ignore_expires_at.unwrap_or(false),
        absolute_max_age: super::rolling::absolute_max_age(options)?,
    }))
}

/// `name`, or `schema.name`.
fn table(option: &str, text: &str) -> Result<TableName, Error> {
    let (namespace, name) = match text.split_once('.') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    let is_name = |part: &str| (1..=MAX_NAME_BYTES).contains(&part.len()) && !part.contains(['\0', '"', '.']);
    if !is_name(name) || !namespace.is_none_or(is_name) {
        let expected =
            "must be the name of a table or view, perhaps with its PostgreSQL schema, without quotes: auth.sessions";
        return Err(Error::config(option, expected));
    }
    Ok(TableName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
}

fn user_check(text: Option<&str>) -> Result<UserCheck, Error> {
    match text {
        None | Some("type") => Ok(UserCheck::Type),
        Some("exists") => Ok(UserCheck::Exists),
        Some("none") => Ok(UserCheck::None),
        Some(_) => Err(Error::config("userCheck", "must be 'type', 'exists' or 'none'")),
    }
}

fn extra_claims(names: &[String]) -> Result<Vec<String>, Error> {
    check_list("extraClaims", names)?;
    let is_taken = |name: &&String| Field::is_name(name) || RESERVED_NAMES.contains(&name.as_str());
    match names.iter().find(is_taken) {
        Some(name) => Err(Error::config("extraClaims", format!("has {name}, which is not a claim of the app"))),
        None => Ok(names.to_vec()),
    }
}

fn fresh_claims(names: &[String], extra_claims: &[String], user_check: UserCheck) -> Result<Vec<FreshClaim>, Error> {
    const NAME: &str = "freshClaims";
    check_list(NAME, names)?;
    if user_check == UserCheck::None {
        return Err(Error::config(NAME, "needs the users relation, which userCheck 'none' doesn't read"));
    }
    let fresh = |name: &String| {
        let kind = match Field::find(name).map(|field| field.form.kind()) {
            Some(_) if name == "user_type" && user_check == UserCheck::Type => {
                return Err(Error::config(
                    NAME,
                    "has user_type, which is compared with the token's; set userCheck to 'exists'",
                ));
            }
            Some(kind) => kind,
            None if extra_claims.contains(name) => ClaimKind::Any,
            None => {
                let problem = format!("has {name}, which is neither a field that can be fresh nor one of extraClaims");
                return Err(Error::config(NAME, problem));
            }
        };
        Ok(FreshClaim { name: name.clone(), kind })
    };
    names.iter().map(fresh).collect()
}

fn check_list(option: &str, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Err(Error::config(option, "is empty; give it a name, or leave it out"));
    }
    if names.len() > MAX_CLAIMS {
        return Err(Error::config(option, format!("has more than {MAX_CLAIMS} names")));
    }
    for (place, name) in names.iter().enumerate() {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            return Err(Error::config(option, format!("must be names of 1 to {MAX_NAME_BYTES} bytes")));
        }
        if names[..place].contains(name) {
            return Err(Error::config(option, format!("has {name} twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn problem(options: Options) -> String {
        schema(&options).expect_err("is wrong").to_string()
    }

    #[test]
    fn without_options_the_tables_are_those_of_schema_sql() {
        assert_eq!(schema(&Options::default()).expect("is right"), Schema::new(None));
    }

    #[test]
    fn all_options_together() {
        let options = Options {
            tables: Some(TableOptions {
                sessions: Some("auth.Session".to_owned()),
                users: Some("my users".to_owned()),
            }),
            multi_tenant: Some(false),
            user_check: Some("exists".to_owned()),
            extra_claims: names(&["product_code", "rôle"]),
            fresh_claims: names(&[
                "plan",
                "addons",
                "product_code",
                "user_type",
                "login_method",
                "premium_trial_confirmed",
            ]),
            expires: Some(true),
            ..Options::default()
        };
        let schema = schema(&options).expect("is right");
        assert_eq!([schema.sessions.to_string(), schema.users.to_string()], [r#""auth"."Session""#, r#""my users""#]);
        assert!(!schema.is_multi_tenant && schema.shows_expiry && schema.user_check == UserCheck::Exists);
        assert_eq!(schema.extra_claims, ["product_code", "rôle"]);
        let kinds: Vec<_> = schema.fresh_claims.iter().map(|claim| claim.kind).collect();
        use ClaimKind::{Any, Flag, Text, Texts};
        assert_eq!(kinds, [Text, Texts, Any, Text, Text, Flag]);
    }

    #[test]
    fn names_of_tables() {
        for (text, is_right) in [
            ("sessions", true),
            ("auth.sessions", true),
            ("Auth Data.User Sessions", true),
            (&"x".repeat(63), true),
            (&"x".repeat(64), false),
            ("", false),
            (".sessions", false),
            ("auth.", false),
            ("a.b.c", false),
            ("\"auth\".\"sessions\"", false),
            ("a\0b", false),
        ] {
            let tables = TableOptions { sessions: Some(text.to_owned()), users: None };
            let schema = schema(&Options { tables: Some(tables), ..Options::default() });
            assert_eq!(schema.is_ok(), is_right, "{text}");
            if let Err(error) = schema {
                assert!(error.to_string().starts_with("tables.sessions: must be the name of"), "{error}");
            }
        }
    }

    #[test]
    fn contradictions_and_wrong_names_are_errors_that_name_the_option() {
        let extra = |list: &[&str]| problem(Options { extra_claims: names(list), ..Options::default() });
        for name in
            ["id", "picture", "session_id", "expires", "sub", "rolled_at", "user_id", "device_name", "__proto__"]
        {
            assert_eq!(extra(&["role", name]), format!("extraClaims: has {name}, which is not a claim of the app"));
        }
        assert_eq!(extra(&["role", "role"]), "extraClaims: has role twice");
        assert_eq!(extra(&[]), "extraClaims: is empty; give it a name, or leave it out");
        assert_eq!(extra(&[""]), "extraClaims: must be names of 1 to 63 bytes");
        assert_eq!(extra(&["a\0"]), "extraClaims: must be names of 1 to 63 bytes");
        let many: Vec<_> = (0..101).map(|number| format!("claim{number}")).collect();
        let many = problem(Options { extra_claims: Some(many), ..Options::default() });
        assert_eq!(many, "extraClaims: has more than 100 names");

        let fresh = |list: &[&str], user_check: &str| {
            problem(Options {
                fresh_claims: names(list),
                user_check: Some(user_check.to_owned()),
                ..Options::default()
            })
        };
        for name in ["id", "tenant", "session_id", "role", "picture"] {
            let expected =
                format!("freshClaims: has {name}, which is neither a field that can be fresh nor one of extraClaims");
            assert_eq!(fresh(&[name], "exists"), expected);
        }
        assert!(fresh(&["user_type"], "type").starts_with("freshClaims: has user_type, which is compared"));
        assert!(fresh(&["plan"], "none").starts_with("freshClaims: needs the users relation"));
        assert_eq!(fresh(&["plan"], "maybe"), "userCheck: must be 'type', 'exists' or 'none'");
        let sharded = Options { sharded: Some(true), multi_tenant: Some(false), ..Options::default() };
        assert!(problem(sharded).starts_with("sharded: needs tenants"));
    }
}
