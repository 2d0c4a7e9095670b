//! The file of users, read again when it changes.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::verifier::{ITERATIONS, Key, SALT_BYTES, Verifier, VerifierError, mac};
use crate::{Identity, Role};

/// Largest file of users that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Passwords that are computed with at once: the guest wants the processors, too.
const COMPUTED_AT_ONCE: usize = 2;
/// Longest name of a user, in bytes.
const MAX_NAME: usize = 64;
/// Longest password, in bytes.
const MAX_PASSWORD: usize = 256;
/// What others than the file's owner and group may not: anything. What the group may not: write.
const TOO_OPEN: u32 = 0o027;

/// Somebody who may come in. As text it is a line `NAME:ROLE:VERIFIER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who it is.
    pub identity: Identity,
    /// By what it is known.
    pub verifier: Verifier,
}

/// Why somebody cannot be a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name cannot be one.
    #[error("{0:?} is not a user's name: 1 to {MAX_NAME} of the letters a to z and A to Z, digits, and . _ - @")]
    Name(String),
    /// The role is not known.
    #[error("{0:?} is not a role: control or view")]
    Role(String),
    /// The password cannot be one.
    #[error("the password has {bytes} bytes, not 1 to {MAX_PASSWORD}")]
    PasswordLength {
        /// How long it is.
        bytes: usize,
    },
    /// A character that cannot be typed.
    #[error("the password has a control character in it")]
    PasswordControl,
    /// What should be a verifier.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// A part is missing.
    #[error("not NAME:ROLE:VERIFIER")]
    Shape,
    /// The name is there already.
    #[error("a second line for {0:?}")]
    Twice(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Control => "control",
        })
    }
}

impl FromStr for Role {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        match text {
            "view" => Ok(Self::View),
            "control" => Ok(Self::Control),
            other => Err(UserError::Role(other.to_owned())),
        }
    }
}

impl User {
    /// A user with a password.
    ///
    /// # Errors
    /// A name or a password that cannot be one.
    pub fn new(name: &str, role: Role, password: &str) -> Result<Self, UserError> {
        let identity = Identity {
            name: checked(name)?.to_owned(),
            role,
        };
        match password.len() {
            1..=MAX_PASSWORD => {}
            bytes => return Err(UserError::PasswordLength { bytes }),
        }
        if password.chars().any(char::is_control) {
            return Err(UserError::PasswordControl);
        }
        Ok(Self {
            identity,
            verifier: Verifier::of_password(password),
        })
    }
}

fn checked(name: &str) -> Result<&str, UserError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain) {
        Ok(name)
    } else {
        Err(UserError::Name(name.to_owned()))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { name, role } = &self.identity;
        write!(f, "{name}:{role}:{}", self.verifier)
    }
}

impl FromStr for User {
    type Err = UserError;

    fn from_str(line: &str) -> Result<Self, UserError> {
        let (name, rest) = line.split_once(':').ok_or(UserError::Shape)?;
        let (role, verifier) = rest.split_once(':').ok_or(UserError::Shape)?;
        Ok(Self {
            identity: Identity {
                name: checked(name)?.to_owned(),
                role: role.parse()?,
            },
            verifier: verifier.parse()?,
        })
    }
}

/// Users by name.
pub(crate) type Table = BTreeMap<String, User>;

/// Why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
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
    /// Others could read or change it.
    #[error("{}: mode {mode:03o} lets others at it: chmod 600 or 640", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line is wrong.
    #[error("{}:{line}: {source}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: UserError,
    },
}

/// The users in a file's text: a line each; empty lines and those that begin with `#` are skipped.
///
/// # Errors
/// The first line that is wrong, counted from 1, and what is wrong with it.
pub fn parse_users(text: &str) -> Result<Vec<User>, (usize, UserError)> {
    table(text).map(|table| table.into_values().collect())
}

fn table(text: &str) -> Result<Table, (usize, UserError)> {
    let mut table = Table::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let user: User = line.parse().map_err(|error| (number, error))?;
        let name = user.identity.name.clone();
        if table.insert(name.clone(), user).is_some() {
            return Err((number, UserError::Twice(name)));
        }
    }
    Ok(table)
}

