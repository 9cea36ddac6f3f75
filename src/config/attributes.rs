//! The option `cookie`: the attributes of the session cookies that are set.
#![forbid(unsafe_code)]

use super::environment::{app_url_is_https, is_production};
use super::{Environment, Options, SessionCookie, session_cookies};
use crate::cookie::{Attributes, Class, CookieName, SameSite};
use crate::error::Error;

/// The option as it is written.
#[derive(Clone, Default, PartialEq)]
pub struct CookieAttributes {
    pub domain: Option<String>,
    pub path: Option<String>,
    pub same_site: Option<String>,
    pub secure: Option<bool>,
    pub partitioned: Option<bool>,
}

/// The session cookies with their attributes.
///
/// # Errors
/// For what a browser would drop.
pub(super) fn cookies_with_attributes(
    options: &Options,
    environment: &impl Environment,
) -> Result<Vec<(SessionCookie, Attributes)>, Error> {
    let option = options.cookie.clone().unwrap_or_default();
    // As Auth.js decides; without a variable it goes by the request. An invalid URL is an error only if the names depend on it.
    let by_url = || app_url_is_https(environment).ok().flatten().unwrap_or_else(|| is_production(environment));
    let with_attributes = |cookie: SessionCookie| {
        let secure = option.secure.unwrap_or_else(|| cookie.name.class() != Class::Plain || by_url());
        let attributes = attributes(&option, &cookie.name, Some(secure))?;
        Ok((cookie, attributes))
    };
    session_cookies(options, environment)?.into_iter().map(with_attributes).collect()
}

/// Checks what the options say, without the environment that may complete them.
pub(super) fn check(options: &Options, cookies: &[SessionCookie]) -> Result<(), Error> {
    let option = options.cookie.clone().unwrap_or_default();
    cookies.iter().try_for_each(|cookie| attributes(&option, &cookie.name, option.secure).map(|_| ()))
}

/// `secure` is `None` if it is not known yet.
fn attributes(option: &CookieAttributes, name: &CookieName, secure: Option<bool>) -> Result<Attributes, Error> {
    let is_plain_text =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    let problem = |key: &str, problem: String| Err(Error::config(format!("cookie.{key}"), problem));
    if let Some(domain) = &option.domain
        && (!is_plain_text(domain) || domain.contains(['/', ':', ',', '"']))
    {
        return problem("domain", "must be the name of a domain, such as example.com".to_owned());
    }
    let path = option.path.as_deref().unwrap_or("/");
    if !is_plain_text(path) || !path.starts_with('/') {
        return problem("path", "must be a path that begins with /".to_owned());
    }
    let same_site = match option.same_site.as_deref() {
        None | Some("lax") => SameSite::Lax,
        Some("strict") => SameSite::Strict,
        Some("none") => SameSite::None,
        Some(_) => return problem("sameSite", "must be 'lax', 'strict' or 'none'".to_owned()),
    };
    let partitioned = option.partitioned.unwrap_or(false);
    let (class, name) = (name.class(), name.as_str());
    if class == Class::Host {
        // RFC 6265bis section 4.1.3.2.
        if option.domain.is_some() {
            return problem("domain", format!("is set, but a browser drops {name} with a domain"));
        }
        if path != "/" {
            return problem("path", format!("is not /, but a browser drops {name} with another path"));
        }
    }
    if secure == Some(false) {
        let why = match (same_site, partitioned) {
            _ if class != Class::Plain => Some(format!("{name} without Secure")),
            (SameSite::None, _) => Some("SameSite=None without Secure".to_owned()),
            (_, true) => Some("Partitioned without Secure".to_owned()),
            _ => None,
        };
        if let Some(why) = why {
            let how = "set secure to true, or AUTH_URL to an https URL";
            return problem("secure", format!("is false, but a browser drops {why}; {how}"));
        }
    }
    let (domain, path) = (option.domain.clone(), path.to_owned());
    Ok(Attributes { domain, path, same_site, secure: secure.unwrap_or(true), partitioned })
}

#[cfg(test)]
mod tests {
    use super::super::CookieOption;
    use super::super::environment::FakeEnvironment;
    use super::*;

    fn option() -> CookieAttributes {
        CookieAttributes::default()
    }

