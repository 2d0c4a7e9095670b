//! `caraway run`: a machine, its SPICE server and its control socket in one process.
//!
//! The thread that calls [`run`] becomes the machine's state driver; SPICE and control are served by a small runtime
//! beside it. Everything that can fail - files, sockets, KVM - is tried before the guest's first instruction.

mod arrival;
pub(crate) mod assemble;
mod backend;
mod clients;
pub(crate) mod failure;
mod gate;
pub(crate) mod incoming;
mod migrate;
#[cfg(feature = "misbehave")]
mod misbehave;
mod port_sockets;
mod ports;
mod recorder;
pub(crate) mod runtime;
pub(crate) mod sockets;
mod viewer;
mod waiting;
mod web;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use caraway_config::{Access, ConfigError, Listen, Located, Spice, Ticket, VmSpec};
use caraway_control::{Backend, server as control};
use caraway_machine::{Ending, Machine, Signals};
use caraway_ports::{input::InputSink, port::HostPort, tablet::TabletSink};
use caraway_server::{Accepts, Listener, Observer, RateLimits, Role, Server, ServerConfig};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use self::{
    arrival::Arrival,
    assemble::{Assembled, Environment, Screen},
    backend::{Events, VmBackend},
    clients::Clients,
    failure::Failure,
    gate::Gate,
    incoming::{Incoming, Source},
    migrate::Migrator,
    ports::Ports,
    sockets::{BoundUnix, SpiceSocket},
    viewer::ViewerFile,
    waiting::{Stop, Waiting},
};
use crate::{
    args::RunArgs,
    media,
    rundir::{self, Info, RunDir},
    tls,
};

/// How long the end waits for control clients to be told of it.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long a VM that has moved goes on to answer: whoever watches by asking now and then sees the end.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// How long the end waits for requests that are being carried out.
const LEFT_OVERS: Duration = Duration::from_secs(1);

/// Runs a VM to its end; the program's exit code.
pub(crate) fn run(args: &RunArgs) -> u8 {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        caraway_machine::restore_terminal();
        hook(panic);
    }));
    let from = args.incoming.as_ref().and_then(Incoming::directory);
    let ending = start(args)
        .map_err(|failure| failure.in_snapshot(from))
        .map(Running::run);
    let (message, code) = match &ending {
        Ok(ending) => (
            ending.message().map(|message| format!("caraway: {message}")),
            ending.exit_code(),
        ),
        Err(failure) => (Some(failure.line()), failure.exit_code()),
    };
    if let Some(message) = message {
        // Nobody may be there to read it.
        writeln!(io::stderr(), "{message}").ok();
    }
    code
}

/// A VM whose guest has not begun.
struct Running {
    machine: Machine,
    runtime: Runtime,
    events: Arc<Events>,
    /// Told when the machine has ended.
    closing: oneshot::Sender<()>,
    control: JoinHandle<io::Result<()>>,
    screens: Vec<Screen>,
    clients: Arc<Clients>,
    /// With nobody to serve the agent: what it says waits here.
    _agent: Option<HostPort>,
    _sockets: Sockets,
    /// Removes the VM's folder and frees its name last: fields go in this order, and sockets of the next VM of this name
    /// must not be taken for those of this one.
    _run_dir: RunDir,
}

/// What listens; the files go when this does.
struct Sockets {
    spice: Option<SpiceSockets>,
    web: Option<SpiceSocket>,
    control: BoundUnix,
    serial: BoundUnix,
}

/// The control socket while a VM starts.
enum Control {
    /// Once the VM is there; told when it has ended.
    ToServe(oneshot::Receiver<()>),
    /// Before a VM has come.
    Waiting(Arc<Waiting>, JoinHandle<io::Result<()>>),
}

/// Where clients of the screen come.
struct SpiceSockets {
    plain: SpiceSocket,
    /// A port for TLS alone.
    tls: Option<SpiceSocket>,
    /// What comes to the first one.
    accepts: Accepts,
}

