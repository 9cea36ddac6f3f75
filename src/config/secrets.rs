//! The secrets that Auth.js encrypts its cookies with, newest first.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::warning::{SECRET_BYTES, Warning};
use super::{Environment, OPTIONS_VARIABLE, Options};
use crate::crypto::{Issuer, Secret};
use crate::error::Error;
use crate::sensitive::Sensitive;

/// Newest first (`@auth/core` `lib/utils/env.js`), and last the variable of NextAuth v4.
const SECRET_VARIABLES: [&str; 5] =
    ["AUTH_SECRET_3", "AUTH_SECRET_2", "AUTH_SECRET_1", "AUTH_SECRET", "NEXTAUTH_SECRET"];

/// The secrets, and which of them seals.
#[derive(Debug)]
pub struct Secrets {
    /// Newest first; at least one.
    pub list: Vec<Secret>,
    /// The variable of each; empty if they are those of the option.
    variables: Vec<&'static str>,
}

/// Which secret an issuer seals with, the first that is set (`@auth/core` and next-auth 5: `lib/utils/env.js` and `lib/env.js`;
/// next-auth 4: `next/index.js`). next-auth 5 ignores the numbered ones where one of the others is set.
const fn sealing_variables(issuer: Issuer) -> [&'static str; 5] {
    let (first, second) = match issuer {
        Issuer::AuthJs => ("AUTH_SECRET", "NEXTAUTH_SECRET"),
        Issuer::NextAuth4 => ("NEXTAUTH_SECRET", "AUTH_SECRET"),
    };
    [first, second, "AUTH_SECRET_3", "AUTH_SECRET_2", "AUTH_SECRET_1"]
}

/// Which secret seals the tokens of one cookie: a place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The one that the issuer uses.
    pub anew: usize,
    /// Whether a token is sealed again with the secret that opened it, since that is what its issuer uses.
    keeps: bool,
}

impl Sealing {
    /// For a token that the secret at `opened_with` has opened.
    pub fn again(self, opened_with: usize) -> usize {
        if self.keeps { opened_with } else { self.anew }
    }
}

impl Secrets {
    pub fn of_option(list: Vec<Secret>) -> Self {
        Self { list, variables: Vec::new() }
    }

    pub fn sealing(&self, issuer: Issuer) -> Sealing {
        let place = |name| self.variables.iter().position(|known| *known == name);
        let anew = sealing_variables(issuer).into_iter().find_map(place);
        Sealing { anew: anew.unwrap_or(0), keeps: !self.variables.is_empty() }
    }
}

/// The secrets of the option `secret`, or else those of the environment; at least one.
pub(super) fn secrets(option: Option<Vec<Sensitive>>, environment: &impl Environment) -> Result<Secrets, Error> {
    let (list, variables): (Vec<_>, Vec<_>) = match option {
        Some(secrets) if secrets.is_empty() => return Err(Error::config("secret", "is an empty list")),
        Some(secrets) => secrets
            .into_iter()
            .map(|secret| {
                Secret::new(secret)
                    .ok_or_else(|| Error::config("secret", "is an empty string; pass the value of AUTH_SECRET"))
            })
            .collect::<Result<_, _>>()
            .map(|list| (list, Vec::new()))?,
        None => {
            let named = |name| Some((Secret::new(environment.variable(name)?)?, name));
            SECRET_VARIABLES.into_iter().filter_map(named).unzip()
        }
    };
    if list.is_empty() {
        return Err(Error::config(
            "secret",
            "is missing; set the environment variable AUTH_SECRET, or pass the option secret",
        ));
    }
    Ok(Secrets { list, variables })
}

/// A secret without its value, to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSecret {
    /// The variable that holds it.
    pub variable: &'static str,
    /// Its length.
    pub bytes: usize,
}

/// The secrets of the bridge of the module's own functions, newest first.
pub fn named_secrets(options: &Options, environment: &impl Environment) -> Vec<NamedSecret> {
    let named = |variable, secret: Sensitive| NamedSecret { variable, bytes: secret.len() };
    match &options.secret {
        Some(secrets) => secrets.iter().map(|secret| named(OPTIONS_VARIABLE, secret.clone())).collect(),
        None => SECRET_VARIABLES
            .into_iter()
            .filter_map(|variable| Some(named(variable, environment.variable(variable)?)))
            .collect(),
    }
}

/// Warnings about these secrets.
pub fn secret_warnings(options: &Options, environment: &impl Environment) -> Vec<Warning> {
    let secrets = secrets(options.secret.clone(), environment).map(|secrets| secrets.list).unwrap_or_default();
    let empty = if options.secret.is_none() { empty_secret(environment) } else { None };
    secret_mistakes(&secrets).chain(empty).collect()
}

/// Warnings about the secrets themselves.
pub(super) fn secret_mistakes(secrets: &[Secret]) -> impl Iterator<Item = Warning> {
    secrets.iter().enumerate().flat_map(|(index, secret)| {
        let bytes = secret.bytes();
        let short = (bytes < SECRET_BYTES).then_some(Warning::ShortSecret { index, bytes });
        let wrapped = secret.is_wrapped().then_some(Warning::WrappedSecret { index });
        short.into_iter().chain(wrapped)
    })
}

