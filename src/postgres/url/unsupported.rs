//! The parameters of libpq and other clients that set nothing here.
#![forbid(unsafe_code)]

/// Parameters of libpq and other clients for features that this package doesn't have, or has its own options for.
pub(super) const IGNORED: [&str; 23] = [
    "charset",
    "client_encoding",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "idle_in_transaction_session_timeout",
    "krbsrvname",
    "lock_timeout",
    "pool_max_conn_lifetime_jitter",
    "pool_min_conns",
    "pool_mode",
    "pool_timeout",
    "query_timeout",
    "socket_timeout",
    "sslcompression",
    "sslsni",
    "statement_timeout",
    "supa",
    "timezone",
    "uselibpqcompat",
    "max_pipeline",
    "fetch_types",
    // TablePlus; `tlsmode` in another spelling is refused.
    "tLSMode",
];
/// Parameters of libpq that are refused: they ask for features that this package doesn't have, and ignoring them would be
/// unsafe.
pub(super) const UNSUPPORTED: [&str; 11] = [
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "ssl_max_protocol_version",
    "sslpassword",
    "sslidentity",
];
