//! Small hand-assembled guests on the real `/dev/kvm`, through the whole machine.

mod program;

mod board;
mod cpus;
mod devices;
mod endings;
mod interrupts;
mod moving;
mod pause;
mod snapshot;
mod tablet;
mod vdiport;

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use caraway_base::bus::{BusDevice, Outcome, store_value, value_of};

use self::program::Program;
use crate::{Command, Ending, Kernel, MachineBuilder, MachineHandle, MachineSpec};

/// Ten times what the slowest of these guests takes on the slowest host.
const LIMIT: Duration = Duration::from_secs(60);

/// Port of the device tests observe guests with.
const PROBE_PORT: u16 = 0x510;

/// Records what a guest writes; reads give what the test says.
#[derive(Default)]
struct Probe {
    writes: Mutex<Vec<(u64, usize, u64)>>,
    answer: Mutex<u64>,
    heard: Mutex<Option<mpsc::Sender<u64>>>,
}

impl Probe {
    /// A probe and the values the guest writes, as they come.
    fn listening() -> (Arc<Self>, mpsc::Receiver<u64>) {
        let (sender, receiver) = mpsc::channel();
        let probe = Self {
            heard: Mutex::new(Some(sender)),
            ..Self::default()
        };
        (Arc::new(probe), receiver)
    }

    fn values(&self) -> Vec<u64> {
        self.writes.lock().unwrap().iter().map(|(_, _, value)| *value).collect()
    }
}

impl BusDevice for Probe {
    fn read(&self, _: u64, data: &mut [u8]) {
        store_value(data, *self.answer.lock().unwrap());
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let value = value_of(data);
        self.writes.lock().unwrap().push((offset, data.len(), value));
        if let Some(sender) = &*self.heard.lock().unwrap() {
            sender.send(value).ok();
        }
        Outcome::Done
    }
}

fn spec(program: Program) -> MachineSpec {
    MachineSpec {
        debug_exit: true,
        ..MachineSpec::new(Kernel::Bytes(program.kernel()), 16 << 20)
    }
}

/// Builds a machine with a probe at [`PROBE_PORT`].
fn builder(spec: MachineSpec, probe: &Arc<Probe>) -> MachineBuilder {
    let mut builder = MachineBuilder::new(spec).unwrap();
    builder.add_ports("probe", PROBE_PORT, 8, probe.clone()).unwrap();
    builder
}

/// A machine on a thread of its own. A guest that does not end in time is ended, and fails its test.
struct Running {
    handle: MachineHandle,
    ending: mpsc::Receiver<Ending>,
}

impl Running {
    fn start(builder: MachineBuilder) -> Self {
        let machine = builder.build().unwrap();
        let handle = machine.handle();
        let (sender, ending) = mpsc::channel();
        std::thread::spawn(move || sender.send(machine.run()));
        Self { handle, ending }
    }

    fn quit(self) {
        self.handle.call(Command::Quit { flush: false }).unwrap();
        assert_eq!(self.ending(), Ending::Quit);
    }

    fn ending(self) -> Ending {
        match self.ending.recv_timeout(LIMIT) {
            Ok(ending) => ending,
            Err(_) => {
                self.handle.submit(Command::Quit { flush: false }, |_| ());
                panic!("the guest did not end within {LIMIT:?}");
            }
        }
    }
}

fn run(spec: MachineSpec) -> Ending {
    Running::start(MachineBuilder::new(spec).unwrap()).ending()
}

/// Runs a guest; how it ended and what it printed.
fn run_printing(mut spec: MachineSpec) -> (Ending, String) {
    let mut log = tempfile::tempfile().unwrap();
    spec.serial.log = Some(log.try_clone().unwrap());
    let ending = run(spec);
    (ending, contents(&mut log))
}

fn contents(log: &mut File) -> String {
    let mut text = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_guest_prints_on_serial_and_exits_with_its_code() {
    let mut program = Program::new();
    program.print("hello from ring 0\n");
    program.exit(5);
    let (ending, text) = run_printing(spec(program));
    assert_eq!(ending, Ending::Exit(5));
    assert_eq!(ending.exit_code(), 69);
    assert_eq!(text, "hello from ring 0\n");
}