impl SpiceSockets {
    /// Where TLS is spoken.
    fn tls_address(&self) -> Option<SocketAddr> {
        match (&self.tls, self.accepts) {
            (Some(own), _) => own.address(),
            (None, Accepts::Both) => self.plain.address(),
            (None, _) => None,
        }
    }
}

fn start(args: &RunArgs) -> Result<Running, Failure> {
    // First of all: threads that are started later must not be hit by these signals.
    let signals = Signals::take().context("cannot take over the termination signals")?;
    let spec = load(args)?;
    let origins = tls::origins(&spec.spice)?;
    let run_dir = RunDir::claim(&spec.name, args.config.is_none())?;
    let tls = if args.headless {
        None
    } else {
        tls::load(run_dir.name(), &spec.spice, spec.web.as_ref())?
    };
    let users = if args.headless { None } else { tls::users(&spec.spice)? };
    let sockets = bind(&spec, &run_dir, args.headless)?;
    let serial = sockets.serial.listener.try_clone().context("cannot share a socket")?;
    let Ports {
        guest: ports,
        channels,
        sockets: port_sockets,
    } = Ports::new(&spec.ports, &sockets.serial.path)?;
    let viewer = match &sockets.spice {
        None => None,
        Some(screen) => Some(write_viewer(&run_dir, &spec.spice, screen, tls.as_ref())?),
    };
    let mut info = info(args, &spec, &run_dir, &sockets);
    info.viewer = viewer.as_ref().map(|file| file.path().to_owned());
    let runtime = runtime::start()?;
    let events = Events::new();
    let clients = Clients::new(Arc::clone(&events), sockets.spice.as_ref());
    let (closing, closed) = oneshot::channel();
    let (incoming, control) = match &args.incoming {
        None => (None, Control::ToServe(closed)),
        Some(Incoming::Saved(directory)) => (Some(Source::Saved(directory.clone())), Control::ToServe(closed)),
        Some(Incoming::Moving(uri)) => {
            let stop = Stop::new(signals.try_clone().context("cannot share the termination signals")?);
            let arrival = Arrival::bind(uri, Arc::clone(&stop))?;
            let waiting = Arc::new(Waiting {
                name: run_dir.name().to_owned(),
                events: Arc::clone(&events),
                clients: Arc::clone(&clients),
                stop,
                vm: OnceLock::new(),
            });
            let serving = serve_control(&runtime, &sockets.control, Arc::clone(&waiting) as _, closed)?;
            // Whoever sends the machine has to know where to, and clients where it will be.
            run_dir.publish(&info)?;
            announce(&info, &spec.spice, tls.as_ref(), Some(arrival.uri()));
            (Some(Source::Moving(arrival)), Control::Waiting(waiting, serving))
        }
    };
    let environment = Environment {
        signals,
        serial,
        ports,
        start_paused: args.paused,
        incoming,
    };
    let Assembled {
        builder,
        screens,
        agent,
        tablet,
        #[cfg(feature = "misbehave")]
        vdiport,
        facts,
        arrived,
    } = assemble::assemble(&spec, environment)?;
    let mut agent = Some(agent);
    let gate = Gate::new(builder.input(), tablet.clone());
    let input: Arc<dyn InputSink> = gate.clone();
    let tablet = tablet.map(|_| Arc::clone(&gate) as Arc<dyn TabletSink>);
    let migrator = Arc::new(Migrator {
        machine: builder.handle(),
        log: builder.memory_log(),
        facts: facts.clone(),
        gate: Arc::clone(&gate),
        events: Arc::clone(&events),
        control: Arc::default(),
        immovable: immovable(&spec),
    });
    let backend = VmBackend {
        name: run_dir.name().to_owned(),
        machine: builder.handle(),
        screens: screens.clone(),
        #[cfg(feature = "misbehave")]
        vdiport,
        facts,
        migrator,
        gate: Arc::clone(&gate),
        tablet: tablet.clone(),
        clients: Arc::clone(&clients),
        events: Arc::clone(&events),
    };
    let told = Arc::clone(&events);
    builder.handle().subscribe(move |event| {
        told.send(backend::qmp_event(event));
        true
    });
    let page = sockets.web.as_ref();
    let page = page.map(|socket| web::of_server(socket, &spec, builder.handle()));
    let machine = match builder.build() {
        Ok(machine) => machine,
        Err(error) => {
            let failure = Failure::of_build(error, &spec);
            if let Some(arrived) = arrived {
                arrived.refuse(&failure.line());
            }
            return Err(failure);
        }
    };

    for socket in port_sockets {
        socket.serve(&runtime).context("cannot serve the socket of a port")?;
    }
    let page_socket = sockets.web.as_ref();
    if let Some(sockets) = &sockets.spice {
        let password = |ticket: &Option<Ticket>| ticket.as_ref().map(|ticket| ticket.password.clone());
        let displays = screens.iter().map(|screen| Arc::clone(&screen.display)).collect();
        let server = Server::new(ServerConfig {
            uuid: random_uuid(),
            ticket: password(&spec.spice.ticket),
            view_ticket: password(&spec.spice.view_ticket),
            security: tls::security(tls.as_ref(), users, &spec.spice.channels, origins),
            images: media::images(spec.spice.compression, spec.spice.jpeg, spec.spice.zlib),
            rates: RateLimits {
                client: spec.spice.client_rate,
                total: spec.spice.total_rate,
            },
            sharing: media::sharing(spec.spice.clients),
            grace: spec.spice.grace,
            tablet,
            agent: agent.take(),
            agent_policy: media::agent(spec.agent),
            ports: channels,
            observer: Some(Arc::clone(&clients) as Arc<dyn Observer>),
            web: page,
            addresses: screens.iter().map(|screen| screen.address.clone()).collect(),
            ..ServerConfig::new(run_dir.name(), displays, input)
        });
        for (role, ticket) in [
            (Role::Control, &spec.spice.ticket),
            (Role::View, &spec.spice.view_ticket),
        ] {
            if let Some(expires) = ticket.as_ref().and_then(|ticket| ticket.expires) {
                server
                    .expire_ticket(role, Some(expires))
                    .context("cannot say when the ticket expires")?;
            }
        }
        clients.follow(&server);
        let agents = Arc::clone(&server);
        runtime.spawn(async move { agents.serve_agent().await });
        serve_spice(&runtime, &sockets.plain, Arc::clone(&server), sockets.accepts)?;
        if let Some(socket) = &sockets.tls {
            serve_spice(&runtime, socket, Arc::clone(&server), Accepts::Tls)?;
        }
        if let Some(socket) = page_socket {
            web::serve(&runtime, socket, server)?;
        }
    }
    if let Some(file) = viewer {
        clients.keep(file);
    }
    if let Some(arrived) = arrived {
        // All that can fail has been tried: from here on the machine is this side's.
        gate.take_over(&arrived.ready()?);
    }
    let control = match control {
        Control::Waiting(waiting, serving) => {
            waiting.arrived(backend);
            serving
        }
        Control::ToServe(closed) => {
            let serving = serve_control(&runtime, &sockets.control, Arc::new(backend), closed)?;
            run_dir.publish(&info)?;
            announce(&info, &spec.spice, tls.as_ref(), None);
            serving
        }
    };
    Ok(Running {
        machine,
        runtime,
        events,
        closing,
        control,
        screens,
        clients,
        _agent: agent,
        _sockets: sockets,
        _run_dir: run_dir,
    })
}