pub(super) fn empty_secret(environment: &impl Environment) -> Option<Warning> {
    let is_empty = environment.value("AUTH_SECRET").is_some_and(|value| value.is_empty());
    (is_empty && environment.variable("NEXTAUTH_SECRET").is_some()).then_some(Warning::EmptySecret)
}

#[cfg(test)]
mod tests {
    use super::super::environment::FakeEnvironment;
    use super::*;

    const ALL: &[(&str, &str)] = &[
        ("NEXTAUTH_SECRET", "n"),
        ("AUTH_SECRET", "0"),
        ("AUTH_SECRET_1", "1"),
        ("AUTH_SECRET_2", "2"),
        ("AUTH_SECRET_3", "3"),
    ];

    fn secret_texts(option: Option<Vec<&str>>, variables: &'static [(&str, &str)]) -> Vec<String> {
        let option = option.map(|list| list.into_iter().map(|secret| secret.to_owned().into()).collect());
        secrets(option, &FakeEnvironment(variables))
            .expect("has secrets")
            .list
            .iter()
            .map(|secret| secret.reveal().to_owned())
            .collect()
    }

    #[test]
    fn the_secret_that_seals_is_that_of_the_issuer() {
        const WITHOUT_UNNUMBERED: &[(&str, &str)] = &[("NEXTAUTH_SECRET", "n"), ("AUTH_SECRET_1", "1")];
        let option = || Some(vec!["b".to_owned().into(), "a".to_owned().into()]);
        for (option, variables, v5, v4, opened_with, again) in [
            (None, ALL, "0", "n", 1, "2"),
            (None, WITHOUT_UNNUMBERED, "n", "n", 0, "1"),
            (None, &ALL[2..], "3", "3", 1, "2"),
            (None, &ALL[..1], "n", "n", 0, "n"),
            (None, &ALL[1..2], "0", "0", 0, "0"),
            (option(), ALL, "b", "b", 1, "b"),
        ] {
            let secrets = secrets(option, &FakeEnvironment(variables)).expect("has secrets");
            let text = |place: usize| secrets.list[place].reveal().to_owned();
            let sealing = secrets.sealing(Issuer::AuthJs);
            assert_eq!(text(sealing.anew), v5, "{variables:?}");
            assert_eq!(text(secrets.sealing(Issuer::NextAuth4).anew), v4, "{variables:?}");
            assert_eq!(text(sealing.again(opened_with)), again, "{variables:?}");
        }
    }

    #[test]
    fn secrets_are_sorted_newest_first() {
        assert_eq!(secret_texts(None, ALL), ["3", "2", "1", "0", "n"]);
        assert_eq!(secret_texts(Some(vec!["b", "a"]), ALL), ["b", "a"]);
        assert_eq!(secret_texts(None, &[("AUTH_SECRET", ""), ("NEXTAUTH_SECRET", "n")]), ["n"]);
    }

    #[test]
    fn quotes_and_white_space_around_a_secret_are_noticed() {
        for (secret, expected) in [
            ("a secret that has thirty-two bytes", false),
            ("\"a secret\" that has thirty-two bytes", false),
            ("a secret that has thirty-two \"bytes\"", false),
            ("\"a secret that has thirty-two bytes\"", true),
            ("'a secret that has thirty-two bytes'", true),
            ("a secret that has thirty-two bytes\n", true),
            (" a secret that has thirty-two bytes", true),
        ] {
            let secrets = [Secret::new(secret.to_owned()).expect("a secret")];
            let warnings: Vec<_> = secret_mistakes(&secrets).collect();
            assert_eq!(warnings == [Warning::WrappedSecret { index: 0 }], expected, "{secret}");
            assert_eq!(warnings.len(), usize::from(expected), "{secret}");
        }
    }

    #[test]
    fn secrets_of_the_environment_are_shown_by_name_and_length() {
        let environment =
            FakeEnvironment(&[("NEXTAUTH_SECRET", "hunter2"), ("AUTH_SECRET_1", "ä"), ("AUTH_SECRET", "")]);
        let named = [("AUTH_SECRET_1", 2), ("NEXTAUTH_SECRET", 7)];
        assert_eq!(
            named_secrets(&Options::default(), &environment),
            named.map(|(variable, bytes)| NamedSecret { variable, bytes })
        );
        let codes: Vec<_> = secret_warnings(&Options::default(), &environment).iter().map(Warning::code).collect();
        assert_eq!(codes, ["AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_SHORT_SECRET", "AUTH_BRIDGE_EMPTY_SECRET"]);

        let options = Options { secret: Some(vec!["hunter2".to_owned().into()]), ..Options::default() };
        let named = NamedSecret { variable: OPTIONS_VARIABLE, bytes: 7 };
        assert_eq!(named_secrets(&options, &environment), [named]);
        assert_eq!(secret_warnings(&options, &environment), [Warning::ShortSecret { index: 0, bytes: 7 }]);
    }
}
