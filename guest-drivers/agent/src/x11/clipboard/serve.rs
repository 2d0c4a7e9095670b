//! What the client has, for programs: each waits until the client has answered, large answers go piece by piece.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use caraway_protocol::agent::ClipboardKind;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Timestamp, Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::{Atoms, convert};
use crate::session::DesktopError;

/// Programs that wait for the client.
const MOST_WAITING: usize = 16;
/// Bytes that go in one piece.
const PIECE: usize = 128 << 10;

/// A program that waits.
#[derive(Debug)]
struct Waiting {
    request: SelectionRequestEvent,
    kind: ClipboardKind,
    since: Instant,
}

/// The programs that wait for what a selection holds.
#[derive(Debug, Default)]
pub(super) struct Serve(VecDeque<Waiting>);

impl Serve {
    /// Since when the first one waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.front().map(|waiting| waiting.since)
    }

    /// None of them gets anything.
    pub(super) fn fail(&mut self, connection: &RustConnection) -> Result<(), DesktopError> {
        self.0
            .drain(..)
            .try_for_each(|waiting| refuse(connection, &waiting.request))
    }

    /// Those that have waited so long get nothing.
    pub(super) fn expire(&mut self, connection: &RustConnection, patience: Duration) -> Result<(), DesktopError> {
        while self.since().is_some_and(|since| since.elapsed() >= patience) {
            if let Some(waiting) = self.0.pop_front() {
                refuse(connection, &waiting.request)?;
            }
        }
        Ok(())
    }

    /// A program asks; what the client is to be asked for.
    pub(super) fn asked(
        &mut self,
        connection: &RustConnection,
        request: &SelectionRequestEvent,
        kinds: &[ClipboardKind],
        time: Timestamp,
        atoms: &Atoms,
    ) -> Result<Option<ClipboardKind>, DesktopError> {
        let property = property(request);
        if request.target == atoms.TARGETS && !kinds.is_empty() {
            let mut targets = vec![atoms.TARGETS, atoms.TIMESTAMP];
            targets.extend(convert::targets(kinds, atoms));
            let kind = AtomEnum::ATOM;
            connection.change_property32(PropMode::REPLACE, request.requestor, property, kind, &targets)?;
            notify(connection, request, property)?;
        } else if request.target == atoms.TIMESTAMP && !kinds.is_empty() {
            let kind = AtomEnum::INTEGER;
            connection.change_property32(PropMode::REPLACE, request.requestor, property, kind, &[time])?;
            notify(connection, request, property)?;
        } else if let Some(kind) = convert::kind_of(request.target, kinds, atoms)
            && self.0.len() < MOST_WAITING
        {
            self.0.push_back(Waiting {
                request: *request,
                kind,
                since: Instant::now(),
            });
            return Ok(Some(kind));
        } else {
            refuse(connection, request)?;
        }
        Ok(None)
    }

    /// The client answers: the first who waits for this kind has it. What goes on piece by piece is left.
    pub(super) fn answer(
        &mut self,
        connection: &RustConnection,
        kind: ClipboardKind,
        data: &Bytes,
        atoms: &Atoms,
    ) -> Result<Option<Sending>, DesktopError> {
        let is_nothing = kind == ClipboardKind::None;
        let place = self.0.iter().position(|waiting| is_nothing || waiting.kind == kind);
        let Some(Waiting { request, .. }) = place.and_then(|place| self.0.remove(place)) else {
            return Ok(None);
        };
        if is_nothing {
            refuse(connection, &request)?;
            return Ok(None);
        }
        let (kind, data) = convert::to_program(request.target, data.clone(), atoms);
        let property = property(&request);
        if data.len() <= PIECE.min(connection.maximum_request_bytes() / 2) {
            connection.change_property8(PropMode::REPLACE, request.requestor, property, kind, &data)?;
            notify(connection, &request, property)?;
            return Ok(None);
        }
        // The program takes a piece by deleting it.
        let changes = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.change_window_attributes(request.requestor, &changes)?;
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        connection.change_property32(PropMode::REPLACE, request.requestor, property, atoms.INCR, &[size])?;
        notify(connection, &request, property)?;
        Ok(Some(Sending {
            window: request.requestor,
            property,
            kind,
            rest: Some(data),
            since: Instant::now(),
        }))
    }
}

/// An answer that goes piece by piece.
#[derive(Debug)]
pub(super) struct Sending {
    window: Window,
    property: Atom,
    kind: Atom,
    /// An empty piece is the last.
    rest: Option<Bytes>,
    pub(super) since: Instant,
}

impl Sending {
    /// A property was deleted: if it was this one, the next piece goes.
    pub(super) fn go_on(
        &mut self,
        connection: &RustConnection,
        window: Window,
        property: Atom,
    ) -> Result<(), DesktopError> {
        if (window, property) != (self.window, self.property) {
            return Ok(());
        }
        let Some(mut rest) = self.rest.take() else {
            return Ok(());
        };
        let most = PIECE.min(connection.maximum_request_bytes() / 2);
        let piece = rest.split_to(rest.len().min(most));
        connection.change_property8(PropMode::REPLACE, window, property, self.kind, &piece)?;
        self.since = Instant::now();
        if piece.is_empty() {
            let changes = ChangeWindowAttributesAux::new().event_mask(EventMask::NO_EVENT);
            connection.change_window_attributes(window, &changes)?;
        } else {
            self.rest = Some(rest);
        }
        Ok(())
    }

    pub(super) const fn is_over(&self) -> bool {
        self.rest.is_none()
    }
}

/// Where the answer goes; programs of old leave that to us.
const fn property(request: &SelectionRequestEvent) -> Atom {
    if request.property == x11rb::NONE {
        request.target
    } else {
        request.property
    }
}

fn refuse(connection: &RustConnection, request: &SelectionRequestEvent) -> Result<(), DesktopError> {
    notify(connection, request, x11rb::NONE)
}

fn notify(connection: &RustConnection, request: &SelectionRequestEvent, property: Atom) -> Result<(), DesktopError> {
    let event = SelectionNotifyEvent {
        response_type: SELECTION_NOTIFY_EVENT,
        sequence: 0,
        time: request.time,
        requestor: request.requestor,
        selection: request.selection,
        target: request.target,
        property,
    };
    connection.send_event(false, request.requestor, EventMask::NO_EVENT, event)?;
    connection.flush()?;
    Ok(())
}