fn info(args: &RunArgs, spec: &VmSpec, run_dir: &RunDir, sockets: &Sockets) -> Info {
    let spice = sockets.spice.as_ref();
    Info {
        name: run_dir.name().to_owned(),
        pid: std::process::id(),
        config: args.config.clone(),
        spice: spice.map(|sockets| sockets.plain.uri()),
        tls: spice
            .and_then(SpiceSockets::tls_address)
            .map(|address| format!("spice+tls://{address}")),
        web: sockets.web.as_ref().map(|socket| web::address(socket, &spec.spice)),
        viewer: None,
        control: sockets.control.path.clone(),
        serial: Some(sockets.serial.path.clone()),
    }
}

/// Why a VM cannot move, if it cannot.
fn immovable(spec: &VmSpec) -> Option<String> {
    let writable = spec.disks.iter().position(|disk| !disk.readonly)?;
    // Both sides would have it open for writing, which the lock on its image keeps from happening.
    Some(format!(
        "disk {writable} is writable: a VM can move when all its disks are read-only"
    ))
}

fn load(args: &RunArgs) -> Result<VmSpec, ConfigError> {
    match &args.config {
        Some(path) => caraway_config::load(path, &args.set),
        None if args.set.is_empty() => Ok(VmSpec::demo()),
        None => Err(ConfigError::new(
            "--set",
            None,
            "the demo VM has no configuration to change: name a file",
        )),
    }
}

