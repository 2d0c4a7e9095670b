//! How loud the client has it, for the user's sound server: by the program that comes with it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::log::note;

/// How often a program that runs is looked at, and how long it may take.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);
/// Channels that are passed on; sound servers have no more.
const MOST_CHANNELS: usize = 32;
/// What the protocol, and PulseAudio, have for all.
const MOST: u32 = 65535;
const PULSE_MOST: u32 = 65536;

/// A program that sets volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of PulseAudio, and of PipeWire in its place: each channel.
    Pactl,
    /// Of `PipeWire`: all channels at once.
    Wpctl,
}

/// What is set: of what is played or of what is recorded, the volume or whether it is mute.
type What = (bool, &'static str);

/// The sound server's side.
#[derive(Debug)]
pub(super) struct Volume {
    program: Option<(Kind, PathBuf)>,
    /// Later wishes take the place of earlier ones.
    waiting: BTreeMap<What, Vec<String>>,
    running: Option<(Child, Instant)>,
}

impl Volume {
    /// With the programs that the environment has.
    pub(super) fn new() -> Self {
        Self::among(&env::var_os("PATH").unwrap_or_default())
    }

    fn among(path: &OsStr) -> Self {
        let find = |name: &str| {
            env::split_paths(path)
                .map(|folder| folder.join(name))
                .find(|file| is_program(file))
        };
        let pactl = find("pactl").map(|program| (Kind::Pactl, program));
        Self {
            program: pactl.or_else(|| find("wpctl").map(|program| (Kind::Wpctl, program))),
            waiting: BTreeMap::new(),
            running: None,
        }
    }

    /// Whether there is a sound server to tell.
    pub(super) const fn is_there(&self) -> bool {
        self.program.is_some()
    }

    /// What the client has.
    pub(super) fn set(&mut self, is_playback: bool, is_mute: bool, volumes: &[u16]) {
        let Some((kind, _)) = &self.program else {
            return;
        };
        for (what, arguments) in commands(*kind, is_playback, is_mute, volumes) {
            self.waiting.insert((is_playback, what), arguments);
        }
        self.go_on();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.is_some().then(|| Instant::now() + LOOK)
    }

    /// One after the other.
    pub(super) fn go_on(&mut self) {
        if let Some((child, since)) = &mut self.running {
            match child.try_wait() {
                Ok(None) if since.elapsed() < PATIENCE => return,
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    note("the volume is not set: the sound server takes too long");
                }
                Ok(Some(status)) if !status.success() => note(&format!("the volume is not set: {status}")),
                Ok(Some(_)) | Err(_) => {}
            }
            self.running = None;
        }
        let (Some((_, program)), Some((_, arguments))) = (&self.program, self.waiting.pop_first()) else {
            return;
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.running = Some((child, Instant::now())),
            Err(error) => note(&format!("{}: {error}", program.display())),
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The arguments for a program, which no shell sees.
fn commands(kind: Kind, is_playback: bool, is_mute: bool, volumes: &[u16]) -> Vec<(&'static str, Vec<String>)> {
    let volumes = volumes.get(..MOST_CHANNELS).unwrap_or(volumes);
    let most = volumes.iter().copied().max().map(u32::from);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mute = if is_mute { "1" } else { "0" };
    match kind {
        Kind::Pactl => {
            let (volume, set_mute, device) = if is_playback {
                ("set-sink-volume", "set-sink-mute", "@DEFAULT_SINK@")
            } else {
                ("set-source-volume", "set-source-mute", "@DEFAULT_SOURCE@")
            };
            // One for all fits devices with any number of channels.
            let is_even = volumes.iter().all(|other| Some(u32::from(*other)) == most);
            let count = if is_even { 1 } else { volumes.len() };
            let scaled = volumes
                .iter()
                .take(count)
                .map(|volume| u32::from(*volume) * PULSE_MOST / MOST);
            let mut set = words(&[volume, device]);
            set.extend(scaled.map(|volume| volume.to_string()));
            let mut commands = vec![("mute", words(&[set_mute, device, mute]))];
            if !volumes.is_empty() {
                commands.push(("volume", set));
            }
            commands
        }
        Kind::Wpctl => {
            let device = if is_playback {
                "@DEFAULT_AUDIO_SINK@"
            } else {
                "@DEFAULT_AUDIO_SOURCE@"
            };
            let mut commands = vec![("mute", words(&["set-mute", device, mute]))];
            if let Some(most) = most {
                let share = format!("{:.3}", f64::from(most) / f64::from(MOST));
                commands.push(("volume", words(&["set-volume", device, &share])));
            }
            commands
        }
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn told(kind: Kind, is_playback: bool, is_mute: bool, volumes: &[u16]) -> Vec<String> {
        let commands = commands(kind, is_playback, is_mute, volumes);
        commands.into_iter().map(|(_, arguments)| arguments.join(" ")).collect()
    }

    #[test]
    fn each_program_is_told_in_its_way() {
        let set = [
            "set-sink-mute @DEFAULT_SINK@ 0",
            "set-sink-volume @DEFAULT_SINK@ 65536 32768",
        ];
        assert_eq!(told(Kind::Pactl, true, false, &[65535, 32768]), set);
        let set = [
            "set-source-mute @DEFAULT_SOURCE@ 1",
            "set-source-volume @DEFAULT_SOURCE@ 0",
        ];
        assert_eq!(told(Kind::Pactl, false, true, &[0, 0]), set);
        let set = [
            "set-mute @DEFAULT_AUDIO_SINK@ 0",
            "set-volume @DEFAULT_AUDIO_SINK@ 0.500",
        ];
        assert_eq!(told(Kind::Wpctl, true, false, &[100, 32768]), set);
        assert_eq!(
            told(Kind::Wpctl, false, true, &[]),
            ["set-mute @DEFAULT_AUDIO_SOURCE@ 1"]
        );
        assert_eq!(
            told(Kind::Pactl, true, false, &[7; 255])[1],
            "set-sink-volume @DEFAULT_SINK@ 7"
        );
    }

    #[test]
    fn the_last_wish_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Volume::among(folder.path().as_os_str()).is_there());
        let program = folder.path().join("pactl");
        let log = folder.path().join("log");
        fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\n", log.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut volume = Volume::among(folder.path().as_os_str());
        for level in 0..1000 {
            volume.set(true, false, &[level]);
        }
        let start = Instant::now();
        while volume.running.is_some() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
            volume.go_on();
        }
        let text = fs::read_to_string(log).unwrap();
        assert_eq!(text.lines().last(), Some("set-sink-volume @DEFAULT_SINK@ 999"));
        assert!(text.lines().count() < 1000, "{text}");
    }
}
