//! Channels without the link stage, or without TLS, for tests and fuzzing: making a key and decrypting a ticket with it take a
//! thousand times as long as a message does.

use bytes::BytesMut;
use caraway_protocol::link::Negotiated;

use super::*;

impl Server {
    /// Another server, with a key for tickets that is there already.
    #[must_use]
    pub fn with_key_of(&self, config: ServerConfig) -> Arc<Self> {
        Self::with_keys(config, self.keys.clone())
    }

    /// Serves a connection to its end that has just passed the link stage with this message, without TLS.
    ///
    /// # Errors
    /// Why it ended, other than by the client.
    pub async fn serve_linked<S>(
        self: &Arc<Self>,
        stream: S,
        message: LinkMessage,
        role: Role,
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let client = Peer::Unnamed;
        let who = Who::from(role);
        let place = self.find_place(&message, &who, &client).map_err(ServeError::Refused)?;
        let header = Negotiated::new(&link::common_caps(false), &message.common_caps).header;
        let rest = BytesMut::new();
        let linked = Linked {
            message,
            header,
            who,
            rest,
        };
        self.run(stream, linked, place, (Way::Plain, &client)).await
    }
    /// Serves a connection to its end from its first byte on as if it were in TLS, which it is not.
    ///
    /// # Errors
    /// Why it ended, other than by the client.
    pub async fn serve_as_in_tls<S>(self: &Arc<Self>, stream: S) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let client = Peer::Unnamed;
        let linking = tokio::time::timeout(LINK_DEADLINE, async {
            let mut wire = Wire::accept(stream, Accepts::Plain, &self.config.security, None).await?;
            let (linked, place) = self.link(&mut wire, Way::Tls, &client).await?;
            Ok::<_, ServeError>((wire, linked, place))
        });
        let (wire, linked, place) = linking.await.map_err(|_| ServeError::Timeout {
            what: "finish the link stage",
            seconds: LINK_DEADLINE.as_secs(),
        })??;
        self.run(wire, linked, place, (Way::Tls, &client)).await
    }
}