fn bind(spec: &VmSpec, run_dir: &RunDir, headless: bool) -> Result<Sockets, Failure> {
    let control = spec.control.socket.as_ref();
    let control_path = control.map_or_else(|| run_dir.file("qmp.sock"), |socket| socket.value.clone());
    Ok(Sockets {
        spice: if headless { None } else { Some(bind_spice(&spec.spice)?) },
        web: if headless { None } else { web::bind(spec)? },
        control: sockets::unix(&control_path)?,
        serial: sockets::unix(&run_dir.file("serial.sock"))?,
    })
}

fn bind_spice(spice: &Spice) -> Result<SpiceSockets, Failure> {
    let bind = |key, listen: &Located<Listen>| {
        let socket = sockets::spice(&listen.value)?;
        check_reach(key, listen, &socket, spice).map(|()| socket)
    };
    let plain = bind("spice.listen", &spice.listen)?;
    let accepts = tls::accepted(spice);
    if accepts == Accepts::Both && plain.address().is_none() {
        return Err(Failure::Config(spice.listen.origin.error(
            "spice.listen: clients do not speak TLS on Unix sockets: give `tls` a `listen` of its own",
        )));
    }
    if spice.sasl.is_some() && plain.address().is_none() {
        return Err(Failure::Config(spice.listen.origin.error(
            "spice.listen: users authenticate in TLS, which clients do not speak on Unix sockets",
        )));
    }
    let own = spice.tls.as_ref().and_then(|tls| tls.listen.as_ref());
    Ok(SpiceSockets {
        plain,
        tls: own.map(|listen| bind("spice.tls.listen", listen)).transpose()?,
        accepts,
    })
}

/// Of a socket that was handed over it is known only now who can reach it.
fn check_reach(key: &str, listen: &Located<Listen>, socket: &SpiceSocket, spice: &Spice) -> Result<(), Failure> {
    match socket.address() {
        Some(address)
            if !address.ip().to_canonical().is_loopback()
                && spice.ticket.is_none()
                && spice.sasl.is_none()
                && !spice.insecure =>
        {
            Err(Failure::Config(listen.origin.error(format!(
                "{key}: {address} can be reached from other machines and there is no `ticket`"
            ))))
        }
        _ => Ok(()),
    }
}

fn write_viewer(
    run_dir: &RunDir,
    spice: &Spice,
    sockets: &SpiceSockets,
    tls: Option<&tls::Loaded>,
) -> anyhow::Result<ViewerFile> {
    let ticket = spice.ticket.as_ref().filter(|ticket| ticket.in_file);
    let screen = viewer::Screen {
        name: run_dir.name(),
        plain: &sockets.plain,
        tls: sockets.tls_address(),
        host: spice.tls.as_ref().and_then(|tls| tls.host.as_deref()),
        channels: &spice.channels,
        ca: tls.and_then(|tls| tls.ca.as_ref()).map(|ca| ca.pem.as_str()),
        ticket: ticket.map(|ticket| ticket.password.as_str()),
    };
    ViewerFile::write(run_dir.path(), &screen)
        .with_context(|| format!("cannot write {}", run_dir.file(rundir::VIEWER).display()))
}

/// Lets clients in.
pub(crate) fn serve_spice(
    runtime: &Runtime,
    socket: &SpiceSocket,
    server: Arc<Server>,
    accepts: Accepts,
) -> anyhow::Result<()> {
    let listener = listener(runtime, socket)?;
    runtime.spawn(async move {
        if let Err(error) = listener.serve_as(server, accepts).await {
            tracing::error!(%error, "the SPICE server takes no more clients");
        }
    });
    Ok(())
}

