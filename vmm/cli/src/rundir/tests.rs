use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use tempfile::TempDir;

use super::{
    location::{Kind, Location},
    *,
};

/// A run directory of this test.
struct Place {
    folder: TempDir,
    location: Location,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            path: folder.path().join("run"),
            kind: Kind::Private,
        };
        Self { folder, location }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.location.path.join(name)
    }

    fn claim(&self, name: &str) -> Result<RunDir, RunDirError> {
        RunDir::claim_in(&self.location, name, false)
    }

    fn names(&self) -> Vec<String> {
        let vms = running_in(&self.location).unwrap();
        vms.into_iter().map(|vm| vm.name).collect()
    }

    /// A folder as a VM that was killed leaves it.
    fn leave_stale(&self, name: &str) {
        let dir = self.claim(name).unwrap();
        let copy = self.folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        drop(dir);
        fs::write(copy.join(CONTROL), "").unwrap();
        fs::rename(copy, self.path(name)).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn info(name: &str, dir: &RunDir) -> Info {
    Info {
        name: name.to_owned(),
        pid: std::process::id(),
        config: None,
        spice: Some("spice://127.0.0.1:5900".to_owned()),
        tls: None,
        web: None,
        viewer: None,
        control: dir.file(CONTROL),
        serial: Some(dir.file(SERIAL)),
    }
}

#[test]
fn a_claimed_folder_is_private_and_goes_with_its_vm() {
    let place = Place::new();
    let dir = place.claim("web").unwrap();
    dir.publish(&info("web", &dir)).unwrap();
    assert_eq!((dir.name(), dir.path()), ("web", place.path("web").as_path()));
    assert_eq!(mode(&place.location.path), 0o700);
    assert_eq!(mode(dir.path()), 0o700);
    for file in ["lock", PID, INFO] {
        assert_eq!(mode(&dir.file(file)), 0o600, "{file}");
    }
    let pid = fs::read_to_string(dir.file(PID)).unwrap();
    assert_eq!(pid, format!("{}\n", std::process::id()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    drop(dir);
    assert!(!place.path("web").exists());
}

#[test]
fn a_taken_name_is_refused_with_the_pid_or_the_next_one_is_taken() {
    let place = Place::new();
    let first = place.claim("demo").unwrap();
    let message = place.claim("demo").unwrap_err().to_string();
    assert_eq!(
        message,
        format!("VM demo is running already (pid {})", std::process::id())
    );
    let second = RunDir::claim_in(&place.location, "demo", true).unwrap();
    let third = RunDir::claim_in(&place.location, "demo", true).unwrap();
    assert_eq!((second.name(), third.name()), ("demo-2", "demo-3"));
    drop(first);
    assert_eq!(
        RunDir::claim_in(&place.location, "demo", true).unwrap().name(),
        "demo",
        "a name that is free again"
    );
}

#[test]
fn vms_are_found_by_name_with_what_they_published() {
    let place = Place::new();
    assert!(place.names().is_empty(), "no run directory, no VMs");
    assert!(!place.location.path.exists(), "looking makes none");
    let web = place.claim("web").unwrap();
    let db = place.claim("db").unwrap();
    assert_eq!(place.names(), ["db", "web"]);
    let starting = find_in(&place.location, "web").unwrap_err();
    assert!(matches!(starting, RunDirError::Starting { pid: Some(pid), .. } if pid == std::process::id()));
    web.publish(&info("web", &web)).unwrap();
    web.publish(&info("web", &web)).unwrap();
    assert_eq!(find_in(&place.location, "web").unwrap(), info("web", &web));
    assert_eq!(
        find_in(&place.location, "mail").unwrap_err().to_string(),
        "no VM mail is running; db, web are"
    );
    drop(db);
    assert_eq!(place.names(), ["web"]);
}

#[test]
fn paths_are_published_absolute() {
    let place = Place::new();
    let dir = place.claim("web").unwrap();
    let relative = Info {
        config: Some("web.toml".into()),
        control: "q.sock".into(),
        ..info("web", &dir)
    };
    dir.publish(&relative).unwrap();
    let here = std::env::current_dir().unwrap();
    let found = find_in(&place.location, "web").unwrap();
    assert_eq!(found.config, Some(here.join("web.toml")));
    assert_eq!(found.control, here.join("q.sock"));
}

#[test]
fn what_a_killed_vm_left_is_removed_by_whoever_looks_and_taken_over_by_whoever_starts() {
    let place = Place::new();
    place.leave_stale("dead");
    assert!(place.names().is_empty());
    assert!(!place.path("dead").exists());

    place.leave_stale("again");
    let dir = place.claim("again").unwrap();
    assert!(!dir.file(CONTROL).exists(), "the old socket does not stay");
    assert_eq!(place.names(), ["again"]);
}

#[test]
fn a_stale_folder_with_somebody_elses_files_loses_only_what_is_a_vms() {
    let place = Place::new();
    place.leave_stale("dead");
    fs::write(place.path("dead").join("notes.txt"), "mine").unwrap();
    assert!(place.names().is_empty());
    assert_eq!(fs::read(place.path("dead").join("notes.txt")).unwrap(), b"mine");
    assert!(!place.path("dead").join(CONTROL).exists());
}

#[test]
fn a_folder_that_is_no_vms_is_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path("documents")).unwrap();
    fs::set_permissions(&place.location.path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.path("documents").join(PID), "1").unwrap();
    assert!(matches!(place.claim("documents"), Err(RunDirError::Foreign(_))));
    assert!(place.names().is_empty());
    assert_eq!(fs::read(place.path("documents").join(PID)).unwrap(), b"1");

    fs::write(place.path("file"), "").unwrap();
    assert!(matches!(place.claim("file"), Err(RunDirError::NotADirectory(_))));
    fs::create_dir(place.path("empty")).unwrap();
    let dir = place.claim("empty").unwrap();
    assert_eq!(mode(dir.path()), 0o700, "an empty folder becomes a private one");
}

#[test]
fn links_in_the_run_directory_are_not_followed() {
    let place = Place::new();
    drop(place.claim("web").unwrap());
    let elsewhere = place.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("lock"), "").unwrap();
    fs::write(elsewhere.join(INFO), "precious").unwrap();
    symlink(&elsewhere, place.path("linked")).unwrap();
    assert!(matches!(place.claim("linked"), Err(RunDirError::NotADirectory(_))));
    assert!(place.names().is_empty());
    assert_eq!(fs::read(elsewhere.join(INFO)).unwrap(), b"precious");

    let target = place.folder.path().join("target");
    fs::write(&target, "precious").unwrap();
    let locks_elsewhere = place.path("locks-elsewhere");
    fs::create_dir(&locks_elsewhere).unwrap();
    symlink(&target, locks_elsewhere.join("lock")).unwrap();
    assert!(matches!(place.claim("locks-elsewhere"), Err(RunDirError::Foreign(_))));

    // With a real lock, links in place of the other files are replaced, not written through.
    place.leave_stale("files-elsewhere");
    for name in [PID, INFO, NEW_INFO] {
        fs::remove_file(place.path("files-elsewhere").join(name)).ok();
        symlink(&target, place.path("files-elsewhere").join(name)).unwrap();
    }
    let dir = place.claim("files-elsewhere").unwrap();
    symlink(&target, dir.file(NEW_INFO)).unwrap();
    dir.publish(&info("files-elsewhere", &dir)).unwrap();
    assert!(fs::symlink_metadata(dir.file(INFO)).unwrap().is_file());
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

#[test]
fn what_stands_in_place_of_files_neither_blocks_nor_breaks_a_look() {
    let place = Place::new();
    let dir = place.claim("web").unwrap();
    for name in [INFO, PID] {
        fs::remove_file(dir.file(name)).ok();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.file(name),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
    }
    let vms = running_in(&place.location).unwrap();
    assert_eq!(vms.len(), 1);
    assert!(vms[0].pid.is_none() && vms[0].info.is_none());

    fs::remove_file(dir.file(INFO)).unwrap();
    fs::write(dir.file(INFO), vec![b' '; 1 << 20]).unwrap();
    assert!(running_in(&place.location).unwrap()[0].info.is_none(), "absurdly long");
    fs::write(dir.file(INFO), "{\"name\":").unwrap();
    assert!(running_in(&place.location).unwrap()[0].info.is_none(), "cut");
}

#[test]
fn a_run_directory_others_can_write_to_or_reach_by_a_link_is_refused() {
    let place = Place::new();
    fs::create_dir(&place.location.path).unwrap();
    fs::set_permissions(&place.location.path, fs::Permissions::from_mode(0o777)).unwrap();
    let message = place.claim("web").unwrap_err().to_string();
    assert!(
        message.contains("mode 0777") && message.contains("chmod 755"),
        "{message}"
    );
    assert!(matches!(running_in(&place.location), Err(RunDirError::Mode { .. })));

    fs::set_permissions(&place.location.path, fs::Permissions::from_mode(0o755)).unwrap();
    let shared = Location {
        kind: Kind::Shared,
        ..place.location.clone()
    };
    assert!(
        matches!(
            RunDir::claim_in(&shared, "web", false),
            Err(RunDirError::Mode { needed: 0o700, .. })
        ),
        "below /tmp nobody else may even look"
    );
    drop(place.claim("web").unwrap());

    let link = Location {
        path: place.folder.path().join("link"),
        kind: Kind::Private,
    };
    symlink(&place.location.path, &link.path).unwrap();
    assert!(matches!(
        RunDir::claim_in(&link, "web", false),
        Err(RunDirError::NotADirectory(_))
    ));
    let named = Location {
        kind: Kind::Named,
        ..link
    };
    RunDir::claim_in(&named, "web", false).unwrap();
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    // Only root can make one; everybody can look at the root directory, which is root's.
    let place = Place::new();
    fs::create_dir(&place.location.path).unwrap();
    if fs::metadata(&place.location.path).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&place.location.path, Some(65_534), None).unwrap();
        let message = place.claim("web").unwrap_err().to_string();
        assert!(message.contains("belongs to user 65534"), "{message}");
    } else {
        let root = Location {
            path: "/".into(),
            kind: Kind::Private,
        };
        assert!(matches!(
            RunDir::claim_in(&root, "web", false),
            Err(RunDirError::Owner { owner: 0, .. })
        ));
    }
}

