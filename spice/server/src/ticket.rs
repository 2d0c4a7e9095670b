//! The ticket in force: the password clients must give, and until when it lets them in.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_protocol::link::PASSWORD_MAX;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What happens to clients that are connected when the ticket is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connected {
    /// They stay.
    #[default]
    Keep,
    /// As long as there are any, the ticket stays as it is.
    Fail,
    /// They are disconnected.
    Disconnect,
}

/// Why a ticket cannot be set or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// More than fits.
    #[error("the ticket is {bytes} bytes long, at most {PASSWORD_MAX} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character that ends it.
    #[error("the ticket contains a NUL")]
    Nul,
    /// Clients are connected.
    #[error("{clients} clients are connected")]
    ClientsConnected {
        /// How many.
        clients: usize,
    },
    /// There is none whose time could be set.
    #[error("there is no ticket")]
    NoTicket,
}

/// What a client has to give.
pub(crate) enum Expected {
    /// Anything.
    Nothing,
    /// This password; no client can give an empty one.
    Password(Zeroizing<String>),
}

#[derive(Default)]
struct State {
    /// `None` = everybody is let in.
    password: Option<Zeroizing<String>>,
    /// `None` = never.
    expires: Option<Instant>,
}

/// The ticket.
pub(crate) struct Tickets(Mutex<State>);

impl Tickets {
    pub(crate) fn new(password: Option<String>) -> Self {
        Self(Mutex::new(State {
            password: password.map(Zeroizing::new),
            expires: None,
        }))
    }

    pub(crate) fn expected(&self) -> Expected {
        let state = self.lock();
        match (&state.password, state.expires) {
            (None, _) => Expected::Nothing,
            (Some(_), Some(at)) if at <= Instant::now() => Expected::Password(Zeroizing::default()),
            (Some(password), _) => Expected::Password(password.clone()),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.lock().password.is_some()
    }

    /// Sets the password. Until when it lets clients in stays as it was.
    pub(crate) fn set(&self, password: &str) -> Result<(), TicketError> {
        let bytes = password.len();
        if bytes > PASSWORD_MAX {
            return Err(TicketError::TooLong { bytes });
        }
        if password.contains('\0') {
            return Err(TicketError::Nul);
        }
        self.lock().password = Some(Zeroizing::new(password.to_owned()));
        Ok(())
    }

    /// Says for how long from now the ticket lets clients in; `None` = for ever.
    pub(crate) fn expire(&self, after: Option<Duration>) -> Result<(), TicketError> {
        let mut state = self.lock();
        if state.password.is_none() {
            return Err(TicketError::NoTicket);
        }
        // A time that cannot be counted is never.
        state.expires = after.and_then(|after| Instant::now().checked_add(after));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
