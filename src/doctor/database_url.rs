//! Whether the database is configured, and where it is.
#![forbid(unsafe_code)]

use super::check::Check;
use crate::error::Error;
use crate::postgres::TargetFacts;

pub(super) const ID: &str = "database-url";

pub(super) fn judge(target: Result<&TargetFacts, &Error>) -> Check {
    let target = match target {
        Ok(target) => target,
        Err(error) => {
            let advice = "Example: DATABASE_URL=postgres://user:password@host:5432/database?sslmode=verify-full";
            return Check::failed(ID, error.to_string(), advice);
        }
    };
    let named = [("database", &target.database), ("user", &target.user), ("schema", &target.schema)];
    let mut message = format!("{}: {}", target.variables.join(", "), target.hosts);
    for (what, name) in named {
        if let Some(name) = name {
            message += &format!(", {what} {name}");
        }
    }
    let check = match &target.unknown_parameters[..] {
        [] => Check::ok(ID, message),
        unknown => Check::warning(
            ID,
            format!("{message}; ignored, since unknown: {}", unknown.join(", ")),
            match target.own_url() {
                Some(_) => "Check how they are spelled.",
                None => {
                    "Check how they are spelled. If another client needs them, give this package a URL of its own in \
                     AUTH_BRIDGE_DATABASE_URL."
                }
            },
        ),
    };
    check.with_details(target)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;

    #[test]
    fn the_configured_database_is_shown() {
        let named = TargetFacts {
            variables: vec!["PGHOST", "PGUSER"],
            user: Some("u".to_owned()),
            schema: Some("app".to_owned()),
            ..target()
        };
        let unknown = TargetFacts { unknown_parameters: vec!["env".to_owned(), "name".to_owned()], ..target() };
        for (case, found, status, message) in [
            ("a host", Ok(&target()), Status::Ok, "DATABASE_URL: db.example:5432"),
            ("names", Ok(&named), Status::Ok, "PGHOST, PGUSER: db.example:5432, user u, schema app"),
            (
                "unknown parameters",
                Ok(&unknown),
                Status::Warning,
                "DATABASE_URL: db.example:5432; ignored, since unknown: env, name",
            ),
            ("an error", Err(&Error::config("sslmode", "is odd")), Status::Failed, "sslmode: is odd"),
        ] {
            let check = judge(found);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{case}");
        }
        for (variable, is_own) in [("DATABASE_URL", false), ("AUTH_BRIDGE_DATABASE_URL", true)] {
            let target = TargetFacts { variables: vec![variable], ..unknown.clone() };
            let advice = judge(Ok(&target)).advice.expect("has one");
            assert_eq!(advice.contains("URL of its own"), !is_own, "{variable}");
        }
    }
}
