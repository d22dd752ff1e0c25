//! Accepts connections, each with a thread, and ends them all when asked.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::error::Result;
use crate::wait::Stop;

/// Connections served at a time. A further one is reset.
const CONNECTIONS: usize = 256;

/// A listening socket and the threads that serve its connections.
#[derive(Debug)]
pub(super) struct TcpServer {
    address: SocketAddr,
    stop: Arc<Stop>,
    acceptor: Option<JoinHandle<()>>,
}

impl TcpServer {
    /// Serves every connection with `serve`, on a thread of its own.
    pub(super) fn start(
        listener: TcpListener,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        let stop = Arc::new(Stop::new()?);
        let stopped = stop.clone();
        let acceptor = std::thread::Builder::new()
            .name(format!("server {address}"))
            .spawn(move || accept(&listener, &stopped, &Arc::new(serve)))?;
        Ok(Self {
            address,
            stop,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(acceptor) = self.acceptor.take() {
            // A thread that panicked has ended, which is all that is asked here.
            let _ = acceptor.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    stop: &Stop,
    serve: &Arc<impl Fn(TcpStream) + Send + Sync + 'static>,
) {
    // The connections that are served, so that they can be ended.
    let mut open: Vec<(TcpStream, JoinHandle<()>)> = Vec::new();
    while stop.wait_readable(listener) {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        let Ok(ours) = stream.try_clone() else {
            continue;
        };
        open.retain(|(_, thread)| !thread.is_finished());
        if open.len() >= CONNECTIONS {
            // A client that opens more than this is a mistake worth seeing.
            log::warn!(
                "more than {CONNECTIONS} connections to {:?}",
                listener.local_addr()
            );
            continue;
        }
        let serve = serve.clone();
        let thread = std::thread::spawn(move || {
            let end = stream.try_clone();
            serve(stream);
            // Our clone keeps the socket open: the end has to be said.
            let _ = end.and_then(|end| end.shutdown(Shutdown::Both));
        });
        open.push((ours, thread));
    }
    for (stream, thread) in open {
        let _ = stream.shutdown(Shutdown::Both);
        let _ = thread.join();
    }
}
