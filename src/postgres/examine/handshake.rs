//! Finds out which TLS version and cipher the server negotiates. tokio-postgres doesn't expose the TLS session of a
//! connection, so this makes a handshake with the same settings on a new connection, and closes it.
#![forbid(unsafe_code)]

use std::io;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::{SslMode, SslNegotiation};

use super::super::connect::Connection;
use super::super::url::Target;

/// The message SSLRequest of the PostgreSQL protocol.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The response of a server that accepts TLS.
const SSL_ACCEPTED: u8 = b'S';

#[derive(Debug, Serialize)]
pub struct NegotiatedTls {
    pub version: &'static str,
    pub cipher: Option<&'static str>,
}

/// Connects to the server of `connection`, in the same TLS mode. `None` without TLS.
pub(super) async fn negotiate(connection: &Connection, target: &Target) -> io::Result<Option<NegotiatedTls>> {
    let Connection { endpoint, mode, .. } = connection;
    let Some(address) = endpoint.address.filter(|_| *mode != SslMode::Disable) else {
        return Ok(None);
    };
    let mut stream = TcpStream::connect((address, endpoint.host.port)).await?;
    if target.config.get_ssl_negotiation() != SslNegotiation::Direct {
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != SSL_ACCEPTED {
            return Ok(None);
        }
    }
    let handshake = target.tls.encryption.handshake(stream, &endpoint.host.name).await;
    let stream = handshake.map_err(io::Error::other)?;
    let (version, cipher) = (stream.ssl().version_str(), stream.ssl().current_cipher());
    Ok(Some(NegotiatedTls { version, cipher: cipher.map(|cipher| cipher.name()) }))
}
