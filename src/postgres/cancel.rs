//! Asks the server to cancel a query whose result is no longer needed.
//!
//! The cancel request needs its own connection, which the server closes once it has processed the request. tokio-postgres
//! closes the connection earlier, so the request may get lost, and PgBouncer 1.18 exits ("bad client state"). This
//! module waits for the server to close it, as libpq does.
#![forbid(unsafe_code)]

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::CancelToken;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::encryption::{Encrypted, Encryption, Handshake};
use super::url::Host;

/// The server that a connection leads to.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) host: Host,
    /// `None` for a Unix socket.
    pub(super) address: Option<IpAddr>,
}

/// Returns once the server has processed the request. The protocol doesn't say whether a query was cancelled.
pub(super) async fn cancel(token: CancelToken, endpoint: Endpoint, encryption: &Encryption) -> Option<()> {
    let Endpoint { host, address } = endpoint;
    match address {
        Some(address) => {
            let stream = TcpStream::connect((address, host.port)).await.ok()?;
            request(token, stream, encryption.with(&host.name)).await
        }
        #[cfg(unix)]
        None => {
            let stream = tokio::net::UnixStream::connect(host.describe()).await.ok()?;
            request(token, stream, encryption.with(&host.name)).await
        }
        #[cfg(not(unix))]
        None => None,
    }
}

async fn request<S>(token: CancelToken, stream: S, handshake: Handshake) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    token.cancel_query_raw(ClosedByServer(stream), ClosedByServerTls(handshake)).await.ok()
}

/// A stream whose shutdown waits until the server closes the connection.
struct ClosedByServer<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for ClosedByServer<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClosedByServer<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Discards what the server sends, and treats an error like the end of the stream.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Pin::new(&mut self.0).poll_shutdown(cx);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for ClosedByServer<Encrypted<S>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

/// The same over TLS.
struct ClosedByServerTls(Handshake);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for ClosedByServerTls {
    type Stream = ClosedByServer<Encrypted<S>>;
    type Error = <Handshake as TlsConnect<S>>::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.0.connect(stream);
        async move { Ok(ClosedByServer(handshake.await?)) }.boxed()
    }
}
