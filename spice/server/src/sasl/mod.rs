//! SASL: clients say who they are, and prove it, instead of giving a ticket.
//!
//! Only where nobody on the way can read along: of the mechanisms here none encrypts what follows it. Channel binding
//! (`SCRAM-SHA-256-PLUS`) is not offered.

mod plain;
mod scram;
mod users;
mod verifier;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use caraway_protocol::{
    Progress,
    link::{
        LinkCode,
        sasl::{Data, MechanismName, Outcome, Step, encode_mechanisms},
    },
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use self::users::Table;
pub use self::{
    users::{User, UserError, Users, UsersError, parse_users},
    verifier::{Verifier, VerifierError},
};
use crate::{
    Identity, ServeError,
    link::{self, Gate},
};

/// What is offered, the better first.
const MECHANISMS: &[&str] = &[scram::NAME, plain::NAME];

/// What is wrong with a client's message that is none of its mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(&'static str);

/// Runs the exchange. Who it is; a client that is not let in was told so.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    users: &Arc<Users>,
    gate: &Gate<'_>,
) -> Result<Identity, ServeError> {
    send(stream, &encode_mechanisms(MECHANISMS)).await?;
    let mechanism = loop {
        match MechanismName::decode(buffer) {
            Ok(Progress::Done(name)) => break MECHANISMS.iter().find(|known| name.0 == known.as_bytes()),
            Ok(Progress::Need(_)) => link::fill(stream, buffer).await?,
            Err(error) => {
                link::refuse(stream, LinkCode::InvalidData).await?;
                return Err(error.into());
            }
        }
    };
    let Some(mechanism) = mechanism else {
        link::refuse(stream, LinkCode::InvalidData).await?;
        return Err(ServeError::Refused(LinkCode::InvalidData));
    };
    let first = match receive(stream, buffer).await? {
        Some(data) => data,
        None => {
            // The client waits to be asked.
            step(stream, Some(Bytes::new()), false).await?;
            needed(receive(stream, buffer).await?)?
        }
    };
    let table = current(users).await?;
    let find = |name: &str| users.find(&table, name);
    let entered = if *mechanism == scram::NAME {
        let (exchange, challenge) = scram::Exchange::begin(&first, find)?;
        step(stream, Some(challenge.into()), false).await?;
        let last = needed(receive(stream, buffer).await?)?;
        gate.guesses.pause(gate.origin).await;
        let entered = exchange.finish(&last)?;
        entered.map(|(identity, answer)| (identity, Some(answer.into())))
    } else {
        let attempt = plain::Attempt::new(&first, find)?;
        gate.guesses.pause(gate.origin).await;
        let turn = Arc::clone(&users.computing).acquire_owned().await;
        let identity = blocking(move || {
            // Until it is done, even if the client has gone.
            let _turn = turn;
            attempt.check()
        })
        .await?;
        identity.map(|identity| (identity, None))
    };
    let Some((identity, answer)) = entered else {
        gate.guesses.wrong(gate.origin);
        step(stream, None, true).await?;
        send(stream, &Outcome::Rejected("wrong name or password".to_owned()).encode()).await?;
        return Err(ServeError::Refused(LinkCode::PermissionDenied));
    };
    gate.guesses.right(gate.origin);
    step(stream, answer, true).await?;
    send(stream, &Outcome::Accepted.encode()).await?;
    Ok(identity)
}

async fn current(users: &Arc<Users>) -> Result<Arc<Table>, ServeError> {
    let users = Arc::clone(users);
    blocking(move || users.current()).await
}

/// Beside the event loop.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ServeError::Task(error.to_string()))
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> Result<Option<Bytes>, ServeError> {
    loop {
        match Data::decode(buffer)? {
            Progress::Done(data) => return Ok(data.0),
            Progress::Need(_) => link::fill(stream, buffer).await?,
        }
    }
}

fn needed(data: Option<Bytes>) -> Result<Bytes, Fault> {
    data.ok_or(Fault("the client sends nothing where it has to say something"))
}

async fn step<S: AsyncWrite + Unpin>(stream: &mut S, data: Option<Bytes>, complete: bool) -> Result<(), ServeError> {
    send(stream, &Step { data, complete }.encode()).await
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), ServeError> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(())
}
