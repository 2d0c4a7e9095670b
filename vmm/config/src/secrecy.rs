//! Checks what a configuration says about who gets in: addresses, TLS, channels, the ticket, users.

use std::{net::SocketAddr, path::Path};

use toml::Spanned;

use crate::{
    ConfigError,
    raw::{RawChannels, RawSasl, RawSpice, RawTicket, RawTls},
    resolve::{Context, named, readable},
    spec::{Access, Certificate, Channels, Listen, Located, Sasl, Ticket, Tls},
    units::parse_duration,
};

/// The first descriptor that is not standard input, output or error.
const FIRST_FD: u16 = 3;
/// Names in a certificate besides those that are always there.
const MAX_NAMES: usize = 32;
/// The longest name of a host.
const MAX_NAME: usize = 253;

pub(crate) fn listen(
    context: &Context<'_>,
    key: &str,
    value: &Spanned<String>,
) -> Result<Located<Listen>, ConfigError> {
    let text = value.get_ref();
    let listen = if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(context.error(value, format!("{key}: \"unix:\" needs a path")));
        }
        let base = context.file.parent().unwrap_or_else(|| Path::new(""));
        Listen::Unix(base.join(path))
    } else if let Some(number) = text.strip_prefix("fd:") {
        let number = number.parse().ok().filter(|number| *number >= FIRST_FD);
        Listen::Fd(number.ok_or_else(|| {
            context.error(
                value,
                format!("{key}: {text:?} is not \"fd:N\" with the number of a descriptor, {FIRST_FD} to 65535"),
            )
        })?)
    } else {
        let address = text.parse::<SocketAddr>().map(Listen::Tcp);
        address.map_err(|_| {
            context.error(
                value,
                format!("{key}: {text:?} is neither \"ADDRESS:PORT\" nor \"unix:PATH\" nor \"fd:N\""),
            )
        })?
    };
    Ok(Located {
        value: listen,
        origin: context.origin(value),
    })
}

/// An address others can reach needs a ticket, or users.
pub(crate) fn check_reach(key: &str, listen: &Located<Listen>) -> Result<(), ConfigError> {
    match &listen.value {
        Listen::Tcp(address) if !address.ip().to_canonical().is_loopback() => Err(listen.origin.error(format!(
            "{key}: {address} can be reached from other machines and there is no `ticket`: set one, listen on \
             127.0.0.1, or say `insecure = true`"
        ))),
        _ => Ok(()),
    }
}

/// `plain` is where clients without TLS come.
pub(crate) fn tls(context: &Context<'_>, raw: &Spanned<RawTls>, plain: &Located<Listen>) -> Result<Tls, ConfigError> {
    let tls = raw.get_ref();
    let listen = match &tls.listen {
        Some(value) => Some(listen(context, "spice.tls.listen", value)?),
        None => None,
    };
    let not_unix = "clients do not speak TLS on Unix sockets";
    match (&tls.listen, &listen) {
        (Some(value), Some(own)) => {
            if let Listen::Unix(_) = own.value {
                return Err(context.error(value, format!("spice.tls.listen: {not_unix}")));
            }
            let any_port = matches!(&own.value, Listen::Tcp(address) if address.port() == 0);
            if own.value == plain.value && !any_port {
                return Err(context.error(
                    value,
                    "spice.tls.listen: the same as `listen`; leave it out, and that takes both",
                ));
            }
        }
        _ if matches!(plain.value, Listen::Unix(_)) => {
            return Err(context.error(raw, format!("spice.tls: {not_unix}: give it a `listen` of its own")));
        }
        _ => {}
    }
    let host = tls.host.as_ref().map(|host| {
        if is_name(host.get_ref()) {
            Ok(host.get_ref().clone())
        } else {
            Err(context.error(host, format!("spice.tls.host: {:?} {NO_NAME}", host.get_ref())))
        }
    });
    Ok(Tls {
        listen,
        host: host.transpose()?,
        certificate: certificate(context, raw)?,
    })
}

fn certificate(context: &Context<'_>, raw: &Spanned<RawTls>) -> Result<Certificate, ConfigError> {
    let tls = raw.get_ref();
    match (&tls.cert, &tls.key, tls.generate) {
        (Some(cert), Some(key), false) => {
            if let Some(names) = &tls.names {
                return Err(context.error(names, "spice.tls.names: only a certificate of `generate` gets names"));
            }
            let file = |key, value| {
                let path = context.path(value);
                readable(key, &path).map(|()| path)
            };
            Ok(Certificate::Files {
                cert: file("spice.tls.cert", cert)?,
                key: file("spice.tls.key", key)?,
                ca: tls.ca.as_ref().map(|ca| file("spice.tls.ca", ca)).transpose()?,
            })
        }
        (None, None, true) => {
            if let Some(ca) = &tls.ca {
                return Err(context.error(ca, "spice.tls.ca: `generate` has an authority of its own"));
            }
            Ok(Certificate::Generated {
                names: match &tls.names {
                    Some(names) => check_names(context, names)?,
                    None => Vec::new(),
                },
            })
        }
        (Some(_), None, false) => Err(context.error(raw, "spice.tls: `cert` needs its `key`")),
        (None, Some(_), false) => Err(context.error(raw, "spice.tls: `key` needs its `cert`")),
        (None, None, false) => Err(context.error(raw, "spice.tls: give `cert` and `key`, or `generate = true`")),
        (_, _, true) => Err(context.error(raw, "spice.tls: give `cert` and `key` or `generate = true`, not both")),
    }
}

