use proptest::prelude::*;
use tokio_postgres::config::SslMode;

use super::settings::{IGNORED, KEEPALIVE_IDLE, SESSION_ATTRS, UNSUPPORTED};
use super::*;
use crate::config::{DatabaseUrl, FakeEnvironment, Location, Variable};

fn from_url(url: &str) -> Result<Target, Error> {
    from_both(Some(url), &[])
}

fn from_variables(variables: &[NamedValue]) -> Result<Target, Error> {
    from_both(None, variables)
}

/// A name, the parameter that it sets, and its value.
type NamedValue<'a> = (&'static str, &'static str, &'a str);

fn from_both(url: Option<&str>, variables: &[NamedValue]) -> Result<Target, Error> {
    let variable =
        |(name, parameter, value): &NamedValue| Variable { name, parameter, value: (*value).to_owned().into() };
    let location = Location {
        url: url.map(|url| DatabaseUrl { text: url.to_owned().into(), from: "DATABASE_URL" }),
        variables: variables.iter().map(variable).collect(),
    };
    Target::new(&Database::at(location), &Limits::default(), &FakeEnvironment(&[]))
}

const DISABLE: &[SslMode] = &[SslMode::Disable];
const ALLOW: &[SslMode] = &[SslMode::Disable, SslMode::Require];
const PREFER: &[SslMode] = &[SslMode::Prefer, SslMode::Disable];
const REQUIRE: &[SslMode] = &[SslMode::Require];

