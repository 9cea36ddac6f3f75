//! Which cookies can hold a session: the configured names, or the default names of Auth.js.
#![forbid(unsafe_code)]

use super::environment::{app_url_is_https, is_production};
use super::warning::Warning;
use super::{Environment, Options};
use crate::cookie::{Attributes, Class, CookieName};
use crate::crypto::Issuer;
use crate::error::Error;

const COOKIE_NAME: &str = "authjs.session-token";
const SECURE_COOKIE_NAME: &str = "__Secure-authjs.session-token";

/// One item of the option `cookieName`.
#[derive(Clone)]
pub struct CookieOption {
    pub name: String,
    /// `authjs` or `next-auth-v4`. If `None`, the name decides.
    pub issuer: Option<String>,
}

/// A cookie that can hold a session.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    pub name: CookieName,
    pub issuer: Issuer,
}

impl SessionCookie {
    /// `None` if `name` can't be the name of a cookie.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = CookieName::new(name)?;
        let issuer = Issuer::of(&name);
        Some(Self { name, issuer })
    }
}

/// The accepted session cookies, in order of preference.
pub fn session_cookies(options: &Options, environment: &impl Environment) -> Result<Vec<SessionCookie>, Error> {
    let default = |name: &str| SessionCookie::by_name(name).expect("the default names are valid");
    if let Some(names) = &options.cookie_name {
        if options.secure_cookie.is_some() {
            return Err(Error::config(
                "secureCookie",
                "chooses between the default names, so it can't be combined with cookieName; remove one of the two",
            ));
        }
        return named_cookies(names);
    }
    let secure = match options.secure_cookie {
        Some(secure) => Some(secure),
        None => app_url_is_https(environment)?,
    };
    Ok(match secure {
        Some(false) => vec![default(COOKIE_NAME)],
        None if !is_production(environment) => vec![default(SECURE_COOKIE_NAME), default(COOKIE_NAME)],
        Some(true) | None => vec![default(SECURE_COOKIE_NAME)],
    })
}

/// The cookie that Auth.js sets over http. It doesn't count in production, unless a variable or an option says that the app is
/// served that way.
pub fn ignored_cookie(options: &Options, environment: &impl Environment) -> Option<CookieName> {
    let is_chosen = options.cookie_name.is_some() || options.secure_cookie.is_some();
    let is_ignored = !is_chosen && is_production(environment) && matches!(app_url_is_https(environment), Ok(None));
    CookieName::new(COOKIE_NAME).filter(|_| is_ignored)
}

