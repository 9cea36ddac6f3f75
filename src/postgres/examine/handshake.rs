//! Which TLS the server agrees on. tokio-postgres keeps the handshake of a connection to itself, so
//! this makes one of its own, with the same settings, and leaves.
#![forbid(unsafe_code)]

use std::io;
use std::pin::Pin;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_postgres::config::{SslMode, SslNegotiation};

use super::super::connect::Connection;
use super::super::tls::Tls;
use super::super::url::Target;

/// Message `SSLRequest` of the PostgreSQL protocol.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The answer of a server that goes on with TLS.
const WILLING: u8 = b'S';

#[derive(Debug, Serialize)]
pub struct Agreement {
    pub version: &'static str,
    pub cipher: Option<&'static str>,
}

/// With the server of `connection`, in the mode in which it took that. `None` without TLS.
pub(super) async fn agree(connection: &Connection, target: &Target) -> io::Result<Option<Agreement>> {
    let Connection { endpoint, mode, .. } = connection;
    let Some(address) = endpoint.address.filter(|_| *mode != SslMode::Disable) else {
        return Ok(None);
    };
    let mut stream = TcpStream::connect((address, endpoint.host.port)).await?;
    if target.config.get_ssl_negotiation() != SslNegotiation::Direct {
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != WILLING {
            return Ok(None);
        }
    }
    shake_hands(stream, &target.tls, &endpoint.host.name).await.map(Some)
}

async fn shake_hands<S: AsyncRead + AsyncWrite>(stream: S, tls: &Tls, name: &str) -> io::Result<Agreement> {
    let mut stream = Box::pin(SslStream::new(tls.client(name)?, stream)?);
    Pin::as_mut(&mut stream).connect().await.map_err(io::Error::other)?;
    let ssl = stream.ssl();
    Ok(Agreement { version: ssl.version_str(), cipher: ssl.current_cipher().map(|cipher| cipher.name()) })
}
