//! The page for browsers: where it is, and what it may command.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use caraway_config::{Spice, VmSpec};
use caraway_machine::{Command, MachineHandle};
use caraway_server::{Power, PowerAction, Server, Web};
use tokio::runtime::Runtime;

use super::{check_reach, failure::Failure, listener, sockets, sockets::SpiceSocket};

/// Binds what the configuration says, if it has a page.
pub(super) fn bind(spec: &VmSpec) -> Result<Option<SpiceSocket>, Failure> {
    let Some(web) = &spec.web else { return Ok(None) };
    let socket = sockets::web(&web.listen.value)?;
    check_reach("web.listen", &web.listen, &socket, &spec.spice)?;
    if spec.spice.sasl.is_some() && socket.address().is_none() {
        return Err(Failure::Config(web.listen.origin.error(
            "web.listen: users authenticate in TLS, which is not spoken on Unix sockets",
        )));
    }
    Ok(Some(socket))
}

/// What goes into an address bar. Of a socket on all addresses it is this machine's own.
pub(super) fn address(socket: &SpiceSocket, spice: &Spice) -> String {
    let address = match socket {
        // A relative one means nothing to others.
        SpiceSocket::Unix(bound) => {
            let path = std::path::absolute(&bound.path).unwrap_or_else(|_| bound.path.clone());
            return format!("http+unix://{}", path.display());
        }
        SpiceSocket::Tcp(_, address) => *address,
    };
    let port = address.port();
    match &spice.tls {
        Some(tls) => match &tls.host {
            Some(host) if host.parse::<Ipv6Addr>().is_ok() => format!("https://[{host}]:{port}/"),
            Some(host) => format!("https://{host}:{port}/"),
            None => format!("https://{}/", reachable(address)),
        },
        None => format!("http://{}/", reachable(address)),
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// What the server is told of it.
pub(super) fn of_server(socket: &SpiceSocket, spec: &VmSpec, machine: MachineHandle) -> Web {
    let has_power = spec.web.as_ref().is_some_and(|web| web.power);
    let address = match socket.address() {
        // Who asks may be on another machine.
        Some(all) if all.ip().is_unspecified() => format!("port {} of this host", all.port()),
        _ => address(socket, &spec.spice),
    };
    Web {
        address,
        power: has_power.then(|| Arc::new(Commands(machine)) as Arc<dyn Power>),
    }
}

/// Does what QMP's commands of these names do.
struct Commands(MachineHandle);

impl Power for Commands {
    fn act(&self, action: PowerAction) -> Result<(), String> {
        let command = match action {
            PowerAction::Powerdown => Command::PowerButton,
            PowerAction::Reset => Command::Reset,
            PowerAction::Pause => Command::Pause,
            PowerAction::Resume => Command::Resume,
        };
        self.0.call(command).map(drop).map_err(|error| error.to_string())
    }
}

/// Lets browsers in.
pub(super) fn serve(runtime: &Runtime, socket: &SpiceSocket, server: Arc<Server>) -> anyhow::Result<()> {
    let listener = listener(runtime, socket).context("cannot serve the page for browsers")?;
    runtime.spawn(async move {
        if let Err(error) = listener.serve_web(server).await {
            tracing::error!(%error, "the page for browsers is served no more");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_is_one_that_a_browser_on_this_machine_can_open() {
        let mut spice = VmSpec::demo().spice;
        let socket =
            |address: &str| SpiceSocket::Tcp(TcpListener::bind("127.0.0.1:0").unwrap(), address.parse().unwrap());
        for (listens, opens) in [
            ("127.0.0.1:5980", "http://127.0.0.1:5980/"),
            ("0.0.0.0:80", "http://127.0.0.1:80/"),
            ("[::]:5980", "http://[::1]:5980/"),
            ("192.0.2.1:5980", "http://192.0.2.1:5980/"),
        ] {
            assert_eq!(address(&socket(listens), &spice), opens);
        }
        spice.tls = Some(caraway_config::Tls {
            listen: None,
            host: None,
            certificate: caraway_config::Certificate::Generated { names: Vec::new() },
        });
        assert_eq!(address(&socket("0.0.0.0:5980"), &spice), "https://127.0.0.1:5980/");
        if let Some(tls) = &mut spice.tls {
            tls.host = Some("vm.example.org".to_owned());
        }
        assert_eq!(address(&socket("0.0.0.0:5980"), &spice), "https://vm.example.org:5980/");
    }
}
