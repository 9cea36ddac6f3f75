//! Whether a secret is set and long enough.
#![forbid(unsafe_code)]

use super::check::Check;
use crate::config::warning::Warning;
use crate::config::{Environment, NamedSecret, Options, named_secrets, secret_warnings};

pub(super) const ID: &str = "secrets";

pub(super) fn check(options: &Options, environment: &impl Environment) -> Check {
    judge(&named_secrets(options, environment), &secret_warnings(options, environment))
}

fn judge(secrets: &[NamedSecret], warnings: &[Warning]) -> Check {
    if secrets.is_empty() {
        let advice = "Set AUTH_SECRET to the secret of Auth.js. To create one: npx auth secret";
        return Check::failed(ID, "none is set", advice);
    }
    let named = |NamedSecret { variable, bytes }: &NamedSecret| format!("{variable} ({bytes} bytes)");
    let message = secrets.iter().map(named).collect::<Vec<_>>().join(", ");
    let check = match warnings {
        [] => Check::ok(ID, message),
        warnings => Check::warning(ID, message, warnings.iter().map(sentence).collect::<Vec<_>>().join("\n")),
    };
    check.with_details(&secrets)
}

fn sentence(warning: &Warning) -> String {
    let text = warning.to_string();
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn secrets_are_shown_by_name_and_length() {
        let secret = |variable, bytes| NamedSecret { variable, bytes };
        for (case, secrets, warnings, status, message, advice) in [
            ("none", vec![], vec![], Status::Failed, "none is set", Some("npx auth secret")),
            ("one", vec![secret("AUTH_SECRET", 44)], vec![], Status::Ok, "AUTH_SECRET (44 bytes)", None),
            (
                "two, one of them short",
                vec![secret("AUTH_SECRET_1", 44), secret("AUTH_SECRET", 7)],
                vec![Warning::ShortSecret { index: 1, bytes: 7 }],
                Status::Warning,
                "AUTH_SECRET_1 (44 bytes), AUTH_SECRET (7 bytes)",
                Some("The secret at index 1 (0 is the newest) has 7 bytes"),
            ),
            (
                "an empty one before it",
                vec![secret("NEXTAUTH_SECRET", 44)],
                vec![Warning::EmptySecret],
                Status::Warning,
                "NEXTAUTH_SECRET (44 bytes)",
                Some("AUTH_SECRET is set but empty"),
            ),
        ] {
            let check = judge(&secrets, &warnings);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{case}");
            assert_eq!(check.advice.is_some(), advice.is_some(), "{case}");
            assert!(check.advice.unwrap_or_default().contains(advice.unwrap_or_default()), "{case}");
        }
    }
}