/// Who may come in by SASL: the users of a file, which is read again when it changes.
pub struct Users {
    path: PathBuf,
    state: Mutex<State>,
    /// Makes up verifiers for names that nobody has.
    secret: Key,
    /// Who may compute what belongs to a password.
    pub(crate) computing: Arc<Semaphore>,
}

struct State {
    table: Arc<Table>,
    /// How the file was when it was last read, whether or not it could be used.
    seen: Stamp,
}

/// Tells one content of the file from the next: device, inode, size, mode and times of the last changes.
type Stamp = Option<(u64, u64, u64, u32, [i64; 4])>;

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Users {
    /// The users of a file. When it changes it is read again as the next client comes; as long as it cannot be used then,
    /// that is logged and nobody is let in: who was taken off it must not get in because of a slip on another line.
    ///
    /// # Errors
    /// What is wrong with the file as it is now.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, UsersError> {
        let path = path.into();
        let seen = stamp(&path);
        let table = Arc::new(read(&path)?);
        Ok(Self {
            path,
            state: Mutex::new(State { table, seen }),
            secret: rand::random(),
            computing: Arc::new(Semaphore::new(COMPUTED_AT_ONCE)),
        })
    }

    /// The users there are. Looks at the file: not for an event loop.
    pub(crate) fn current(&self) -> Arc<Table> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before it is read: what changes meanwhile is seen the next time.
        let stamp = stamp(&self.path);
        if stamp != state.seen {
            state.seen = stamp;
            state.table = match read(&self.path) {
                Ok(table) => {
                    tracing::info!(users = table.len(), file = %self.path.display(), "the file of users was read again");
                    Arc::new(table)
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "the file of users has changed and cannot be used: nobody is let in"
                    );
                    Arc::default()
                }
            };
        }
        Arc::clone(&state.table)
    }

    /// The user of this name, or one that is made up: the same each time, and from outside like any other, so that nobody
    /// learns who there is.
    pub(crate) fn find(&self, table: &Table, name: &str) -> Candidate {
        let salt = [b"salt 0 ", b"salt 1 "].map(|of| mac(&self.secret, &[of, name.as_bytes()]));
        // Iterations and the length of the salt as somebody has them.
        let [pick, ..] = mac(&self.secret, &[b"pick ", name.as_bytes()]);
        let like = table.values().nth(usize::from(pick) % table.len().max(1));
        let (iterations, bytes) = like.map_or((ITERATIONS, SALT_BYTES), |user| {
            (user.verifier.iterations, user.verifier.salt.len())
        });
        let verifier = Verifier {
            iterations,
            salt: salt.into_iter().flatten().take(bytes).collect(),
            stored_key: mac(&self.secret, &[b"stored ", name.as_bytes()]),
            server_key: mac(&self.secret, &[b"server ", name.as_bytes()]),
        };
        match table.get(name) {
            Some(user) => Candidate {
                verifier: user.verifier.clone(),
                identity: Some(user.identity.clone()),
            },
            None => Candidate {
                verifier,
                identity: None,
            },
        }
    }
}

/// Somebody a client says it is.
pub(crate) struct Candidate {
    pub(crate) verifier: Verifier,
    /// `None`: there is nobody of this name, whatever the verifier says.
    pub(crate) identity: Option<Identity>,
}

fn stamp(path: &Path) -> Stamp {
    let of = fs::metadata(path).ok()?;
    let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()];
    Some((of.dev(), of.ino(), of.size(), of.mode(), times))
}

