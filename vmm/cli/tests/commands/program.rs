//! Running the program.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A run directory and a working directory of this test.
pub(crate) struct World {
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run", "work"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.work().join(name), content).unwrap();
    }

    /// The program, in the working directory, with nothing to read.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env("CARAWAY_RUN_DIR", self.run_directory())
            .env_remove("CARAWAY_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn caraway(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(PROGRAM).args(arguments).output().unwrap())
    }

    /// Runs it by the shell, where it is `$0`.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        Outcome::of(self.command("sh").args(["-c", script, PROGRAM]).output().unwrap())
    }
}

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_caraway");

/// A kernel: the demo VM's.
pub(crate) fn kernel() -> Vec<u8> {
    std::fs::read(Path::new(env!("DEMO_GUEST"))).unwrap()
}

impl Outcome {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed when all went well.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
        String::from_utf8(self.stdout).unwrap()
    }

    /// The one line it said when it failed with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap().to_owned();
        assert!(!line.contains('\n'), "{self:?}");
        line
    }
}
