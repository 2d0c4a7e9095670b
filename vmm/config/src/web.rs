//! Checks what a configuration says about the page for browsers.

use toml::Spanned;

use crate::{
    ConfigError,
    raw::RawWeb,
    resolve::Context,
    secrecy,
    spec::{Listen, Spice, Web},
};

/// Whoever is let in by `spice` is let in here, and nobody else.
pub(crate) fn web(context: &Context<'_>, raw: &Spanned<RawWeb>, spice: &Spice) -> Result<Web, ConfigError> {
    let web = raw.get_ref();
    let Some(value) = &web.listen else {
        return Err(context.error(raw, "[web] needs a `listen`"));
    };
    let listen = secrecy::listen(context, "web.listen", value)?;
    let own_tls = spice.tls.as_ref().and_then(|tls| tls.listen.as_ref());
    for (key, other) in [("spice.listen", Some(&spice.listen)), ("spice.tls.listen", own_tls)] {
        let any_port = matches!(&listen.value, Listen::Tcp(address) if address.port() == 0);
        if other.is_some_and(|other| other.value == listen.value) && !any_port {
            return Err(context.error(
                value,
                format!("web.listen: the same as {key}: pages have a port of their own"),
            ));
        }
    }
    if spice.ticket.is_none() && spice.sasl.is_none() && !spice.insecure {
        secrecy::check_reach("web.listen", &listen)?;
    }
    if spice.sasl.is_some() && matches!(listen.value, Listen::Unix(_)) {
        return Err(context.error(
            value,
            "web.listen: users authenticate in TLS, which is not spoken on Unix sockets",
        ));
    }
    let power = match &web.power {
        Some(power) if *power.get_ref() && spice.sasl.is_some() => {
            return Err(context.error(
                power,
                "web.power: it needs the `ticket` in [spice], and there are users instead",
            ));
        }
        Some(power) => *power.get_ref(),
        None => false,
    };
    Ok(Web { listen, power })
}
