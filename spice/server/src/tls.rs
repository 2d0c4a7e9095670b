//! TLS 1.2 and 1.3: certificate and key, read again when their files change.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    version::{TLS12, TLS13},
};

/// Largest file of certificates or of a key that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is too big.
    #[error("{}: more than {MAX_FILE} bytes", .path.display())]
    TooBig {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what it should be.
    #[error("{}: no {what} in PEM", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// They do not belong together, or are of a kind that is not known.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

impl TlsError {
    /// The file that is wrong; `None` when it is both together.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. } | Self::TooBig { path } | Self::Pem { path, .. } => Some(path),
            Self::Unusable(_) => None,
        }
    }
}

/// What clients who come by TLS are shown. No client certificate is asked for.
#[derive(Debug)]
pub struct Tls(Mutex<State>);

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    /// How they were when they were last read, whether or not they could be used.
    seen: Stamps,
}

/// Tells one content of certificate and key from the next: device, inode, size and time of the last change.
type Stamps = [Option<(u64, u64, u64, i64, i64)>; 2];

impl Tls {
    /// A certificate chain, the server's own first, and its key, both in PEM. A file that changes is read again when the
    /// next client comes; when it cannot be used, that is logged, and what was read before stays.
    ///
    /// # Errors
    /// What is wrong with the files as they are now.
    pub fn from_files(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let mut files = Files {
            cert: cert.into(),
            key: key.into(),
            seen: [None; 2],
        };
        files.seen = files.stamps();
        let config = files.read()?;
        Ok(Self(Mutex::new(State {
            config,
            files: Some(files),
        })))
    }

    /// A certificate chain, the server's own first, and its key, for as long as the server lives.
    ///
    /// # Errors
    /// When they do not belong together, or are of a kind that is not known.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        Ok(Self(Mutex::new(State {
            config: config(chain, key)?,
            files: None,
        })))
    }

    /// What the next client is shown. Looks at files: not for an event loop.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let mut state = self.lock();
        let State { config, files } = &mut *state;
        if let Some(files) = files {
            // Looked at before they are read: what changes meanwhile is seen the next time.
            let stamps = files.stamps();
            if stamps != files.seen {
                files.seen = stamps;
                match files.read() {
                    Ok(new) => {
                        tracing::info!(cert = %files.cert.display(), "the TLS certificate was read again");
                        *config = new;
                    }
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the TLS certificate has changed and cannot be used: the one before stays"
                    ),
                }
            }
        }
        Arc::clone(config)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        [&self.cert, &self.key].map(|path| {
            let of = fs::metadata(path).ok()?;
            Some((of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec()))
        })
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let wrong = |path: &Path, what, source| TlsError::Pem {
            path: path.to_owned(),
            what,
            source,
        };
        let not_certificates = |source| wrong(&self.cert, "certificate", source);
        let chain = CertificateDer::pem_slice_iter(&read(&self.cert)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(not_certificates)?;
        if chain.is_empty() {
            return Err(not_certificates(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|source| wrong(&self.key, "private key", source))?;
        Ok(config(chain, key)?)
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    let mut content = zeroize::Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut content));
    match read {
        Ok(bytes) if bytes as u64 > MAX_FILE => Err(TlsError::TooBig { path: path.to_owned() }),
        Ok(_) => Ok(content),
        Err(source) => Err(TlsError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    // Named here, so that no other crate's choice of a default counts.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}
