//! TLS handshakes by OpenSSL, for tokio-postgres.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{SslConnector, SslRef};
use openssl::x509::X509VerifyResult;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_openssl::SslStream;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

/// PostgreSQL's name as a protocol over TLS (ALPN).
const PROTOCOL: &[u8] = b"postgresql";
const BUFFER_BYTES: usize = 8192;

/// Makes the handshakes with one database.
#[derive(Clone)]
pub(super) struct Encryption {
    pub(super) connector: SslConnector,
    pub(super) verifies_host_name: bool,
    /// Whether the server must say that it speaks PostgreSQL's protocol, since no SSLRequest message has asked it. Otherwise
    /// what is meant for the database could be led to another server with the same certificate.
    pub(super) requires_protocol: bool,
}

/// The protocols that a client offers: a list of names, each after its length.
pub(super) fn offered_protocols() -> Vec<u8> {
    [&[PROTOCOL.len() as u8], PROTOCOL].concat()
}

impl Encryption {
    /// The client side of one handshake with the server `name`.
    pub(super) async fn handshake<S>(&self, stream: S, name: &str) -> Result<SslStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ssl = self.connector.configure()?.verify_hostname(self.verifies_host_name).into_ssl(name)?;
        let mut stream = SslStream::new(ssl, stream)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            return Err(HandshakeError(match stream.ssl().verify_result() {
                X509VerifyResult::OK => error.to_string(),
                problem => format!("{error}: {problem}"),
            }));
        }
        if self.requires_protocol && stream.ssl().selected_alpn_protocol() != Some(PROTOCOL) {
            return Err(HandshakeError(
                "the server does not confirm that it speaks PostgreSQL's protocol (ALPN), as sslnegotiation=direct needs"
                    .to_owned(),
            ));
        }
        Ok(stream)
    }
}

#[derive(Debug)]
pub(super) struct HandshakeError(String);

impl From<ErrorStack> for HandshakeError {
    fn from(cause: ErrorStack) -> Self {
        Self(cause.to_string())
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HandshakeError {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Encryption {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = HandshakeError;

    fn make_tls_connect(&mut self, name: &str) -> Result<Handshake, HandshakeError> {
        Ok(self.with(name))
    }
}

impl Encryption {
    pub(super) fn with(&self, name: &str) -> Handshake {
        Handshake { encryption: self.clone(), name: name.to_owned() }
    }
}

/// One handshake, still to be made.
pub(super) struct Handshake {
    encryption: Encryption,
    name: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = HandshakeError;
    type Future = BoxFuture<'static, Result<Encrypted<S>, HandshakeError>>;

    fn connect(self, stream: S) -> Self::Future {
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        async move { self.encryption.handshake(stream, &self.name).await.map(Encrypted) }.boxed()
    }
}

pub(super) struct Encrypted<S>(SslStream<BufReader<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        server_end_point(self.0.ssl()).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The hash of the server's certificate that a password is bound to (RFC 5929, section 4.1).
fn server_end_point(ssl: &SslRef) -> Option<Vec<u8>> {
    let certificate = ssl.peer_certificate()?;
    let signature = certificate.signature_algorithm().object().nid().signature_algorithms()?;
    let digest = match signature.digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        digest => MessageDigest::from_nid(digest)?,
    };
    certificate.digest(digest).ok().map(|hash| hash.to_vec())
}
