//! From what a configuration says about TLS to what the SPICE server shows its clients.

mod authority;

use std::{
    fs::File,
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use caraway_config::{Access, Certificate, Channels, ConfigError, Listen, Located, Origin, Spice, Web};
use caraway_server::{Accepts, CHANNEL_NAMES, ChannelAccess, Origins, Security, Tls, TlsError, Users};

use self::authority::Authority;
use crate::{output::chain, run::failure::Failure};

/// Largest file of authorities that is read, in bytes.
const MAX_CA: u64 = 1 << 20;

/// TLS, ready for clients.
pub(crate) struct Loaded {
    pub(crate) tls: Arc<Tls>,
    /// What clients are to trust, where it is known.
    pub(crate) ca: Option<Ca>,
}

/// Certificates of authorities.
pub(crate) struct Ca {
    pub(crate) path: PathBuf,
    pub(crate) pem: String,
}

/// Reads or makes certificate and key.
///
/// # Errors
/// Files that are wrong, at the key that names them; a host that does not let an authority be made.
pub(crate) fn load(name: &str, spice: &Spice, web: Option<&Web>) -> Result<Option<Loaded>, Failure> {
    let Some(tls) = &spice.tls else { return Ok(None) };
    let loaded = match &tls.certificate {
        Certificate::Files { cert, key, ca } => Loaded {
            tls: Arc::new(of_files(cert, key)?),
            ca: ca.as_ref().map(read_ca).transpose()?,
        },
        Certificate::Generated { names } => {
            let authority = Authority::of_user()?;
            let places = [Some(&spice.listen), tls.listen.as_ref(), web.map(|web| &web.listen)];
            let addresses = places.into_iter().flatten().filter_map(|listen| address(&listen.value));
            let names = names.iter().chain(&tls.host).cloned();
            let names = names.chain(addresses.map(|address| address.to_string()));
            let (chain, key) = authority.sign(name, names)?;
            Loaded {
                tls: Arc::new(Tls::new(chain, key).context("the certificate that was made cannot be used")?),
                ca: Some(Ca {
                    path: authority.certificate().to_owned(),
                    pem: authority.pem().to_owned(),
                }),
            }
        }
    };
    Ok(Some(loaded))
}

/// Looks at the files that are named.
///
/// # Errors
/// What is wrong with them, at the key that names them.
pub(crate) fn check(spice: &Spice) -> Result<(), ConfigError> {
    match spice.tls.as_ref().map(|tls| &tls.certificate) {
        Some(Certificate::Files { cert, key, ca }) => {
            of_files(cert, key)?;
            ca.as_ref().map(read_ca).transpose().map(drop)
        }
        Some(Certificate::Generated { .. }) | None => Ok(()),
    }
}

/// The users a configuration names.
///
/// # Errors
/// What is wrong with their file, at the key that names it.
pub(crate) fn users(spice: &Spice) -> Result<Option<Arc<Users>>, ConfigError> {
    let Some(sasl) = &spice.sasl else { return Ok(None) };
    match Users::from_file(&sasl.users.value) {
        Ok(users) => Ok(Some(Arc::new(users))),
        Err(error) => {
            let says = format!("spice.sasl.users: {}", chain(&error));
            Err(sasl.users.origin.error(says))
        }
    }
}

fn of_files(cert: &Located<PathBuf>, key: &Located<PathBuf>) -> Result<Tls, ConfigError> {
    Tls::from_files(&cert.value, &key.value).map_err(|error| {
        let of_key = |path: &Path| path == key.value && path != cert.value;
        let (name, origin): (_, &Origin) = match &error {
            error if error.path().is_some_and(of_key) => ("spice.tls.key", &key.origin),
            TlsError::Unusable(_) => ("spice.tls", &cert.origin),
            _ => ("spice.tls.cert", &cert.origin),
        };
        origin.error(format!("{name}: {}", chain(&error)))
    })
}

fn read_ca(ca: &Located<PathBuf>) -> Result<Ca, ConfigError> {
    let shown = ca.value.display();
    let mut pem = String::new();
    File::open(&ca.value)
        .and_then(|file| file.take(MAX_CA).read_to_string(&mut pem))
        .map_err(|error| ca.origin.error(format!("spice.tls.ca: cannot read {shown}: {error}")))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(ca.origin.error(format!("spice.tls.ca: {shown}: no certificate in PEM")));
    }
    Ok(Ca {
        path: ca.value.clone(),
        pem,
    })
}

/// An address clients may name when they connect.
fn address(listen: &Listen) -> Option<IpAddr> {
    match listen {
        Listen::Tcp(address) if !address.ip().is_unspecified() => Some(address.ip()),
        _ => None,
    }
}

/// The pages that may connect: those that are listed, and those of a server by whose names clients connect.
///
/// # Errors
/// One that is no origin, at the key.
pub(crate) fn origins(spice: &Spice) -> Result<Origins, ConfigError> {
    let origins = match &spice.origins {
        Some(list) => Origins::new(list.value.iter().map(String::as_str))
            .map_err(|error| list.origin.error(format!("spice.origins: {error}")))?,
        None => Origins::default(),
    };
    let (host, names) = match &spice.tls {
        Some(tls) => match &tls.certificate {
            Certificate::Generated { names } => (tls.host.as_ref(), names.as_slice()),
            Certificate::Files { .. } => (tls.host.as_ref(), &[][..]),
        },
        None => (None, &[][..]),
    };
    Ok(origins.with_names(host.into_iter().chain(names).map(String::as_str)))
}

/// What the server is told.
pub(crate) fn security(
    tls: Option<&Loaded>,
    sasl: Option<Arc<Users>>,
    channels: &Channels,
    origins: Origins,
) -> Security {
    let access = |access| match access {
        Access::Any => caraway_server::Access::Any,
        Access::Plain => caraway_server::Access::Plain,
        Access::Tls => caraway_server::Access::Tls,
    };
    let own = CHANNEL_NAMES.iter().filter_map(|(name, kind)| {
        let own = channels.own.get(name)?;
        Some((*kind, access(*own)))
    });
    Security {
        tls: tls.map(|loaded| Arc::clone(&loaded.tls)),
        sasl,
        channels: ChannelAccess {
            default: access(channels.default),
            own: own.collect(),
        },
        origins,
    }
}

/// What comes where clients without TLS come.
pub(crate) fn accepted(spice: &Spice) -> Accepts {
    match &spice.tls {
        Some(tls) if tls.listen.is_none() => Accepts::Both,
        _ => Accepts::Plain,
    }
}
