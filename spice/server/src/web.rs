//! The page for browsers: on listeners of its own, where SPICE comes by WebSocket alone.

mod facts;
pub mod http;
mod power;

use std::{fmt, sync::Arc, time::Duration};

use caraway_protocol::link::LinkCode;
use caraway_web::{Response, SCREEN, Status, page};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tracing::{Instrument as _, debug, info_span};

use self::http::{Exchange, Request};
use crate::{
    Accepts, Peer, ServeError, Server,
    access::Way,
    admission::{InLink, Origin},
    link,
    server::{LINK_DEADLINE, chain},
    wire::{Carrier, Wire, ahead::Ahead},
};

/// What a link message begins with.
const SPICE: &[u8] = b"REDQ";

/// A page for browsers.
#[derive(Clone)]
pub struct Web {
    /// Where it is, for people who ask for a page on a listener of SPICE.
    pub address: String,
    /// What its menu of power commands; without it there is none.
    pub power: Option<Arc<dyn Power>>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("address", &self.address)
            .field("power", &self.power.is_some())
            .finish()
    }
}

/// What a page may be let command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerAction {
    /// Press the power button.
    Powerdown,
    /// Reset the machine.
    Reset,
    /// Hold it still.
    Pause,
    /// Let it go on.
    Resume,
}

/// Does what a page commands.
pub trait Power: Send + Sync {
    /// Does it. May block.
    ///
    /// # Errors
    /// Why it cannot be done as things are, for a person.
    fn act(&self, action: PowerAction) -> Result<(), String>;
}

/// The way a connection of a browser came.
#[derive(Clone, Copy)]
struct Came<'a> {
    local: &'a Peer,
    client: &'a Peer,
    way: Way,
}

impl Server {
    /// Serves one connection of a browser on a task of its own.
    pub fn spawn_web<S>(self: &Arc<Self>, stream: S, local: Peer, client: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = Arc::clone(self);
        let span = info_span!("web", ?client);
        tokio::spawn(
            async move {
                if let Err(error) = server.serve_web_stream(stream, &local, &client).await {
                    debug!(error = %chain(&error), "connection ended");
                }
            }
            .instrument(span),
        );
    }

    /// Serves one connection of a browser to its end: requests for files of the page, for facts about the VM and for power,
    /// as many as the connection may have, or SPICE by WebSocket. TLS is taken where there is a certificate, except on Unix
    /// sockets.
    ///
    /// # Errors
    /// Why it ended, other than by the client.
    pub async fn serve_web_stream<S>(self: &Arc<Self>, stream: S, local: &Peer, client: &Peer) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(asking) = self.asking.enter(Origin::from(client)) else {
            return Err(ServeError::Refused(LinkCode::Error));
        };
        let accepts = match local {
            Peer::Unix(_) => Accepts::Plain,
            Peer::Tcp(_) | Peer::Unnamed => Accepts::Both,
        };
        let carrier = in_time(LINK_DEADLINE, "send a request", async {
            let (mut carrier, _) = Carrier::accept(stream, accepts, &self.config.security).await?;
            let is_spice = says_spice(&mut carrier).await?;
            if is_spice {
                // There is no code that says more.
                link::refuse(&mut carrier, LinkCode::Error).await?;
                let _ = carrier.shutdown().await;
                return Err(ServeError::Request(
                    "SPICE comes to this port by WebSocket alone".to_owned(),
                ));
            }
            Ok(carrier)
        })
        .await?;
        let is_encrypted = carrier.stream.is_encrypted();
        let came = Came {
            local,
            client,
            way: Way::new(local, accepts, is_encrypted),
        };
        let mut exchange = Exchange::over(carrier, is_encrypted);
        while let Some(request) = exchange.next().await? {
            if request.asks_for_websocket() {
                return self.upgrade(exchange, &request, asking, came, accepts).await;
            }
            let response = self.web_answer(&request, came).await;
            exchange.answer(&request, &response).await?;
        }
        Ok(())
    }

    /// Goes on with SPICE.
    async fn upgrade<S>(
        self: &Arc<Self>,
        mut exchange: Exchange<Carrier<S>>,
        request: &Request,
        asking: InLink,
        came: Came<'_>,
        accepts: Accepts,
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answer = match request.upgrade(&self.config.security.origins) {
            Ok(answer) => answer,
            Err(refusal) => {
                exchange
                    .end_with(&refusal.response(exchange.is_encrypted(), None))
                    .await?;
                return Err(ServeError::Request(refusal.to_string()));
            }
        };
        let Some(half_open) = self.half_open.enter(Origin::from(came.client)) else {
            let full = Response::text(Status::SERVICE_UNAVAILABLE, "Too many connections are being made.\n");
            exchange.end_with(&full).await?;
            return Err(ServeError::Refused(LinkCode::Error));
        };
        drop(asking);
        let (local, client) = (came.local, came.client);
        let observer = self.config.observer.as_deref();
        observer.inspect(|observer| observer.connected(local, client));
        let mut channel = None;
        let wire = async {
            let mut carrier = exchange.into_stream();
            carrier.write_all(answer.as_bytes()).await?;
            carrier.flush().await?;
            Ok(Wire::web(carrier))
        };
        let result = self
            .link_wire(wire, half_open, (local, client, accepts), &mut channel)
            .await;
        observer.inspect(|observer| observer.disconnected(local, client, channel.as_ref()));
        result
    }

    async fn web_answer(&self, request: &Request, came: Came<'_>) -> Response {
        let host = match http::check_host(request, &self.config.security.origins, came.way == Way::Tls) {
            Ok(host) => host,
            Err(response) => return response,
        };
        match request.path() {
            "/vm.json" if matches!(request.method(), "GET" | "HEAD") => {
                self.facts(came).without_body(request.method() == "HEAD")
            }
            "/vm.json" => Response::not_allowed("GET, HEAD"),
            "/power" => self.power(request, host, came).await,
            _ => page(&http::for_page(request, request.path(), host), SCREEN),
        }
    }
}

/// Whether it is SPICE without WebSocket.
async fn says_spice<S: AsyncRead + Unpin>(carrier: &mut Ahead<S>) -> Result<bool, ServeError> {
    while carrier.ahead.len() < SPICE.len() && SPICE.starts_with(&carrier.ahead) {
        carrier.look().await?;
    }
    Ok(carrier.ahead.starts_with(SPICE))
}

/// What a client has to be done with in time.
async fn in_time<T>(
    time: Duration,
    what: &'static str,
    done: impl Future<Output = Result<T, ServeError>>,
) -> Result<T, ServeError> {
    tokio::time::timeout(time, done)
        .await
        .map_err(|_| ServeError::Timeout {
            what,
            seconds: time.as_secs(),
        })?
}
