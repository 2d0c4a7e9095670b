//! What a page commands: `POST /power`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use caraway_web::{Response, Status};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Came, PowerAction, Request};
use crate::{Role, Server, admission::Origin, key::Password, ticket::Expected};

/// The body of such a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    action: PowerAction,
}

impl Server {
    /// Whether a page that came so may command anything, with the right ticket.
    pub(super) fn may_command(&self, came: Came<'_>) -> bool {
        let has_power = self.config.web.as_ref().is_some_and(|web| web.power.is_some());
        // Users have no ticket that a request could carry, and a ticket is not to be read on the way.
        has_power && !self.has_sasl() && !(self.has_ticket() && came.way.can_be_read(came.client))
    }

    /// Does what a page commands, for those who have control: 204 when it is done.
    pub(super) async fn power(&self, request: &Request, host: &str, came: Came<'_>) -> Response {
        let Some(power) = self.config.web.as_ref().and_then(|web| web.power.clone()) else {
            return Response::text(Status::NOT_FOUND, "Pages may not command this virtual machine.\n");
        };
        if request.method() != "POST" {
            return Response::not_allowed("POST");
        }
        if let Err(refusal) = request.check_origin(&self.config.security.origins, host) {
            return refusal.response(false, None);
        }
        if !self.may_command(came) {
            return Response::text(
                Status::FORBIDDEN,
                "This needs a ticket that nobody on the way can read: ask by https.\n",
            );
        }
        match self.role_of(request, came).await {
            Ok(Role::Control) => {}
            Ok(Role::View) => return Response::text(Status::FORBIDDEN, "This ticket is for looking alone.\n"),
            Err(response) => return response,
        }
        let Ok(Command { action }) = serde_json::from_slice(request.body()) else {
            return Response::text(
                Status::BAD_REQUEST,
                "The body is not {\"action\": \"powerdown\"}, \"reset\", \"pause\" or \"resume\".\n",
            );
        };
        tracing::info!(?action, client = ?came.client, "a page commands");
        // Beside the event loop: it waits for the machine.
        let done = tokio::task::spawn_blocking(move || Arc::clone(&power).act(action)).await;
        match done {
            Ok(Ok(())) => Response::empty(Status::NO_CONTENT),
            Ok(Err(why)) => Response::text(Status::CONFLICT, format!("{why}\n")),
            Err(error) => Response::text(Status::CONFLICT, format!("{error}\n")),
        }
    }

    /// What the ticket in a request allows: `Authorization: Bearer` and its bytes in Base64, which may be any.
    async fn role_of(&self, request: &Request, came: Came<'_>) -> Result<Role, Response> {
        let unauthorized = || {
            Response::text(Status::UNAUTHORIZED, "The ticket is missing or wrong.\n").with("WWW-Authenticate", "Bearer")
        };
        if !self.has_ticket() {
            return Ok(Role::Control);
        }
        let given = request
            .header("Authorization")
            .and_then(bearer)
            .ok_or_else(unauthorized)?;
        let origin = Origin::from(came.client);
        self.guesses.pause(origin).await;
        // Looked at after the pause, as the one of a link is: it may have expired.
        let expected = self.tickets.expected();
        let is_guarded = matches!(expected, Expected::Passwords { .. });
        match expected.role(&Password::of(&given)) {
            Some(role) => {
                // Who knows the one for viewers could guess at the other one for ever.
                if role == Role::Control {
                    self.guesses.right(origin);
                }
                Ok(role)
            }
            None if is_guarded => {
                self.guesses.wrong(origin);
                Err(unauthorized())
            }
            None => Err(unauthorized()),
        }
    }
}

fn bearer(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, token) = value.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())?;
    STANDARD.decode(token).ok().map(Zeroizing::new)
}
