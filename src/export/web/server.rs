//! The HTTP/1 server: who may connect, how many at once, and how long they may take.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::guard::Refusal;
use super::{Options, Site};

/// Opens the listening socket; an error says what to do about it.
pub fn bind(options: &Options) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(options.listen).map_err(|e| explained(options.listen, &e))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `shutdown` is done. Must be called within a tokio runtime with time and I/O.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = site.router();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            if slots.available_permits() == 0 {
                site.refusals.count(Refusal::Waited);
            }
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (slot, stream))
        };
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = accepted => match accepted {
                Ok((slot, stream)) => {
                    tokio::spawn(converse(slot, stream, router.clone()));
                }
                Err(error) => {
                    // Out of descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "web: cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn converse(slot: OwnedSemaphorePermit, stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Errors are those of the other end: it went away, or spoke no HTTP.
    if timeout(CONNECTION_TIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(HEADER_TIME, connection).await;
    }
    drop(slot);
}

fn explained(listen: SocketAddr, error: &io::Error) -> io::Error {
    let port = listen.port();
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens there (`ss -ltnp 'sport = :{port}'` names it): stop it, or set another `listen` in [web]"
        ),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: set another `listen` in [web]".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface has this address (`ip address` lists them): set another `listen` in [web]"
                .to_owned()
        }
        _ => "set another `listen` in [web]".to_owned(),
    };
    io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}\n  mend: {remedy}"))
}

/// Some Prometheus servers, a supervisor and a few people; whoever comes next waits in the kernel's queue.
const CONNECTIONS: usize = 32;
/// Octets of a request's head. Answers are made whole before they are sent, and not counted here.
const BUFFER: usize = 16 * 1024;
/// For a request's head, and for the next one on an idle connection: a scraper that comes later connects again.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// After this a connection ends with its current answer, so that nobody holds one for good.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A read and a write buffer for each connection.
pub(super) const MEMORY: u64 = (CONNECTIONS * 2 * BUFFER) as u64;