/// A socket as the runtime has it.
pub(crate) fn listener(runtime: &Runtime, socket: &SpiceSocket) -> io::Result<Listener> {
    let _inside = runtime.enter();
    Ok(match socket {
        SpiceSocket::Tcp(listener, _) => Listener::Tcp(tokio::net::TcpListener::from_std(listener.try_clone()?)?),
        SpiceSocket::Unix(bound) => Listener::Unix(tokio::net::UnixListener::from_std(bound.listener.try_clone()?)?),
    })
}

fn serve_control(
    runtime: &Runtime,
    socket: &BoundUnix,
    backend: Arc<dyn Backend>,
    closed: oneshot::Receiver<()>,
) -> anyhow::Result<JoinHandle<io::Result<()>>> {
    let _inside = runtime.enter();
    let listener = tokio::net::UnixListener::from_std(socket.listener.try_clone()?)?;
    // Relative file names in commands start where the program did, as in QEMU.
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let closing = async {
        // A sender that is gone says the same.
        closed.await.ok();
    };
    Ok(runtime.spawn(control::serve(listener, backend, directory, closing)))
}

/// Says where to look, once everything listens.
fn announce(info: &Info, spice: &Spice, tls: Option<&tls::Loaded>, incoming: Option<&str>) {
    let mut text = format!("VM {} (pid {})\n", info.name, info.pid);
    if let Some(uri) = &info.spice {
        let encrypted = spice.sasl.is_some() || spice.channels.of("main") == Access::Tls;
        let needs_tls = encrypted && !uri.starts_with("spice+unix:");
        let note = match (needs_tls, &spice.ticket) {
            (true, _) => "  (needs TLS)",
            (false, Some(_)) => "  (asks for the ticket)",
            (false, None) => "",
        };
        text += &format!("  screen   {uri}{note}\n");
    }
    if let Some(uri) = &info.tls {
        let ca = tls.and_then(|tls| tls.ca.as_ref());
        let ca = ca.map(|ca| format!("  (CA {})", ca.path.display()));
        text += &format!("  tls      {uri}{}\n", ca.unwrap_or_default());
    }
    if let Some(address) = &info.web {
        text += &format!("  browser  {address}\n");
    }
    if let Some(path) = &info.viewer {
        text += &format!("  viewer   {}  (for remote-viewer)\n", path.display());
    }
    if let Some(uri) = incoming {
        text += &format!("  incoming {uri}  (waits for a VM to come)\n");
    }
    text += &format!(
        "  control  {}  (caraway ctl {} status)\n",
        info.control.display(),
        info.name
    );
    if let Some(path) = &info.serial {
        let terminal = if assemble::on_terminal() {
            "  and here: Ctrl-] twice quits"
        } else {
            ""
        };
        text += &format!("  serial   {}{terminal}\n", path.display());
    }
    let mut out = io::stdout().lock();
    // A closed standard output is no reason not to run.
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// A random UUID, version 4.
pub(crate) fn random_uuid() -> [u8; 16] {
    let random: u128 = rand::random();
    let version = random & !(0xf000 << 64) | (0x4000 << 64);
    (version & !(0xc000 << 48) | (0x8000 << 48)).to_be_bytes()
}

impl Running {
    fn run(self) -> Ending {
        let ending = self.machine.run();
        for screen in &self.screens {
            // Most are not being recorded; how it went has been logged.
            screen.recorder.stop().ok();
        }
        if ending == Ending::Moved {
            self.runtime.block_on(async {
                tokio::join!(self.clients.switch_host(), tokio::time::sleep(LAST_ANSWERS));
            });
        }
        // Control clients have been sent the last events; now their streams end.
        self.events.close();
        // The server may have failed before.
        self.closing.send(()).ok();
        self.runtime.block_on(async {
            if tokio::time::timeout(FAREWELL, self.control).await.is_err() {
                tracing::debug!("a control client was left behind");
            }
        });
        self.runtime.shutdown_timeout(LEFT_OVERS);
        ending
    }
}
