//! A machine that has moved to another host: its clients are told where, and begin a session there.

use std::{sync::Arc, time::Duration};

use caraway_protocol::main_channel::{DstInfo, ServerMessage};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::Server;

/// How often it is looked whether clients have gone.
const LOOK: Duration = Duration::from_millis(5);

/// Where the machine runs now, as its clients are to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Name or address.
    pub host: String,
    /// The port without TLS.
    pub port: Option<u16>,
    /// The port for TLS.
    pub tls_port: Option<u16>,
    /// Subject of the certificate, where the host's name is not what to check.
    pub subject: Option<String>,
}

/// Where it has moved to, once it has.
#[derive(Debug)]
pub(crate) struct Moved(watch::Sender<Option<Arc<Destination>>>);

impl Default for Moved {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Moved {
    /// Waits until the machine has moved: what a client is told.
    pub(crate) async fn told(&self) -> ServerMessage {
        let mut moved = self.0.subscribe();
        let destination = {
            // The sender lives as long as this is borrowed.
            let destination = moved.wait_for(Option::is_some).await;
            destination.ok().and_then(|destination| destination.clone())
        };
        match destination {
            Some(destination) => ServerMessage::MigrateSwitchHost(DstInfo {
                port: destination.port.unwrap_or(0),
                tls_port: destination.tls_port.unwrap_or(0),
                host: destination.host.clone(),
                cert_subject: destination.subject.clone(),
            }),
            None => std::future::pending().await,
        }
    }
}

impl Server {
    /// Tells all clients, and those that come later, that the machine is on another host now, and waits until they have gone
    /// there; no longer than `patience`. How many are left.
    pub async fn switch_host(&self, destination: Destination, patience: Duration) -> usize {
        self.moved.0.send_replace(Some(Arc::new(destination)));
        let gone = async {
            while self.clients() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        // Those that stay lose their connection with the server.
        timeout_at(Instant::now() + patience, gone).await.ok();
        self.clients()
    }
}
