//! Unknown parameters that are probably meant to secure or route the connection. Without this check, a mistyped `sslmode`
//! would leave the server unverified.
#![forbid(unsafe_code)]

use super::settings::UNSUPPORTED;

const SECURING: [&str; 21] = [
    "sslmode",
    "sslaccept",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl_min_protocol_version",
    "sslnegotiation",
    "channel_binding",
    "host",
    "hostaddr",
    "port",
    "user",
    "username",
    "password",
    "dbname",
    "database",
    "options",
    "target_session_attrs",
    "load_balance_hosts",
    "schema",
    "search_path",
];
/// What a name that begins or ends like this probably means.
const AFFIXES: [(&str, &str); 3] = [("ssl", "sslmode"), ("tls", "sslmode"), ("host", "host")];
/// In a shorter name only one typing error is allowed: two would turn `name` into `dbname`.
const LONG_NAME: usize = 8;
const MAX_NAME: usize = 40;

/// The parameter that is probably meant by an unknown name.
pub(super) fn meant_by(name: &str) -> Option<&'static str> {
    let name = letters(name);
    if name.len() > MAX_NAME {
        return None;
    }
    let securing = SECURING.into_iter().map(|known| (known, if known.len() < LONG_NAME { 1 } else { 2 }));
    let unsupported = UNSUPPORTED.into_iter().map(|known| (known, 1));
    let similar = securing.chain(unsupported).filter_map(|(known, errors)| {
        let distance = distance(&name, &letters(known));
        (distance <= errors).then_some((distance, known))
    });
    let has_affix = |affix: &str| name.starts_with(affix.as_bytes()) || name.ends_with(affix.as_bytes());
    let by_affix = || AFFIXES.into_iter().find(|(affix, _)| has_affix(affix)).map(|(_, known)| known);
    similar.min_by_key(|(distance, _)| *distance).map(|(_, known)| known).or_else(by_affix)
}

/// Without case and separators: `sslMode` and `ssl_mode` are `sslmode`.
fn letters(name: &str) -> Vec<u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// How many letters are missing, added, wrong or swapped with their neighbour (optimal string alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let wrong = usize::from(a[i - 1] != b[j - 1]);
            let least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + wrong);
            let is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            rows[i][j] = if is_swapped { least.min(rows[i - 2][j - 2] + 1) } else { least };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_secure_or_route_are_recognized_when_they_are_misspelled() {
        for (name, meant) in [
            ("sslmod", "sslmode"),
            ("sslmdoe", "sslmode"),
            ("slmode", "sslmode"),
            ("sslMode", "sslmode"),
            ("ssl_mode", "sslmode"),
            ("ssl-mode", "sslmode"),
            ("tls", "sslmode"),
            ("tlsmode", "sslmode"),
            ("requiressl", "sslmode"),
            ("sslrootcrt", "sslrootcert"),
            ("ssl_root_cert", "sslrootcert"),
            ("sslMinProtocolVersion", "ssl_min_protocol_version"),
            ("channelBinding", "channel_binding"),
            ("chanel_bindign", "channel_binding"),
            ("target_session_attr", "target_session_attrs"),
            ("target_sesion_atrs", "target_session_attrs"),
            ("hsot", "host"),
            ("hostname", "host"),
            ("db_host", "host"),
            ("host_addr", "hostaddr"),
            ("prot", "port"),
            ("usr", "user"),
            ("passwd", "password"),
            ("db_name", "dbname"),
            ("databse", "database"),
            ("shema", "schema"),
            ("searchPath", "search_path"),
            ("requireauth", "require_auth"),
        ] {
            assert_eq!(meant_by(name), Some(meant), "{name}");
        }
    }

    #[test]
    fn parameters_of_other_clients_are_not_taken_for_them() {
        for name in [
            "max_idle_connection_lifetime",
            "single_use_connections",
            "workaround",
            "serverVersion",
            "statusColor",
            "env",
            "name",
            "usePrivateKey",
            "safeModeLevel",
            "driverVersion",
            "lazyload",
            "prepareThreshold",
            "reWriteBatchedInserts",
            "ApplicationName",
            "binaryTransfer",
            "stringtype",
            "loginTimeout",
            "tcpKeepAlive",
            "encoding",
            "pool",
            "pool_size",
            "connection_timeout",
            "colour",
            "mode",
            "type",
            "region",
            "application",
            "",
        ] {
            assert_eq!(meant_by(name), None, "{name}");
        }
    }
}