#[test]
fn a_path_too_long_for_a_socket_is_an_error_that_says_so() {
    let place = Place::new();
    let location = Location {
        path: place.folder.path().join("d".repeat(90)),
        kind: Kind::Private,
    };
    let message = RunDir::claim_in(&location, "web", false).unwrap_err().to_string();
    assert!(
        message.contains("at most 107") && message.contains("CARAWAY_RUN_DIR"),
        "{message}"
    );
    assert!(!location.path.join("web").exists(), "nothing is left behind");
}

#[test]
fn names_that_lead_elsewhere_are_no_names() {
    let place = Place::new();
    for name in ["", ".", "..", "a/b", ".hidden", "a b", "ü", &"n".repeat(65)] {
        assert!(matches!(place.claim(name), Err(RunDirError::Name(_))), "{name:?}");
        assert!(
            matches!(find_in(&place.location, name), Err(RunDirError::Name(_))),
            "{name:?}"
        );
    }
}

#[test]
fn the_environment_chooses_the_directory() {
    let choose = |variables: &[(&str, &str)], user: u32| {
        let set: Vec<_> = variables.to_vec();
        let found = Location::choose(
            |name| {
                set.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).into())
            },
            user,
        );
        (found.path.display().to_string(), found.kind)
    };
    let named = ("/srv/vms".to_owned(), Kind::Named);
    assert_eq!(
        choose(
            &[("CARAWAY_RUN_DIR", "/srv/vms"), ("XDG_RUNTIME_DIR", "/run/user/7")],
            7
        ),
        named
    );
    let session = ("/run/user/7/caraway".to_owned(), Kind::Private);
    assert_eq!(
        choose(&[("CARAWAY_RUN_DIR", ""), ("XDG_RUNTIME_DIR", "/run/user/7")], 7),
        session
    );
    assert_eq!(choose(&[], 0), ("/run/caraway".to_owned(), Kind::Private));
    assert_eq!(
        choose(&[("XDG_RUNTIME_DIR", "relative")], 7),
        ("/tmp/caraway-7".to_owned(), Kind::Shared)
    );
    let here = std::env::current_dir().unwrap().join("vms").display().to_string();
    assert_eq!(choose(&[("CARAWAY_RUN_DIR", "vms")], 7), (here, Kind::Named));
}

#[test]
fn of_many_that_start_at_once_each_gets_a_name_of_its_own() {
    let place = Place::new();
    place.leave_stale("demo");
    let location = &place.location;
    let taken: Vec<RunDir> = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            for _ in 0..200 {
                running_in(location).unwrap();
            }
        });
        let starting: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| RunDir::claim_in(location, "demo", true).unwrap()))
            .collect();
        let taken = starting.into_iter().map(|thread| thread.join().unwrap()).collect();
        looking.join().unwrap();
        taken
    });
    let mut names: Vec<_> = taken.iter().map(RunDir::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8, "{names:?}");
    assert_eq!(place.names().len(), 8);
    drop(taken);
    assert!(place.names().is_empty());
}
