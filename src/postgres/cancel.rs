//! Tells the server to end a query that nobody waits for any more.
//!
//! The request goes through a connection of its own, which the server closes when it has dealt with
//! it. Whoever closes it sooner, as tokio-postgres does, may take the request back, and makes
//! PgBouncer 1.18 exit ("bad client state"). So it is heard out, as libpq does.
#![forbid(unsafe_code)]

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use postgres_openssl::{MakeTlsConnector, TlsConnector, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::CancelToken;
use tokio_postgres::tls::{self, ChannelBinding, MakeTlsConnect, TlsConnect};

use super::url::Host;

/// Where a connection leads to.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) host: Host,
    /// `None` for a Unix socket.
    pub(super) address: Option<IpAddr>,
}

/// Ends when the server has dealt with the request. Whether there was something to end, it doesn't say.
pub(super) async fn cancel(token: CancelToken, endpoint: Endpoint, tls: MakeTlsConnector) -> Option<()> {
    let Endpoint { host, address } = endpoint;
    match address {
        Some(address) => {
            let stream = TcpStream::connect((address, host.port)).await.ok()?;
            request(token, stream, tls, &host.name).await
        }
        #[cfg(unix)]
        None => {
            let stream = tokio::net::UnixStream::connect(host.describe()).await.ok()?;
            request(token, stream, tls, &host.name).await
        }
        #[cfg(not(unix))]
        None => None,
    }
}

async fn request<S>(token: CancelToken, stream: S, mut tls: MakeTlsConnector, name: &str) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static,
{
    let tls = MakeTlsConnect::<HearOut<S>>::make_tls_connect(&mut tls, name).ok()?;
    token.cancel_query_raw(HearOut(stream), HearOutTls(tls)).await.ok()
}

/// A stream whose end is not before the other side's.
#[derive(Debug)]
struct HearOut<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for HearOut<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HearOut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// What comes meanwhile does not matter, nor whether the other side ends in good order.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let heard = ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer));
            if heard.is_err() || buffer.filled().is_empty() {
                return Pin::new(&mut self.0).poll_shutdown(cx);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tls::TlsStream for HearOut<TlsStream<S>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

/// TLS of which the same holds.
struct HearOutTls(TlsConnector);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for HearOutTls {
    type Stream = HearOut<TlsStream<S>>;
    type Error = <TlsConnector as TlsConnect<S>>::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.0.connect(stream);
        async move { Ok(HearOut(handshake.await?)) }.boxed()
    }
}
