//! `caraway web`: this user's running VMs in one page, each with its screen behind a path of its own.
//!
//! The list and the page of a screen are served from here. What only a VM can answer - SPICE by WebSocket, facts, power -
//! goes on to it with a request made anew, as from a program on this machine: what the browser says of where it comes from
//! has been checked by then.

mod forward;

use std::{io, sync::Arc, time::Duration};

use anyhow::Context as _;
use caraway_config::Listen;
use caraway_control::client::Client;
use caraway_machine::Signals;
use caraway_server::{
    Listener, Origins,
    http::{self, Exchange, Request},
};
use caraway_web::{LIST, Response, SCREEN, Status, page};
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

use self::forward::{Onward, Upstream};
use crate::{
    args::WebArgs,
    output, ps, replay,
    replay::pace::Waiter,
    run::{self, runtime, sockets, sockets::SpiceSocket},
    rundir::{self, Info},
};

/// Connections at once, those that have become SPICE among them: what the descriptors of a process usually suffice for.
const MAX_CONNECTIONS: usize = 400;
/// How long connections are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// After a connection could not be accepted for want of something.
const PAUSE: Duration = Duration::from_millis(50);
/// A VM that has not said by then how one gets in does not answer.
const ANSWERS: Duration = Duration::from_secs(1);

/// Serves the list until a signal comes.
pub(crate) fn web(args: &WebArgs) -> anyhow::Result<u8> {
    // First of all: threads that are started later must not be hit by these signals.
    let signals = Signals::take().context("cannot take over the termination signals")?;
    let waiter = Waiter::new(&signals);
    let socket = sockets::web(&args.listen)?;
    let runtime = runtime::start()?;
    let address = match &socket {
        SpiceSocket::Tcp(_, address) => format!("http://{address}/"),
        SpiceSocket::Unix(bound) => format!("http+unix://{}", bound.path.display()),
    };
    let front = Arc::new(Front {
        is_shared: matches!(socket, SpiceSocket::Tcp(..)),
        origins: Origins::default(),
        places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    });
    let listener = run::listener(&runtime, &socket).context("cannot serve the list")?;
    runtime.spawn(serve(listener, front));
    output::print(format!(
        "list of VMs (pid {})\n  browser  {address}\n",
        std::process::id()
    ))?;
    waiter.wait(None)?;
    runtime.shutdown_timeout(FAREWELL);
    Ok(0)
}

/// Where to listen. Whoever gets here gets to every VM that has no ticket.
pub(crate) fn parse_listen(text: &str) -> Result<Listen, String> {
    replay::parse_local(text, "some VMs may have no ticket: use 127.0.0.1")
}

async fn serve(listener: Listener, front: Arc<Front>) {
    loop {
        if let Err(error) = accept(&listener, &front).await {
            // Whatever it is, the others go on.
            tracing::debug!(%error, "a connection could not be accepted");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn accept(listener: &Listener, front: &Arc<Front>) -> io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            front.spawn(stream);
        }
        Listener::Unix(listener) => front.spawn(listener.accept().await?.0),
    }
    Ok(())
}

/// What the connections share.
struct Front {
    /// Whether every user of this machine gets here.
    is_shared: bool,
    /// Pages of this server alone connect.
    origins: Origins,
    places: Arc<Semaphore>,
}