    fn options(name: &str, cookie: CookieAttributes) -> Options {
        let cookie_name = Some(vec![CookieOption { name: name.to_owned(), issuer: None }]);
        Options { cookie_name, cookie: Some(cookie), ..Options::default() }
    }

    #[test]
    fn a_cookie_is_secure_by_its_name_or_as_the_url_says() {
        const PRODUCTION: (&str, &str) = ("NODE_ENV", "production");
        for (name, secure, variables, expected) in [
            ("sid", None, &[] as &[_], false),
            ("sid", None, &[PRODUCTION], true),
            ("sid", None, &[("AUTH_URL", "https://a.example")], true),
            ("sid", None, &[PRODUCTION, ("NEXTAUTH_URL", "http://a.example")], false),
            ("sid", Some(true), &[("AUTH_URL", "http://a.example")], true),
            ("sid", Some(false), &[("AUTH_URL", "https://a.example")], false),
            ("__Secure-sid", None, &[], true),
            ("__Host-sid", None, &[("AUTH_URL", "http://a.example")], true),
            ("__sid", Some(false), &[], false),
        ] {
            let options = options(name, CookieAttributes { secure, ..option() });
            let cookies = cookies_with_attributes(&options, &FakeEnvironment(variables)).expect("is valid");
            assert_eq!(cookies[0].1.secure, expected, "{name} {variables:?}");
        }
    }

    #[test]
    fn attributes_are_those_of_the_option() {
        let domain = || Some("example.com".to_owned());
        for (text, expected) in [("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)] {
            let cookie = CookieAttributes {
                domain: domain(),
                path: Some("/app".to_owned()),
                same_site: Some(text.to_owned()),
                secure: Some(true),
                partitioned: Some(true),
            };
            let cookies = cookies_with_attributes(&options("sid", cookie), &FakeEnvironment(&[])).expect("is valid");
            let (path, same_site) = ("/app".to_owned(), expected);
            let attributes = Attributes { domain: domain(), path, same_site, secure: true, partitioned: true };
            assert_eq!(cookies[0].1, attributes);
        }
    }

    #[test]
    fn what_a_browser_would_drop_is_an_error_at_once_if_the_options_say_so() {
        let text = |text: &str| Some(text.to_owned());
        let no = Some(false);
        for (name, cookie, expected) in [
            ("__Host-sid", CookieAttributes { domain: text("a.example"), ..option() }, "cookie.domain: is set"),
            ("__Host-sid", CookieAttributes { path: text("/app"), ..option() }, "cookie.path: is not /"),
            ("__Host-sid", CookieAttributes { secure: no, ..option() }, "cookie.secure: is false"),
            ("__Secure-sid", CookieAttributes { secure: no, ..option() }, "cookie.secure: is false"),
            ("sid", CookieAttributes { secure: no, same_site: text("none"), ..option() }, "cookie.secure: is false"),
            ("sid", CookieAttributes { secure: no, partitioned: Some(true), ..option() }, "cookie.secure: is false"),
            ("sid", CookieAttributes { domain: text("a; Path=/"), ..option() }, "cookie.domain: must"),
            ("sid", CookieAttributes { domain: text("https://a"), ..option() }, "cookie.domain: must"),
            ("sid", CookieAttributes { domain: text(""), ..option() }, "cookie.domain: must"),
            ("sid", CookieAttributes { path: text("app"), ..option() }, "cookie.path: must"),
            ("sid", CookieAttributes { path: text("/a\r\nb"), ..option() }, "cookie.path: must"),
            ("sid", CookieAttributes { same_site: text("Lax "), ..option() }, "cookie.sameSite: must"),
        ] {
            let error = options(name, cookie).check().map(|_| ()).expect_err("is wrong").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn what_the_environment_decides_is_checked_with_it() {
        let cookie = CookieAttributes { same_site: Some("none".to_owned()), ..option() };
        let options = options("sid", cookie);
        assert!(options.check().is_ok());
        assert!(cookies_with_attributes(&options, &FakeEnvironment(&[("AUTH_URL", "https://a.example")])).is_ok());
        let error = cookies_with_attributes(&options, &FakeEnvironment(&[])).expect_err("is not secure").to_string();
        assert!(error.starts_with("cookie.secure: is false, but a browser drops SameSite=None"), "{error}");
    }
}