fn read(path: &Path) -> Result<Table, UsersError> {
    let (text, metadata) = load(path).map_err(|source| UsersError::Read {
        path: path.to_owned(),
        source,
    })?;
    if text.len() as u64 > MAX_FILE {
        return Err(UsersError::TooBig { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        return Err(UsersError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    table(&text).map_err(|(line, source)| UsersError::Line {
        path: path.to_owned(),
        line,
        source,
    })
}

fn load(path: &Path) -> io::Result<(Zeroizing<String>, Metadata)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    Ok((text, metadata))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(name: &str, role: &str) -> String {
        let verifier = Verifier::derive("secret", b"salt", 4096);
        format!("{name}:{role}:{verifier}\n")
    }

    fn file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("users");
        // As programs do it that keep the file whole.
        let new = folder.join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    #[test]
    fn a_line_is_a_user_and_a_user_is_a_line() {
        let user = User::new("ann.lee@example-1", Role::View, "correct horse").unwrap();
        assert_eq!(user.to_string().parse(), Ok(user.clone()));
        assert!(
            user.to_string()
                .starts_with("ann.lee@example-1:view:SCRAM-SHA-256$65536:")
        );
        let text = format!("# who may come in\n\n{}{}", line("ann", "view"), line("bob", "control"));
        let users = parse_users(&text).unwrap();
        let identities: Vec<_> = users
            .iter()
            .map(|user| (user.identity.name.as_str(), user.identity.role))
            .collect();
        assert_eq!(identities, [("ann", Role::View), ("bob", Role::Control)]);
    }

    #[test]
    fn who_cannot_be_a_user_is_told_why() {
        for name in ["", "a b", "a:b", "a,b", "ä", "a=b", &"x".repeat(65)] {
            let error = User::new(name, Role::Control, "secret").unwrap_err();
            assert_eq!(error, UserError::Name(name.to_owned()));
        }
        let with = |password: &str| User::new("ann", Role::Control, password).map(drop);
        assert_eq!(with(""), Err(UserError::PasswordLength { bytes: 0 }));
        assert_eq!(with(&"x".repeat(257)), Err(UserError::PasswordLength { bytes: 257 }));
        assert_eq!(with("a\0b"), Err(UserError::PasswordControl));
        assert_eq!(with("grüße"), Ok(()));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = |text: &str| parse_users(text).unwrap_err();
        assert_eq!(error("#\nann"), (2, UserError::Shape));
        assert_eq!(error("ann:secret"), (1, UserError::Shape));
        assert_eq!(error("ann:root:x"), (1, UserError::Role("root".to_owned())));
        assert_eq!(error("ann:view:secret"), (1, UserError::Verifier(VerifierError::Shape)));
        let twice = line("ann", "view") + &line("ann", "control");
        assert_eq!(error(&twice), (2, UserError::Twice("ann".to_owned())));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_too_big_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o604, 0o620, 0o602] {
            let error = Users::from_file(file(folder.path(), &line("ann", "view"), mode)).unwrap_err();
            assert!(error.to_string().contains(&format!("mode {mode:o}")), "{error}");
        }
        assert!(Users::from_file(file(folder.path(), &line("ann", "view"), 0o640)).is_ok());
        let big = "#".repeat(MAX_FILE as usize + 1);
        let error = Users::from_file(file(folder.path(), &big, 0o600)).unwrap_err();
        assert!(matches!(error, UsersError::TooBig { .. }), "{error}");
        let error = Users::from_file(folder.path().join("absent")).unwrap_err();
        assert!(matches!(error, UsersError::Read { .. }), "{error}");
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_cannot_be_used_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::from_file(file(folder.path(), &line("ann", "view"), 0o600)).unwrap();
        let names = || users.current().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(), ["ann"]);
        file(folder.path(), &(line("ann", "view") + &line("bob", "view")), 0o600);
        assert_eq!(names(), ["ann", "bob"]);
        for (text, mode) in [("ann", 0o600), (line("ann", "view").as_str(), 0o644)] {
            file(folder.path(), text, mode);
            assert!(names().is_empty());
        }
        let path = file(folder.path(), &line("bob", "view"), 0o600);
        assert_eq!(names(), ["bob"]);
        fs::remove_file(path).unwrap();
        assert!(names().is_empty());
    }

    #[test]
    fn a_name_that_nobody_has_looks_like_any_other_and_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::from_file(file(folder.path(), &line("ann", "view"), 0o600)).unwrap();
        let table = users.current();
        let [first, again, other] = ["eve", "eve", "mallory"].map(|name| users.find(&table, name));
        assert!(first.identity.is_none());
        assert_eq!(first.verifier, again.verifier);
        assert_ne!(first.verifier.salt, other.verifier.salt);
        let ann = users.find(&table, "ann");
        assert_eq!(ann.identity.unwrap().name, "ann");
        assert_eq!(
            (first.verifier.iterations, first.verifier.salt.len()),
            (ann.verifier.iterations, ann.verifier.salt.len())
        );
        assert_eq!(users.find(&Table::new(), "eve").verifier.iterations, ITERATIONS);
    }
}