/// What comes of a request.
enum Outcome {
    Answer(Response),
    /// The VM answers, and everything behind it is between the two.
    Onward(Onward),
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

/// A VM in the list.
#[derive(Serialize)]
struct Entry {
    name: String,
    state: String,
    /// Where its page is, from the list's own folder on.
    href: String,
    /// Whether it has a screen to be shown.
    screen: bool,
}

impl Front {
    fn spawn<S>(self: &Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::debug!("a connection too many was closed");
            return;
        };
        let front = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = front.serve(stream).await {
                tracing::debug!(error = %format!("{error:#}"), "connection ended");
            }
            drop(place);
        });
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin>(&self, stream: S) -> anyhow::Result<()> {
        let mut exchange = Exchange::new(stream);
        while let Some(request) = exchange.next().await? {
            match self.route(&request).await {
                Outcome::Answer(response) => exchange.answer(&request, &response).await?,
                Outcome::Onward(onward) => return Ok(onward.relay(exchange.into_inner()).await?),
            }
        }
        Ok(())
    }

    async fn route(&self, request: &Request) -> Outcome {
        let host = match http::check_host(request, &self.origins, false) {
            Ok(host) => host,
            Err(response) => return response.into(),
        };
        let path = request.path();
        if let Some(rest) = path.strip_prefix("/vm/") {
            return match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
                Some((name, rest)) => self.of_vm(request, name, rest, host).await,
                // Relative, so that it holds wherever a proxy has put this.
                None => match find(rest).await {
                    Ok(info) => Response::redirect(format!("{}/", info.name)).into(),
                    Err(response) => response.into(),
                },
            };
        }
        if request.asks_for_websocket() {
            return not_found("There is no VM in this path.").into();
        }
        match path {
            "/vms.json" if matches!(request.method(), "GET" | "HEAD") => {
                let entries = beside(|| Ok(serde_json::to_string(&entries()?)?)).await;
                match entries {
                    Ok(json) => Response::json(json).without_body(request.method() == "HEAD").into(),
                    Err(error) => bad_gateway(&error).into(),
                }
            }
            "/vms.json" => Response::not_allowed("GET, HEAD").into(),
            _ => page(&http::for_page(request, path, host), LIST).into(),
        }
    }

    /// Refuses what only the mode of a socket keeps from other users, where they get here.
    async fn lets(&self, upstream: &Upstream, info: &Info) -> Result<(), Response> {
        if !self.is_shared || !matches!(upstream, Upstream::Unix(_)) {
            return Ok(());
        }
        let asked = info.clone();
        match beside(move || auth(&asked)).await {
            Ok(Some(auth)) if auth != "none" => Ok(()),
            Ok(_) => Err(not_found(
                "This VM is on a Unix socket, without a ticket: the list has to be on one as well.",
            )),
            Err(error) => Err(bad_gateway(&error)),
        }
    }

    /// What is behind the path of a VM; `rest` begins with `/`.
    async fn of_vm(&self, request: &Request, name: &str, rest: &str, host: &str) -> Outcome {
        let is_websocket = request.asks_for_websocket();
        if !is_websocket && !matches!(rest, "/" | "/vm.json" | "/power") {
            return page(&http::for_page(request, rest, host), SCREEN).into();
        }
        let info = match find(name).await {
            Ok(info) => info,
            Err(response) => return response.into(),
        };
        if is_websocket {
            if let Err(response) = http::check_upgrade(request, &self.origins) {
                return response.into();
            }
            let Some(upstream) = Upstream::of_spice(&info) else {
                return not_found("This VM shows its screen to nobody here.").into();
            };
            if let Err(response) = self.lets(&upstream, &info).await {
                return response.into();
            }
            return onward(upstream.websocket(request).await);
        }
        let page_of = Upstream::of_page(&info);
        if let (Some(upstream), "/power") = (&page_of, rest)
            && let Err(response) = self.lets(upstream, &info).await
        {
            return response.into();
        }
        match (rest, request.method(), page_of) {
            ("/vm.json", "GET" | "HEAD", Some(upstream)) => onward(upstream.facts(request).await),
            ("/vm.json", "GET" | "HEAD", None) => match beside(move || facts(&info)).await {
                Ok(json) => Response::json(json).without_body(request.method() == "HEAD").into(),
                Err(error) => bad_gateway(&error).into(),
            },
            ("/vm.json", ..) => Response::not_allowed("GET, HEAD").into(),
            ("/power", "POST", Some(upstream)) => match http::check_origin(request, &self.origins) {
                Ok(()) => onward(upstream.power(request).await),
                Err(response) => response.into(),
            },
            ("/power", "POST", None) => not_found("This VM has no menu of power here.").into(),
            ("/power", ..) => Response::not_allowed("POST").into(),
            _ => page(&http::for_page(request, rest, host), SCREEN).into(),
        }
    }
}

/// What a VM asks of those who come, as query-spice has it: "spice" (a ticket), "sasl" or "none".
fn auth(info: &Info) -> anyhow::Result<Option<String>> {
    let mut client = Client::connect_within(&info.control, Some(ANSWERS))?;
    let spice = client.execute("query-spice", &json!({}))?;
    Ok(spice.get("auth").and_then(|auth| auth.as_str()).map(str::to_owned))
}

fn onward(connected: io::Result<Onward>) -> Outcome {
    match connected {
        Ok(onward) => Outcome::Onward(onward),
        Err(error) => bad_gateway(&error.into()).into(),
    }
}

fn not_found(text: &str) -> Response {
    Response::text(Status::NOT_FOUND, format!("{text}\n"))
}

fn bad_gateway(error: &anyhow::Error) -> Response {
    Response::text(
        Status::BAD_GATEWAY,
        format!("{}\n", output::one_line(&format!("{error:#}"))),
    )
}

/// Does what looks at files and asks VMs, beside the event loop.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// The VM of this name, which runs; the name is checked before it becomes part of a path.
async fn find(name: &str) -> Result<Info, Response> {
    let name = name.to_owned();
    beside(move || Ok(rundir::find(&name)?))
        .await
        .map_err(|_| not_found("There is no such VM running."))
}

fn entries() -> anyhow::Result<Vec<Entry>> {
    let entry = |line: ps::Line| Entry {
        href: match &line.web {
            // Its certificate is for its own address.
            Some(web) if web.starts_with("https://") => web.clone(),
            _ => format!("vm/{}/", line.name),
        },
        screen: line.spice.is_some() || line.web.is_some(),
        state: line.state,
        name: line.name,
    };
    Ok(ps::lines()?.into_iter().map(entry).collect())
}

/// What a page has to know of a VM that has none of its own.
fn facts(info: &Info) -> anyhow::Result<String> {
    let auth = auth(info)?;
    let facts = json!({
        "name": info.name,
        "ticket": auth.as_deref() == Some("spice"),
        "users": auth.as_deref() == Some("sasl"),
        "tls": false,
        "power": false,
    });
    Ok(facts.to_string())
}