#[test]
fn urls_of_providers_are_parsed() {
    for (case, url, address, user, password, dbname, modes) in [
        ("plain", "postgres://u:p@h/d", "h:5432", "u", "p", "d", PREFER),
        (
            "Neon",
            "postgresql://owner:npg_x1@ep-cool-1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
            "ep-cool-1-pooler.eu-central-1.aws.neon.tech:5432",
            "owner",
            "npg_x1",
            "neondb",
            REQUIRE,
        ),
        (
            "Neon, endpoint in options",
            "postgres://owner:x@eu.aws.neon.tech/neondb?options=endpoint%3Dep-cool-1&sslmode=verify-full",
            "eu.aws.neon.tech:5432",
            "owner",
            "x",
            "neondb",
            REQUIRE,
        ),
        (
            "Supabase, direct",
            "postgresql://postgres:x@db.abc.supabase.co:5432/postgres",
            "db.abc.supabase.co:5432",
            "postgres",
            "x",
            "postgres",
            PREFER,
        ),
        (
            "Supabase, pooler",
            "postgres://postgres.abc:x@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1&supa=base-pooler.x",
            "aws-0-eu.pooler.supabase.com:6543",
            "postgres.abc",
            "x",
            "postgres",
            PREFER,
        ),
        (
            "RDS",
            "postgres://app:x@db.c1.eu-west-1.rds.amazonaws.com:5432/app?sslmode=verify-full",
            "db.c1.eu-west-1.rds.amazonaws.com:5432",
            "app",
            "x",
            "app",
            REQUIRE,
        ),
        (
            "Azure",
            "postgres://app%40server:x@server.postgres.database.azure.com:5432/app?sslmode=require",
            "server.postgres.database.azure.com:5432",
            "app@server",
            "x",
            "app",
            REQUIRE,
        ),
        (
            "Heroku",
            "postgres://u1:pa55@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1a?sslmode=no-verify",
            "ec2-1-2-3-4.compute-1.amazonaws.com:5432",
            "u1",
            "pa55",
            "d1a",
            REQUIRE,
        ),
        (
            "Prisma",
            "postgresql://u:p@h:5432/d?schema=public&connection_limit=5&pool_timeout=2&socket_timeout=3&sslaccept=strict",
            "h:5432",
            "u",
            "p",
            "d",
            REQUIRE,
        ),
        (
            "Cloud SQL",
            "postgresql://u:p@localhost/d?host=/cloudsql/a:b:c",
            "/cloudsql/a:b:c/.s.PGSQL.5432",
            "u",
            "p",
            "d",
            PREFER,
        ),
        ("Unix socket", "postgres://u:p@%2Frun%2Fpg:5433/d", "/run/pg/.s.PGSQL.5433", "u", "p", "d", PREFER),
        ("IPv6", "postgres://u:p@[2001:db8::1]:1/d", "[2001:db8::1]:1", "u", "p", "d", PREFER),
        (
            "several hosts",
            "postgres://u:p@a:1,b,[::1]:3/d?target_session_attrs=read-write",
            "a:1, b:5432, [::1]:3",
            "u",
            "p",
            "d",
            PREFER,
        ),
        ("one port for several hosts", "postgres://u:p@/d?host=a,b&port=6000", "a:6000, b:6000", "u", "p", "d", PREFER),
        ("percent-encoded", "postgres://%75:a%40b%3F%2F%3A%25@h/d%20e", "h:5432", "u", "a@b?/:%", "d e", PREFER),
        ("raw / and : in the password", "postgres://u:a/b:c@h/d", "h:5432", "u", "a/b:c", "d", PREFER),
        ("a % that encodes nothing", "postgres://u:50%@h/d", "h:5432", "u", "50%", "d", PREFER),
        (
            "parameters override the rest of the URL",
            "postgres://u:p@h:1/d?user=v&password=q&host=i&port=2&dbname=e",
            "i:2",
            "v",
            "q",
            "e",
            PREFER,
        ),
        ("a line break at the end", "postgres://u:p@h/d\n", "h:5432", "u", "p", "d", PREFER),
        ("no host", "postgres://u:p@/d", "localhost:5432", "u", "p", "d", PREFER),
        ("disable", "postgres://u:p@h/d?sslmode=disable", "h:5432", "u", "p", "d", DISABLE),
        ("the same twice", "postgres://u:p@h/d?sslmode=disable&sslmode=disable", "h:5432", "u", "p", "d", DISABLE),
        ("a word about TLS in the password", "postgres://u:ssl=1@h/d", "h:5432", "u", "ssl=1", "d", PREFER),
        ("allow", "postgres://u:p@h/d?sslmode=allow", "h:5432", "u", "p", "d", ALLOW),
        ("system", "postgres://u:p@h/d?sslrootcert=system", "h:5432", "u", "p", "d", REQUIRE),
        ("ssl of node-postgres", "postgres://u:p@h/d?ssl=true", "h:5432", "u", "p", "d", REQUIRE),
        ("ssl of postgres.js", "postgres://u:p@h/d?ssl=prefer", "h:5432", "u", "p", "d", PREFER),
        ("direct TLS", "postgres://u:p@h/d?sslmode=require&sslnegotiation=direct", "h:5432", "u", "p", "d", REQUIRE),
    ] {
        let target = from_url(url).unwrap_or_else(|error| panic!("{case}: {error}"));
        let password_read = target.config.get_password().map(String::from_utf8_lossy);
        let read = (target.config.get_user(), password_read.as_deref(), target.config.get_dbname());
        assert_eq!(read, (Some(user), Some(password), Some(dbname)), "{case}");
        assert_eq!(target.address(), address, "{case}");
        assert_eq!(target.tls.modes, modes, "{case}");
        assert_eq!(target.config.get_application_name(), Some("authjs-bridge"), "{case}");
    }
}

