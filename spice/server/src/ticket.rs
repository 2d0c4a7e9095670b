//! The tickets in force: the passwords clients must give, what they may do then, and until when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_protocol::link::PASSWORD_MAX;
use subtle::Choice;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{Role, key::Password};

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
    /// One for viewers would let in fewer than none.
    #[error("everybody has control: a ticket for viewers needs one for control")]
    NoControl,
}

/// What a client has to give.
pub(crate) enum Expected {
    /// Anything.
    Nothing,
    /// One of these passwords; no client can give an empty one.
    Passwords {
        control: Zeroizing<String>,
        view: Zeroizing<String>,
    },
}

impl Expected {
    /// What a client that gave this password may do; `None` = it is not let in.
    pub(crate) fn role(&self, given: &Password) -> Option<Role> {
        let Self::Passwords { control, view } = self else {
            return Some(Role::Control);
        };
        let is = |expected: &str| {
            given.is(&Password::of(expected.as_bytes())) & !Choice::from(u8::from(expected.is_empty()))
        };
        // Both are compared, whatever the first says.
        let (control, view) = (is(control), is(view));
        match (bool::from(control), bool::from(view)) {
            (true, _) => Some(Role::Control),
            (_, true) => Some(Role::View),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    password: Option<Zeroizing<String>>,
    /// `None` = never.
    expires: Option<Instant>,
}

impl State {
    fn new(password: Option<String>) -> Self {
        Self {
            password: password.map(Zeroizing::new),
            expires: None,
        }
    }

    /// The password that lets a client in now; an empty one lets in nobody.
    fn now(&self) -> Zeroizing<String> {
        match (&self.password, self.expires) {
            (None, _) => Zeroizing::default(),
            (Some(_), Some(at)) if at <= Instant::now() => Zeroizing::default(),
            (Some(password), _) => password.clone(),
        }
    }
}

/// The ticket of each role. Without one for control everybody has that.
struct Both {
    control: State,
    view: State,
}

impl Both {
    const fn of(&mut self, role: Role) -> &mut State {
        match role {
            Role::Control => &mut self.control,
            Role::View => &mut self.view,
        }
    }
}

/// The tickets.
pub(crate) struct Tickets(Mutex<Both>);

impl Tickets {
    pub(crate) fn new(control: Option<String>, view: Option<String>) -> Self {
        Self(Mutex::new(Both {
            control: State::new(control),
            view: State::new(view),
        }))
    }

    pub(crate) fn expected(&self) -> Expected {
        let both = self.lock();
        if both.control.password.is_none() {
            return Expected::Nothing;
        }
        Expected::Passwords {
            control: both.control.now(),
            view: both.view.now(),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.lock().control.password.is_some()
    }

    /// Sets the password of a role. Until when it lets clients in stays as it was.
    pub(crate) fn set(&self, role: Role, password: &str) -> Result<(), TicketError> {
        let bytes = password.len();
        if bytes > PASSWORD_MAX {
            return Err(TicketError::TooLong { bytes });
        }
        if password.contains('\0') {
            return Err(TicketError::Nul);
        }
        let mut both = self.lock();
        if role == Role::View && both.control.password.is_none() {
            return Err(TicketError::NoControl);
        }
        both.of(role).password = Some(Zeroizing::new(password.to_owned()));
        drop(both);
        Ok(())
    }

    /// Says for how long from now the ticket of a role lets clients in; `None` = for ever.
    pub(crate) fn expire(&self, role: Role, after: Option<Duration>) -> Result<(), TicketError> {
        let mut both = self.lock();
        let state = both.of(role);
        if state.password.is_none() {
            return Err(TicketError::NoTicket);
        }
        // A time that cannot be counted is never.
        state.expires = after.and_then(|after| Instant::now().checked_add(after));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