fn named_cookies(names: &[CookieOption]) -> Result<Vec<SessionCookie>, Error> {
    let problem = |problem: &str| Error::config("cookieName", problem);
    let mut cookies = names
        .iter()
        .map(|CookieOption { name, issuer }| {
            let by_name = SessionCookie::by_name(name).ok_or_else(|| {
                problem("is not a valid cookie name: 1 to 256 characters out of letters, digits and !#$%&'*+-.^_`|~")
            })?;
            let issuer = match issuer.as_deref() {
                None => by_name.issuer,
                Some("authjs") => Issuer::AuthJs,
                Some("next-auth-v4") => Issuer::NextAuth4,
                Some(_) => return Err(problem("has an issuer that is neither authjs nor next-auth-v4")),
            };
            Ok(SessionCookie { issuer, ..by_name })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if cookies.is_empty() {
        return Err(problem("is an empty list"));
    }
    // An attacker on the network can set a cookie without a secure prefix, so those come last.
    cookies.sort_by_key(|cookie| cookie.name.class());
    Ok(cookies)
}

/// An invalid `AUTH_URL` is ignored here: it is an error only if the default name depends on it.
pub(super) fn plain_cookie(cookies: &[(SessionCookie, Attributes)], environment: &impl Environment) -> Option<Warning> {
    let is_plain = is_production(environment)
        && cookies.iter().any(|(cookie, _)| cookie.name.class() == Class::Plain)
        && matches!(app_url_is_https(environment), Ok(Some(true)));
    is_plain.then_some(Warning::PlainCookie)
}

#[cfg(test)]
mod tests {
    use super::super::environment::FakeEnvironment;
    use super::*;

    fn named(names: &[&str]) -> Options {
        let option = |name: &&str| CookieOption { name: (*name).to_owned(), issuer: None };
        Options { cookie_name: Some(names.iter().map(option).collect()), ..Options::default() }
    }

    fn secure(secure: bool) -> Options {
        Options { secure_cookie: Some(secure), ..Options::default() }
    }

    #[test]
    fn which_cookies_are_accepted() {
        const PLAIN: &str = COOKIE_NAME;
        const SECURE: &str = SECURE_COOKIE_NAME;
        for (case, options, variables, expected) in [
            ("nothing set", Options::default(), &[] as &[_], &[SECURE, PLAIN] as &[_]),
            ("production", Options::default(), &[("NODE_ENV", "production")], &[SECURE]),
            ("production with a blank", Options::default(), &[("NODE_ENV", "production ")], &[SECURE]),
            ("development", Options::default(), &[("NODE_ENV", "development")], &[SECURE, PLAIN]),
            ("a line break around it", Options::default(), &[("AUTH_URL", " https://a.example\n")], &[SECURE]),
            ("https", Options::default(), &[("AUTH_URL", "https://a.example")], &[SECURE]),
            ("HTTPS", Options::default(), &[("AUTH_URL", "HTTPS://a.example")], &[SECURE]),
            ("http", Options::default(), &[("AUTH_URL", "http://localhost:3000")], &[PLAIN]),
            (
                "http in production",
                Options::default(),
                &[("NODE_ENV", "production"), ("AUTH_URL", "http://localhost")],
                &[PLAIN],
            ),
            ("NEXTAUTH_URL", Options::default(), &[("NEXTAUTH_URL", "https://a.example")], &[SECURE]),
            (
                "AUTH_URL before NEXTAUTH_URL",
                Options::default(),
                &[("NEXTAUTH_URL", "https://a.example"), ("AUTH_URL", "http://a.example")],
                &[PLAIN],
            ),
            (
                "an empty AUTH_URL is ignored",
                Options::default(),
                &[("NEXTAUTH_URL", "http://a.example"), ("AUTH_URL", "")],
                &[PLAIN],
            ),
            ("secureCookie: true", secure(true), &[("AUTH_URL", "http://a.example")], &[SECURE]),
            ("secureCookie: false", secure(false), &[("NODE_ENV", "production")], &[PLAIN]),
            (
                "cookieName",
                named(&["authjs.session-token.3000"]),
                &[("AUTH_URL", "https://a.example")],
                &["authjs.session-token.3000"],
            ),
        ] {
            let cookies = session_cookies(&options, &FakeEnvironment(variables)).expect(case);
            assert_eq!(cookies.iter().map(|cookie| cookie.name.as_str()).collect::<Vec<_>>(), expected, "{case}");
        }
    }

    #[test]
    fn the_plain_cookie_is_ignored_in_production_if_nothing_says_which_counts() {
        const PRODUCTION: (&str, &str) = ("NODE_ENV", "production");
        for (options, variables, expected) in [
            (Options::default(), &[PRODUCTION] as &[_], Some(COOKIE_NAME)),
            (Options::default(), &[], None),
            (Options::default(), &[PRODUCTION, ("AUTH_URL", "https://a.example")], None),
            (Options::default(), &[PRODUCTION, ("NEXTAUTH_URL", "http://a.example")], None),
            (secure(true), &[PRODUCTION], None),
            (named(&["sid"]), &[PRODUCTION], None),
        ] {
            let ignored = ignored_cookie(&options, &FakeEnvironment(variables));
            assert_eq!(ignored.as_ref().map(CookieName::as_str), expected, "{variables:?}");
        }
    }

    #[test]
    fn quotes_around_the_url_are_named() {
        let error = session_cookies(&Options::default(), &FakeEnvironment(&[("AUTH_URL", "\"https://a.example\"")]));
        let expected = "AUTH_URL: must begin with https:// or http://, without quotes around it";
        assert_eq!(error.expect_err("is quoted").to_string(), expected);
    }

    #[test]
    fn secure_names_come_first_and_the_others_keep_their_order() {
        let list = named(&["a", "__Secure-b", "c", "__Host-d"]);
        let cookies = session_cookies(&list, &FakeEnvironment(&[])).expect("is valid");
        let names: Vec<_> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
        assert_eq!(names, ["__Host-d", "__Secure-b", "a", "c"]);
    }

    #[test]
    fn the_issuer_is_the_configured_one_or_that_of_the_name() {
        for (name, issuer, expected) in [
            ("authjs.session-token", None, Some(Issuer::AuthJs)),
            ("__Secure-authjs.session-token", None, Some(Issuer::AuthJs)),
            ("next-auth.session-token", None, Some(Issuer::NextAuth4)),
            ("__Secure-next-auth.session-token", None, Some(Issuer::NextAuth4)),
            ("__Host-next-auth.session-token", None, Some(Issuer::AuthJs)),
            ("sid", None, Some(Issuer::AuthJs)),
            ("sid", Some("next-auth-v4"), Some(Issuer::NextAuth4)),
            ("next-auth.session-token", Some("authjs"), Some(Issuer::AuthJs)),
            ("sid", Some("next-auth-v5"), None),
        ] {
            let option = CookieOption { name: name.to_owned(), issuer: issuer.map(str::to_owned) };
            let cookies = named_cookies(&[option]).ok();
            assert_eq!(cookies.map(|cookies| cookies[0].issuer), expected, "{name} {issuer:?}");
        }
    }
}
