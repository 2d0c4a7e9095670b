//! `caraway user`: the file of users.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufRead, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use caraway_server::sasl::{User, parse_users};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{
    args::{AddUserArgs, UserArgs, UserCommand},
    output::UsageError,
};

/// Bytes that are read of a password: enough to tell one that is too long.
const READ_LIMIT: u64 = 4096;

/// Changes the file.
pub(crate) fn user(args: &UserArgs) -> anyhow::Result<u8> {
    match &args.command {
        UserCommand::Add(args) => add(args)?,
        UserCommand::Remove { file, name } => {
            let mut change = Change::begin(file)?;
            if !change.remove(name) {
                return Err(UsageError(format!("{}: there is no user {name:?}", file.display())).into());
            }
            change.finish()?;
        }
    }
    Ok(0)
}

fn add(args: &AddUserArgs) -> anyhow::Result<()> {
    let password = password()?;
    let user = User::new(&args.name, args.role, &password).map_err(|error| UsageError(format!("user add: {error}")))?;
    let mut change = Change::begin(&args.file)?;
    change.remove(&args.name);
    change.text += &format!("{user}\n");
    change.finish()
}

/// A file that is being replaced.
struct Change {
    path: PathBuf,
    new: PathBuf,
    file: File,
    /// All that will be in it.
    text: String,
}

impl Change {
    /// Reads what there is. Nobody else can begin as long as this lives.
    fn begin(path: &Path) -> anyhow::Result<Self> {
        // What a link leads to is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut new = path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => anyhow::anyhow!(
                "{} is there: somebody else is changing the file; if not, remove it",
                new.display()
            ),
            _ => anyhow::Error::new(error).context(format!("cannot make {}", new.display())),
        })?;
        let mut change = Self {
            path,
            new,
            file,
            text: String::new(),
        };
        change.read()?;
        Ok(change)
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let shown = self.path.display();
        let mut before = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
        };
        let metadata = before.metadata().with_context(|| format!("cannot read {shown}"))?;
        before
            .read_to_string(&mut self.text)
            .with_context(|| format!("cannot read {shown}"))?;
        if let Err((line, error)) = parse_users(&self.text) {
            return Err(UsageError(format!("{shown}:{line}: {error}")).into());
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        // Who could read it can do so still, but nobody more than a server accepts.
        let mode = metadata.mode() & 0o640 | 0o600;
        if metadata.gid() != self.file.metadata()?.gid() {
            fchown(&self.file, None, Some(metadata.gid()))
                .with_context(|| format!("cannot keep the group of {shown}"))?;
        }
        let kept = self.file.set_permissions(Permissions::from_mode(mode));
        kept.with_context(|| format!("cannot keep the mode of {shown}"))
    }

    /// Whether there was one.
    fn remove(&mut self, name: &str) -> bool {
        let before = self.text.len();
        let others = |line: &&str| line.split(':').next() != Some(name);
        self.text = self.text.split_inclusive('\n').filter(others).collect();
        self.text.len() != before
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let shown = self.path.display();
        self.file
            .write_all(self.text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.new, &self.path))
            .with_context(|| format!("cannot write {shown}"))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // After the renaming there is none, and before it nobody needs it.
        fs::remove_file(&self.new).ok();
    }
}

/// The first line of standard input; on a terminal it is asked for, twice and unseen.
fn password() -> anyhow::Result<Zeroizing<String>> {
    let input = io::stdin();
    if !isatty(&input) {
        return line(&mut input.lock()).context("cannot read the password");
    }
    let _silent = Silent::enter().context("cannot keep the terminal from showing the password")?;
    let password = ask("Password: ").context("cannot read the password")?;
    if *ask("Once more: ").context("cannot read the password")? != *password {
        return Err(UsageError("the two are not the same".to_owned()).into());
    }
    Ok(password)
}

fn ask(what: &str) -> io::Result<Zeroizing<String>> {
    write!(io::stderr(), "{what}")?;
    let line = line(&mut io::stdin().lock())?;
    writeln!(io::stderr())?;
    Ok(line)
}

fn line(input: &mut impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(READ_LIMIT).read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(line)
}

/// The terminal shows nothing of what is typed as long as this lives.
struct Silent(Termios);

impl Silent {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        // Ctrl-C would end the program and leave the terminal like this; it makes the password one that cannot be.
        silent.local_modes &= !(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that went away.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
