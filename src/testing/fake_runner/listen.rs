//! Sockets that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;

/// What fits between a socket and the server behind it.
const CABLE_BYTES: usize = 1 << 20;

/// A listening socket. A cable goes from each of its connections to the server.
pub(super) struct Port {
    address: SocketAddr,
    cables: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Port {
    /// Listens on a free port of the loopback interface. Call it in a runtime. Yields the server's ends.
    pub(super) async fn open()
    -> std::io::Result<(Self, ReceiverStream<std::io::Result<DuplexStream>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = Port {
            address: listener.local_addr()?,
            cables: Arc::default(),
        };
        let (accepted, ends) = mpsc::channel(16);
        let cables = port.cables.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (mut cable, end) = duplex(CABLE_BYTES);
                let _ = socket.set_nodelay(true);
                let copying = tokio::spawn(async move {
                    let _ = copy_bidirectional(&mut socket, &mut cable).await;
                });
                cables
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(copying.abort_handle());
                if accepted.send(Ok(end)).await.is_err() {
                    return;
                }
            }
        });
        Ok((port, ReceiverStream::new(ends)))
    }

    /// `host:port`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts all connections that stand, as a broken network does.
    pub(super) fn cut(&self) {
        let mut cables = self.cables.lock().unwrap_or_else(PoisonError::into_inner);
        cables.drain(..).for_each(|cable| cable.abort());
    }
}
