//! The authority that signs the certificates of this user's VMs. Clients have to trust it once.
//!
//! It is made when it is first needed and kept in the user's state directory: `authority.pem`, its key and certificate,
//! for this user alone, and `ca.pem`, the certificate, for everybody.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustix::process::geteuid;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

const PRIVATE: &str = "authority.pem";
const PUBLIC: &str = "ca.pem";
/// Largest file read, in bytes.
const READ_LIMIT: u64 = 64 << 10;

/// An authority, with what is needed to sign.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    path: PathBuf,
}

impl Authority {
    /// The authority of this user, which is made if there is none.
    ///
    /// # Errors
    /// When there is no place for it, or what is there cannot be used.
    pub(super) fn of_user() -> anyhow::Result<Self> {
        Self::in_folder(&state_directory(|name| env::var_os(name))?)
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let shown = || format!("cannot keep an authority for TLS in {}", folder.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(shown)?;
        let path = folder.join(PRIVATE);
        if !path.try_exists().with_context(shown)? {
            write_first(&path, &make()?).with_context(shown)?;
        }
        Self::read(&path, folder).with_context(|| format!("cannot use the authority for TLS in {}", path.display()))
    }

    fn read(path: &Path, folder: &Path) -> anyhow::Result<Self> {
        let text = read_private(path)?;
        let key = KeyPair::from_pem(&text)?;
        // The certificate is what clients have; only the name and the key go into what is signed.
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())?;
        if !certificate
            .windows(key.public_key_raw().len())
            .any(|part| part == key.public_key_raw())
        {
            bail!("its certificate is not that of its key");
        }
        let start = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
        let pem = text.get(start..).unwrap_or_default().to_owned();
        let public = folder.join(PUBLIC);
        if fs::read_to_string(&public).ok().as_ref() != Some(&pem) {
            write_public(&public, &pem)?;
        }
        Ok(Self {
            issuer: Issuer::new(params()?, key),
            pem,
            path: public,
        })
    }

    /// The file with the certificate.
    pub(super) fn certificate(&self) -> &Path {
        &self.path
    }

    /// The certificate in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a VM on this host, and its key.
    ///
    /// # Errors
    /// When a name cannot be in a certificate.
    pub(super) fn sign(
        &self,
        vm: &str,
        names: impl Iterator<Item = String>,
    ) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let usual = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut all: Vec<String> = usual.into_iter().chain(host_name()).chain(names).collect();
        all.sort();
        all.dedup();
        let key = KeyPair::generate().context("cannot make a key for TLS")?;
        let mut params = CertificateParams::new(all).context("cannot make a certificate")?;
        params.distinguished_name.push(DnType::CommonName, vm);
        lasts(&mut params);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = params
            .signed_by(&key, &self.issuer)
            .context("cannot sign a certificate")?;
        Ok((
            vec![signed.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        ))
    }
}

/// Where this user's programs keep what they need again.
fn state_directory(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> anyhow::Result<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("CARAWAY_STATE_DIR") {
        return Ok(std::path::absolute(path)?);
    }
    // A relative one is to be ignored, says the XDG specification.
    let state = set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .context("no place for an authority for TLS: neither CARAWAY_STATE_DIR nor XDG_STATE_HOME nor HOME is set")?;
    Ok(state.join("caraway"))
}

/// A certificate does not end: the last day that can be written, as RFC 5280, 4.1.2.5 has it.
fn lasts(params: &mut CertificateParams) {
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
}

/// What all authorities have in common.
fn params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Caraway VMs");
    lasts(&mut params);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

/// Key and certificate of a new one.
fn make() -> anyhow::Result<String> {
    let key = KeyPair::generate().context("cannot make a key for TLS")?;
    let certificate = params()?
        .self_signed(&key)
        .context("cannot make an authority for TLS")?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// Writes a file that only this user can read, all at once, unless another process was first.
fn write_first(path: &Path, text: &str) -> io::Result<()> {
    let own = path.with_extension(format!("pem.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&own)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&own, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
    fs::remove_file(&own)?;
    linked
}

fn write_public(path: &Path, pem: &str) -> io::Result<()> {
    let new = path.with_extension(format!("pem.{}", std::process::id()));
    fs::write(&new, pem)?;
    fs::set_permissions(&new, Permissions::from_mode(0o644))?;
    fs::rename(new, path)
}

/// A file that is this user's alone.
fn read_private(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        bail!("it must belong to this user and be closed to others (0600)");
    }
    let mut text = String::new();
    file.take(READ_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_only_its_user_can_read_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state/caraway");
        let first = Authority::in_folder(&folder).unwrap();
        let again = Authority::in_folder(&folder).unwrap();
        assert_eq!(first.pem(), again.pem());
        assert_eq!(fs::read_to_string(first.certificate()).unwrap(), first.pem());
        assert!(!first.pem().contains("PRIVATE"));
        let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode(PRIVATE), mode(PUBLIC), mode(".")), (0o600, 0o644, 0o700));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn what_others_can_read_or_is_broken_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        Authority::in_folder(folder.path()).unwrap();
        let path = folder.path().join(PRIVATE);
        let error = || format!("{:#}", Authority::in_folder(folder.path()).err().unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(error().contains("closed to others"), "{}", error());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let other = make().unwrap();
        let start = |text: &str| text.find("-----BEGIN CERTIFICATE").unwrap();
        for wrong in [
            String::new(),
            good.get(..start(&good)).unwrap().to_owned(),
            good.get(start(&good)..).unwrap().to_owned(),
            good.get(..start(&good)).unwrap().to_owned() + other.get(start(&other)..).unwrap(),
        ] {
            fs::write(&path, wrong).unwrap();
            assert!(error().contains("authority.pem"), "{}", error());
        }
    }

    #[test]
    fn a_second_process_takes_the_authority_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PRIVATE);
        write_first(&path, "first").unwrap();
        write_first(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    }

    #[test]
    fn the_state_directory_is_named_by_the_environment() {
        let of = |set: &[(&str, &str)]| {
            let find = |name: &str| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| OsString::from(value))
            };
            state_directory(find).ok()
        };
        assert_eq!(of(&[("CARAWAY_STATE_DIR", "/a"), ("HOME", "/b")]), Some("/a".into()));
        assert_eq!(
            of(&[("XDG_STATE_HOME", "/a"), ("HOME", "/b")]),
            Some("/a/caraway".into())
        );
        assert_eq!(
            of(&[("XDG_STATE_HOME", "a"), ("HOME", "/b")]),
            Some("/b/.local/state/caraway".into())
        );
        assert_eq!(of(&[("HOME", "")]), None);
    }

    #[test]
    fn a_vm_gets_a_certificate_with_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::in_folder(folder.path()).unwrap();
        let names = ["vm.example.org", "192.0.2.7"].map(str::to_owned);
        let (chain, key) = authority.sign("demo", names.into_iter()).unwrap();
        let has = |part: &[u8]| chain.iter().any(|der| der.windows(part.len()).any(|here| here == part));
        assert!(has(b"vm.example.org") && has(b"localhost") && has(&[192, 0, 2, 7]) && has(b"demo"));
        caraway_server::Tls::new(chain, key).unwrap();
    }
}