fn check_names(context: &Context<'_>, names: &Spanned<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let list = names.get_ref();
    if list.len() > MAX_NAMES {
        return Err(context.error(
            names,
            format!("spice.tls.names: {} names, at most {MAX_NAMES}", list.len()),
        ));
    }
    match list.iter().find(|name| !is_name(name)) {
        Some(name) => Err(context.error(names, format!("spice.tls.names: {name:?} {NO_NAME}"))),
        None => Ok(list.clone()),
    }
}

const NO_NAME: &str = "is neither a host's name nor an address";

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '*');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain)
}

pub(crate) fn channels(context: &Context<'_>, raw: &RawChannels, has_tls: bool) -> Result<Channels, ConfigError> {
    let access = |name: &str, value: &Option<Spanned<String>>| {
        let key = format!("spice.channels.{name}");
        let access = named(context, &key, value.as_ref(), Access::NAMES)?;
        match value {
            Some(value) if access == Some(Access::Tls) && !has_tls => {
                Err(context.error(value, format!("{key}: there is no `tls` in [spice]")))
            }
            _ => Ok(access),
        }
    };
    let mut channels = Channels {
        default: access("default", &raw.default)?.unwrap_or_default(),
        ..Channels::default()
    };
    for (name, value) in [
        ("main", &raw.main),
        ("display", &raw.display),
        ("inputs", &raw.inputs),
        ("cursor", &raw.cursor),
        ("playback", &raw.playback),
        ("record", &raw.record),
        ("smartcard", &raw.smartcard),
        ("usbredir", &raw.usbredir),
        ("port", &raw.port),
        ("webdav", &raw.webdav),
    ] {
        if let Some(access) = access(name, value)? {
            channels.own.insert(name, access);
        }
    }
    Ok(channels)
}

/// Users authenticate in TLS, and with nothing else beside it.
pub(crate) fn check_sasl(
    context: &Context<'_>,
    raw: &Spanned<RawSasl>,
    spice: &RawSpice,
    (listen, channels): (&Located<Listen>, &Channels),
) -> Result<(), ConfigError> {
    let refused = |message: &str| Err(context.error(raw, format!("spice.sasl: {message}")));
    if spice.ticket.is_some() {
        return refused("there is `ticket`, too, and a client gives one or the other: leave out `ticket` or `sasl`");
    }
    if spice.tls.is_none() {
        return refused("there is no `tls` in [spice], and users authenticate in TLS alone");
    }
    if let Listen::Unix(_) = listen.value {
        let message = "spice.listen: users authenticate in TLS, which clients do not speak on Unix sockets";
        return Err(listen.origin.error(message));
    }
    let own = channels.own.iter().find(|(_, access)| **access == Access::Plain);
    let default = (channels.default == Access::Plain).then_some("default");
    match own.map(|(name, _)| *name).or(default) {
        Some(name) => refused(&format!(
            "users authenticate in TLS alone, and spice.channels.{name} is \"plain\""
        )),
        None => Ok(()),
    }
}

pub(crate) fn sasl(context: &Context<'_>, raw: &Spanned<RawSasl>) -> Result<Sasl, ConfigError> {
    let users = context.path(&raw.get_ref().users);
    readable("spice.sasl.users", &users)?;
    Ok(Sasl { users })
}

/// The password of clients that may only look.
pub(crate) fn view_ticket(
    context: &Context<'_>,
    raw: &Spanned<RawTicket>,
    control: Option<&Ticket>,
) -> Result<Ticket, ConfigError> {
    let ticket = ticket(context, "spice.view_ticket", raw)?;
    match control {
        None => Err(context.error(
            raw,
            "spice.view_ticket: everybody has control as long as there is no `ticket`",
        )),
        Some(control) if control.password == ticket.password => Err(context.error(
            raw,
            "spice.view_ticket: it is the same as `ticket`, so nobody could tell them apart",
        )),
        Some(_) => Ok(ticket),
    }
}

pub(crate) fn ticket(context: &Context<'_>, key: &str, raw: &Spanned<RawTicket>) -> Result<Ticket, ConfigError> {
    let (password, origin, from) = match (&raw.get_ref().file, &raw.get_ref().env) {
        (Some(file), None) => {
            let path = context.path(file);
            let text = std::fs::read_to_string(&path.value).map_err(|error| {
                path.origin
                    .error(format!("{key}: cannot read {}: {error}", path.value.display()))
            })?;
            let line = text.lines().next().unwrap_or_default().to_owned();
            (line, path.origin, path.value.display().to_string())
        }
        (None, Some(variable)) => {
            let password = std::env::var(variable.get_ref()).map_err(|error| {
                context.error(
                    variable,
                    format!("{key}: environment variable {}: {error}", variable.get_ref()),
                )
            })?;
            (password, context.origin(variable), format!("${}", variable.get_ref()))
        }
        _ => return Err(context.error(raw, format!("{key}: give exactly one of `file` and `env`"))),
    };
    // SPICE tickets are at most 60 bytes long: the clear text of the RSA block.
    if password.is_empty() || password.len() > 60 {
        return Err(origin.error(format!("{key}: {from} holds {} bytes, not 1 to 60", password.len())));
    }
    if password.contains('\0') {
        return Err(origin.error(format!("{key}: {from} holds a NUL, where a ticket ends")));
    }
    let expires = match &raw.get_ref().expires {
        Some(value) => Some(context.parse(&format!("{key}.expires"), value, parse_duration)?),
        None => None,
    };
    Ok(Ticket {
        password,
        in_file: raw.get_ref().file.is_some(),
        expires,
    })
}