#[test]
fn parameters_change_the_settings() {
    let target = |parameters: &str| from_url(&format!("postgres://u:p@h/d?{parameters}")).expect(parameters);
    for (parameters, expected) in [
        ("", true),
        ("pgbouncer=true", false),
        ("pgbouncer=false", true),
        ("statement_cache_size=0", false),
        ("statement_cache_size=100", true),
        ("prepare=false", false),
        ("prepared_statement_cache_size=0", false),
        ("default_query_exec_mode=simple_protocol", false),
    ] {
        assert_eq!(target(parameters).prepared_statements, expected, "{parameters}");
    }
    assert_eq!(target("connection_limit=3").max_connections, 3);
    assert_eq!(target("").max_connections, 10);
    assert_eq!(target("connect_timeout=3").connect_timeout, Duration::from_secs(3));
    assert_eq!(target("connect_timeout=0").connect_timeout, Duration::from_secs(5));
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    for (parameters, max_lifetime, idle_timeout) in [
        ("", minutes(30), minutes(1)),
        ("max_lifetime=300&idle_timeout=120", minutes(5), minutes(2)),
        ("max_connection_lifetime=300&max_idle_connection_lifetime=120", minutes(5), minutes(2)),
        ("max_connection_lifetime=0&max_idle_connection_lifetime=0", None, None),
        ("pool_max_conn_lifetime=1h30m&pool_max_conn_idle_time=90000ms", minutes(90), Some(Duration::from_secs(90))),
        ("pool_max_conn_lifetime=0.5h&pool_max_conn_idle_time=0s", minutes(30), None),
    ] {
        let target = target(parameters);
        assert_eq!((target.max_lifetime, target.idle_timeout), (max_lifetime, idle_timeout), "{parameters}");
    }
    assert_eq!(target("schema=app").schema.sessions.namespace.as_deref(), Some("app"));
    assert_eq!(target("schema=public").schema.sessions.namespace.as_deref(), Some("public"));
    assert_eq!(target("schema=").schema, Schema::new(None));
    assert!(target("load_balance_hosts=random").shuffled);
    for (name, kind) in SESSION_ATTRS {
        assert_eq!(target(&format!("target_session_attrs={name}")).session_attrs, kind);
    }
    for ignored in IGNORED {
        target(&format!("{ignored}=whatever"));
    }
    let tcp = target("keepalives_idle=7&keepalives_interval=8&keepalives_count=9&tcp_user_timeout=1500").config;
    assert_eq!(tcp.get_keepalives_idle(), Duration::from_secs(7));
    assert_eq!(tcp.get_keepalives_interval(), Some(Duration::from_secs(8)));
    assert_eq!(tcp.get_keepalives_retries(), Some(9));
    assert_eq!(tcp.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
    assert!(!target("keepalives=0").config.get_keepalives());
    let default = target("").config;
    assert_eq!(default.get_keepalives_idle(), KEEPALIVE_IDLE);
    assert_eq!(default.get_tcp_user_timeout(), Some(&Duration::from_secs(5)));
}

#[test]
fn statement_timeout_is_set_unless_there_may_be_a_pooler() {
    for (parameters, expected) in [
        ("", Some("-c statement_timeout=6000")),
        ("options=-c%20a%3Db", Some("-c statement_timeout=6000 -c a=b")),
        ("pgbouncer=true", None),
        ("pgbouncer=true&options=-c%20a%3Db", Some("-c a=b")),
    ] {
        let target = from_url(&format!("postgres://u@h/d?{parameters}")).expect(parameters);
        assert_eq!(target.config.get_options(), expected, "{parameters}");
    }
}

#[test]
fn options_override_the_url() {
    let url =
        "postgres://u@h/d?pgbouncer=true&connection_limit=3&connect_timeout=3&max_lifetime=3&idle_timeout=3".to_owned();
    let location = Location::of_url(url.into(), "databaseUrl");
    let limits = Limits {
        connect_timeout: Some(Duration::from_millis(1)),
        max_connections: Some(7),
        max_lifetime: Some(Duration::from_millis(2)),
        idle_timeout: Some(Duration::ZERO),
        ..Limits::default()
    };
    let database = Database { prepared_statements: Some(true), ..Database::at(location) };
    let target = Target::new(&database, &limits, &FakeEnvironment(&[])).expect("is a URL");
    assert_eq!((target.prepared_statements, target.max_connections), (true, 7));
    assert_eq!(target.connect_timeout, Duration::from_millis(1));
    assert_eq!((target.max_lifetime, target.idle_timeout), (Some(Duration::from_millis(2)), None));
}

#[test]
fn errors_name_the_parameter_and_leak_no_password() {
    for (url, part) in [
        ("", "postgres://"),
        ("mysql://u:hunter2@h/d", "postgres://"),
        ("prisma+postgres://u:hunter2@h/d", "Prisma's proxy"),
        ("\"postgres://u:hunter2@h/d\"", "without quotes"),
        ("postgres://u:hun@ter2@h/d", "%40"),
        ("postgres://u:hun?ter2=1@h/d", "%3F"),
        ("postgres://u:hunter2@h:port/d", "port must be a number"),
        ("postgres://u:hunter2@h:0/d", "port must be a number"),
        ("postgres://u:hunter2@h:65536/d", "port must be a number"),
        ("postgres://u:hunter2@a:1,b:2/d?host=c,d,e", "port must have one port"),
        ("postgres://u:hunter2@::1/d", "in brackets"),
        ("postgres://u:hunter2@[::1/d", "closing bracket"),
        ("postgres://u:hunter2@[::1]5432/d", "closing bracket"),
        ("postgres://u:hunter2%ff@h/d", "password is not UTF-8"),
        ("postgres://u:hunter2@h/d?hostaddr=h", "hostaddr must be IP addresses"),
        ("postgres://u:hunter2@a,b/d?hostaddr=1.2.3.4", "hostaddr must have one address for each host"),
        (
            "postgres://u:hunter2@%2Frun%2Fpg/d?hostaddr=1.2.3.4",
            "hostaddr must be empty for a host that is the directory",
        ),
        (
            "postgres://u:hunter2@/d?host=a,/run/pg&hostaddr=,1.2.3.4",
            "hostaddr must be empty for a host that is the directory",
        ),
        ("postgres://u@h&password=hunter2", "& between them"),
        ("postgres://u@h;password=hunter2/d", "& between them"),
        ("postgres://u:hunter2@h/d%3Fsslmode=verify-full", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d%3Fsslmode%3Dverify-full", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d%253Fsslmode=verify-full", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d#sslmode=verify-full", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h/sslmode=verify-full", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h%3Fsslrootcert=ca.pem", "host contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d%3Fssl=true", "dbname contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d?application_name=a%26sslmode=verify-full", "application_name contains a parameter"),
        ("postgres://u:hunter2@h/d?supa=x%26channel_binding=require", "supa contains a parameter about TLS"),
        ("postgres://u:hunter2@h/d?sslmode=verify-full&sslmode=disable", "sslmode is given twice"),
        ("postgres://u:hunter2@h/d?sslmode=disable&sslmode=verify-full", "sslmode is given twice"),
        ("postgres://u:hunter2@h/d?channel_binding=require&channel_binding=disable", "channel_binding is given twice"),
        ("postgres://u:hunter2@h/d?ssl=true&sslmode=require", "ssl contradicts sslmode"),
        ("postgres://u@h/d&sslmode=verify-full", "& between them"),
        ("postgres://u@h/d?schema=app;password=hunter2", "& between them"),
        ("postgres://u@h/d?schema=app%3Bpassword%3Dhunter2", "schema must be the name of one schema"),
        ("postgres://u:hunter2@h/d?supa=x?sslmode=verify-full", "%3F"),
        (
            "postgres://u:hunter2@h/d?sslrootcert=/nowhere%20password=hunter2",
            "sslrootcert names a file that can't be read",
        ),
        ("postgres://u:hunter2@h/d?sslcert=a%00b&sslkey=k", "sslcert contains a NUL"),
        ("postgres://u@h/d?passw%6Frd=abc&hunter=1", "a parameter is unknown"),
        ("postgres://u@h/d?host=h%20password=hunter2", "host contains a character"),
        ("postgres://u:12,hunter2%40h/d", "host contains a character"),
        ("postgres://u:hunter2@h/d?sslmode=on", "sslmode must be one of disable, allow, prefer"),
        ("postgres://u:hunter2@h/d?ssl=maybe", "ssl must be one of"),
        ("postgres://u:hunter2@h/d?sslmode=require&sslrootcert=system", "sslmode must be verify-full"),
        ("postgres://u:hunter2@h/d?sslmode=prefer&sslnegotiation=direct", "sslmode must be require"),
        (
            "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/nowhere",
            "sslrootcert names a file that can't be read: ",
        ),
        ("postgres://u:hunter2@h/d?sslcert=/nowhere", "sslcert needs sslkey"),
        ("postgres://u:hunter2@h/d?sslkey=/nowhere", "sslkey needs sslcert"),
        ("postgres://u:hunter2@h/d?sslcert=/nowhere&sslkey=/nowhere", "sslcert must name a readable file"),
        ("postgres://u:hunter2@h/d?target_session_attrs=main", "target_session_attrs must be one of any, read-write"),
        ("postgres://u:hunter2@h/d?max_lifetime=hunter2", "max_lifetime must be a time in seconds, or one with a unit"),
        ("postgres://u:hunter2@h/d?idle_timeout=", "idle_timeout must be a time in seconds, or one with a unit"),
        ("postgres://u:hunter2@h/d?pool_max_conn_lifetime=1x", "a time in seconds, or one with a unit"),
        ("postgres://u:hunter2@h/d?pool_max_conn_idle_time=-1s", "a time in seconds, or one with a unit"),
        ("postgres://u:hunter2@h/d?max_lifetime=99999999999999999999", "a time in seconds, or one with a unit"),
        ("postgres://u:hunter2@h/d?connection_limit=few", "connection_limit must be a whole number"),
        ("postgres://u:hunter2@h/d?connection_limit=9223372036854775807", "a whole number from 1 to 1000"),
        ("postgres://u:hunter2@h/d?connection_limit=0", "a whole number from 1 to 1000"),
        ("postgres://u@h/d?password=abc&hunter", "a parameter is unknown"),
        ("postgres://u@h/d?password=abc&hunter=1&a=b", "a parameter is unknown"),
        ("postgres://u@h/d?password=abc&user=d&hunter=1", "a parameter is unknown"),
        ("postgres://u:pw?hunter", "a parameter is unknown"),
        ("postgres://u:pw?hunter=1", "a parameter is unknown"),
        ("postgres://u:hunter2@h/d?sslmode=verify-ca", "sslmode needs sslrootcert"),
        ("postgres://u:hunter2@h/d?pgbouncer=yes", "pgbouncer must be one of true, false"),
        ("postgres://u:hunter2@h/d?schema=a,b", "schema must be the name of one schema"),
        ("postgres://u:hunter2@h/d?sslcrl=a", "sslcrl is not supported"),
        ("postgres://u:hunter2@h/d?sslmod=verify-full", "sslmod is unknown; sslmode is probably meant"),
        ("postgres://u:hunter2@h/d?prot=1", "prot is unknown; port is probably meant"),
        ("postgres://u@h/d?password=abc&colour=blue", "a parameter is unknown, or has no value"),
        ("postgres://u@h/d?colour", "a parameter is unknown, or has no value"),
    ] {
        let error = from_url(url).err().unwrap_or_else(|| panic!("{url} is accepted"));
        assert_eq!(error.code(), "ERR_AUTH_BRIDGE_CONFIG", "{url}");
        let message = error.to_string();
        assert!(message.starts_with("DATABASE_URL: "), "{message}");
        assert!(message.contains(part), "{message}");
        for secret in ["hunter2", "hun", "ter2"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

proptest! {
    /// No message and no `Debug` output shows the password, however malformed the URL is.
    #[test]
    fn no_url_leaks_its_password(
        user in "[a-z%:]{0,6}",
        host in "[a-z0-9:,\\[\\]%.]{0,12}",
        database in "[a-z/%]{0,6}",
        parameters in "[a-z=&%_]{0,20}",
        before in "[?/:@&=#%, ]{0,2}",
        after in "[?/:&=#%, ]{0,2}",
    ) {
        let url = format!("postgres://{user}:{before}HUNTER{after}@{host}/{database}?{parameters}");
        let shown = match from_url(&url) {
            Err(error) => format!("{error} {error:?}"),
            Ok(target) => format!("{target:?} {} {:?}", target.address(), target.warnings()),
        };
        prop_assert!(!shown.contains("HUNTER"), "{}: {}", url, shown);
    }
}

#[test]
fn variables_are_read_as_in_libpq() {
    let target = from_variables(&[
        ("PGHOST", "host", "a,/run/pg"),
        ("PGPORT", "port", "6543,6544"),
        ("PGUSER", "user", "u@x"),
        ("PGPASSWORD", "password", "p@?%41"),
        ("PGDATABASE", "dbname", "d"),
        ("PGSSLMODE", "sslmode", "verify-full"),
        ("PGOPTIONS", "options", "-c a=b"),
        ("PGAPPNAME", "application_name", "mine"),
        ("PGCONNECT_TIMEOUT", "connect_timeout", "3"),
        ("PGTARGETSESSIONATTRS", "target_session_attrs", "prefer-standby"),
    ])
    .expect("is complete");
    assert_eq!(target.address(), "a:6543, /run/pg/.s.PGSQL.6544");
    assert_eq!(target.config.get_user(), Some("u@x"));
    assert_eq!(target.config.get_password(), Some(b"p@?%41".as_slice()));
    assert_eq!(target.config.get_application_name(), Some("mine"));
    assert_eq!(target.tls.modes, REQUIRE);
    assert_eq!(target.session_attrs, SessionAttrs::PreferStandby);
    assert_eq!(target.connect_timeout, Duration::from_secs(3));

    let by_address = from_variables(&[("PGHOSTADDR", "hostaddr", "::1")]).expect("is enough");
    assert_eq!((by_address.address().as_str(), by_address.hosts[0].address.is_some()), ("[::1]:5432", true));
    let user_only = from_variables(&[("PGUSER", "user", "u")]).expect("is enough");
    assert_eq!(user_only.address(), "localhost:5432");

    let blank =
        from_variables(&[("PGHOST", "host", " h "), ("PGSSLMODE", "sslmode", "verify-full\n")]).expect("is enough");
    assert_eq!((blank.address().as_str(), blank.tls.modes), ("h:5432", REQUIRE));
    let quoted = from_variables(&[("PGHOST", "host", "h"), ("PGSSLMODE", "sslmode", "\"verify-full\"")]);
    assert!(quoted.expect_err("is quoted").to_string().ends_with(", without quotes around it"));

    for (name, parameter, value) in [
        ("PGPORT", "port", "x"),
        ("PGPORT", "port", "1,2"),
        ("PGSSLMODE", "sslmode", "on"),
        ("PGSSLROOTCERT", "sslrootcert", "/nowhere"),
        ("PGSERVICE", "service", "main"),
        ("PGDATABASE", "dbname", "d?sslmode=verify-full"),
    ] {
        let all = [("PGHOST", "host", "h"), ("PGSSLMODE", "sslmode", "verify-full"), (name, parameter, value)];
        let error = from_variables(&all).expect_err("is wrong");
        assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
    }
}

/// What a variable or a file may complete is no mistake of the options.
#[test]
fn options_are_checked_without_variables_and_files() {
    let checked = |url: &str, ca: Option<&str>| {
        let location = Location::of_url(url.to_owned().into(), "databaseUrl");
        check(&Database { ca: ca.map(str::to_owned), ..Database::at(location) }).map_err(|error| error.to_string())
    };
    for url in [
        "postgres://",
        "postgres://h/d?sslmode=verify-ca",
        "postgres://h/d?sslmode=verify-full&sslrootcert=/nowhere.pem",
        "postgres://h/d?sslkey=/nowhere.pem",
        "postgres://h/d?sslnegotiation=direct",
    ] {
        assert_eq!(checked(url, None), Ok(()), "{url}");
    }
    const NO_PEM: &str = "-----BEGIN CERTIFICATE-----";
    for (url, ca, problem) in [
        ("mysql://h", None, "databaseUrl: must begin with postgres://"),
        ("postgres://h/d?sslmode=on", None, "databaseUrl: sslmode must be one of"),
        ("postgres://h/d?ssl_min_protocol_version=1", None, "databaseUrl: ssl_min_protocol_version must be one of"),
        ("postgres://h/d?sslmode=require&sslrootcert=system", None, "databaseUrl: sslmode must be verify-full"),
        ("postgres://h:x/d", None, "databaseUrl: port must be a number"),
        ("postgres://h/d?connection_limit=0", None, "databaseUrl: connection_limit must be"),
        ("postgres://h/d?sslmode=prefer", Some(NO_PEM), "tls.ca: has no effect"),
        ("postgres://h/d", Some(NO_PEM), "tls.ca: can't be read as PEM"),
    ] {
        let error = checked(url, ca).expect_err(url);
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn unknown_parameters_are_ignored_and_named() {
    for (query, names) in [
        ("pool_flavour=0&single_use_connections=true", "pool_flavour single_use_connections"),
        ("workaround=supabase-pooler.vercel", "workaround"),
        ("serverVersion=16&charset=utf8", "serverVersion"),
        ("statusColor=686B6F&env=local&name=app&tLSMode=0&lazyload=false", "statusColor env name lazyload"),
        ("prepareThreshold=0", "prepareThreshold"),
        ("hunter2%20!=blue", "a parameter"),
        ("sslmode=require", ""),
    ] {
        let target = from_url(&format!("postgres://u:p@h/d?{query}")).expect(query);
        assert_eq!(target.unknown.join(" "), names, "{query}");
        let codes: Vec<_> = target.warnings().iter().map(Warning::code).collect();
        assert_eq!(codes, if names.is_empty() { vec![] } else { vec!["AUTH_BRIDGE_UNKNOWN_PARAMETER"] }, "{query}");
    }
}

/// As libpq does it: `PGSSLMODE=verify-full psql postgres://h/d` verifies the server.
#[test]
fn variables_fill_the_gaps_of_a_url() {
    const HOST: NamedValue = ("PGHOST", "host", "other");
    const PORT: NamedValue = ("PGPORT", "port", "6543");
    const USER: NamedValue = ("PGUSER", "user", "v");
    const PASSWORD: NamedValue = ("PGPASSWORD", "password", "q@?%41");
    const DATABASE: NamedValue = ("PGDATABASE", "dbname", "e");
    const FULL: NamedValue = ("PGSSLMODE", "sslmode", "verify-full");
    const DISABLED: NamedValue = ("PGSSLMODE", "sslmode", "disable");
    let all = [HOST, PORT, USER, PASSWORD, DATABASE, FULL];
    for (url, variables, address, user, password, dbname, modes, sources) in [
        ("postgres://u:p@h:1/d?sslmode=disable", &all as &[_], "h:1", "u", "p", "d", DISABLE, "DATABASE_URL"),
        ("postgres://u:p@h:1/d", &[FULL], "h:1", "u", "p", "d", REQUIRE, "DATABASE_URL PGSSLMODE"),
        ("postgres://u@h/d", &[PASSWORD], "h:5432", "u", "q@?%41", "d", PREFER, "DATABASE_URL PGPASSWORD"),
        ("postgres://u:@h/d", &[PASSWORD], "h:5432", "u", "q@?%41", "d", PREFER, "DATABASE_URL PGPASSWORD"),
        (
            "postgres://h",
            &[PORT, USER, PASSWORD],
            "h:6543",
            "v",
            "q@?%41",
            "",
            PREFER,
            "DATABASE_URL PGPORT PGUSER PGPASSWORD",
        ),
        ("postgres://u:p@/d", &[HOST], "other:5432", "u", "p", "d", PREFER, "DATABASE_URL PGHOST"),
        (
            "postgres://",
            &all,
            "other:6543",
            "v",
            "q@?%41",
            "e",
            REQUIRE,
            "DATABASE_URL PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE",
        ),
        (
            "postgres://h?username=u&password=p&database=d",
            &[USER, DATABASE],
            "h:5432",
            "u",
            "p",
            "d",
            PREFER,
            "DATABASE_URL",
        ),
        ("postgres://u:p@h/d?ssl=true", &[DISABLED], "h:5432", "u", "p", "d", REQUIRE, "DATABASE_URL"),
        ("postgres://u:p@h/d?sslaccept=strict", &[DISABLED], "h:5432", "u", "p", "d", REQUIRE, "DATABASE_URL"),
    ] {
        let target = from_both(Some(url), variables).unwrap_or_else(|error| panic!("{url}: {error}"));
        let password_read = target.config.get_password().map(String::from_utf8_lossy);
        let read = (target.config.get_user(), password_read.as_deref(), target.config.get_dbname().unwrap_or_default());
        assert_eq!(read, (Some(user), Some(password), dbname), "{url}");
        assert_eq!((target.address().as_str(), target.tls.modes), (address, modes), "{url}");
        assert_eq!(target.sources.join(" "), sources, "{url}");
    }
    let by_address = from_both(Some("postgres://h/d"), &[("PGHOSTADDR", "hostaddr", "::1")]).expect("is complete");
    assert_eq!(by_address.hosts[0].address.map(|address| address.to_string()).as_deref(), Some("::1"));
    for (variable, name) in [
        (("PGSSLMODE", "sslmode", "on"), "PGSSLMODE: "),
        (("PGREQUIREAUTH", "require_auth", "scram-sha-256"), "PGREQUIREAUTH: is not supported"),
        (("PGHOSTADDR", "hostaddr", "::1,::2"), "PGHOSTADDR: must have one address for each host"),
    ] {
        let error = from_both(Some("postgres://u:p@h/d"), &[variable]).expect_err("is wrong");
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

/// The tables of docs/configuration.md list every parameter.
#[test]
fn the_documentation_names_each_parameter() {
    let documentation = include_str!("../../../docs/configuration.md");
    let source = include_str!("settings.rs");
    let (_, set) = source.split_once("match parameter.name.as_str() {").expect("the table of parameters");
    let (set, _) = set.split_once("name if IGNORED").expect("its end");
    let arms = set.split('\n').filter(|line| line.contains("=>") || line.trim_start().starts_with(['"', '|']));
    let names = arms.filter_map(|line| line.split("=>").next()).flat_map(|line| line.split('"').skip(1).step_by(2));
    let mut count = 0;
    for name in names.chain(IGNORED).chain(UNSUPPORTED) {
        assert!(documentation.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
        count += 1;
    }
    assert!(count > 50, "only {count} parameters");
}
