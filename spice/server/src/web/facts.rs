//! What a page knows before it has a link: nothing that is secret.

use caraway_web::Response;
use serde_json::json;

use super::Came;
use crate::Server;

impl Server {
    /// `GET /vm.json`: what clients call the VM, what it takes to get in, and whether there is a menu of power.
    pub(super) fn facts(&self, came: Came<'_>) -> Response {
        let facts = json!({
            "name": self.config.name,
            "ticket": !self.has_sasl() && self.has_ticket(),
            "users": self.has_sasl(),
            "tls": self.config.security.tls.is_some() && came.way.can_be_tls(),
            "power": self.may_command(came),
        });
        Response::json(facts.to_string())
    }
}
