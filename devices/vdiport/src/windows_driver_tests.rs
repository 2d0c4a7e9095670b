//! What the Windows driver does (VDIPort 8), step by step.

use crate::testing::{
    CONNECTION, CONS, GENERATION, INPUT, INT_MASK, INT_PENDING, NOTIFY, NOTIFY_ON_CONS, NOTIFY_ON_PROD, OUTPUT, PROD,
    Rig, UPDATE_IRQ,
};

/// The generation was another one: once for each change.
#[derive(Debug, PartialEq, Eq)]
struct ConnectionInvalid;

/// The driver, with a file opened on it.
struct Driver<'a> {
    rig: &'a Rig,
    generation: u32,
    /// Read of the packet at the head of the output ring.
    offset: usize,
    events: usize,
}

impl<'a> Driver<'a> {
    fn open(rig: &'a Rig) -> Self {
        let driver = Self {
            rig,
            generation: rig.inl(CONNECTION),
            offset: 0,
            events: 0,
        };
        let mut notify = false;
        while driver
            .head()
            .is_some_and(|(generation, _)| (generation.wrapping_sub(driver.generation) as i32) < 0)
        {
            notify |= driver.consume();
        }
        driver.notify(notify);
        driver
    }

    /// The ioctl that hands an event over.
    fn set_event(&self) {
        self.rig.store(INT_MASK, u32::MAX);
        self.rig.outl(UPDATE_IRQ, 0);
    }

    fn close(self) {
        self.rig.store(INT_MASK, 0);
        self.rig.outl(UPDATE_IRQ, 0);
        self.rig.outl(CONNECTION, 0);
    }

    fn notify(&self, notify: bool) {
        if notify {
            self.rig.outl(NOTIFY, 0);
        }
    }

    fn head(&self) -> Option<(u32, Vec<u8>)> {
        let cons = self.rig.load(OUTPUT + CONS);
        if cons == self.rig.load(OUTPUT + PROD) {
            return None;
        }
        let at = OUTPUT + 0x14 + 512 * u64::from(cons % 32);
        let data = self
            .rig
            .memory()
            .read_vec(at + 8, self.rig.load(at + 4).into())
            .unwrap();
        Some((self.rig.load(at), data))
    }

    fn consume(&self) -> bool {
        let cons = self.rig.load(OUTPUT + CONS).wrapping_add(1);
        self.rig.store(OUTPUT + CONS, cons);
        self.rig.load(OUTPUT + NOTIFY_ON_CONS) == cons
    }

    fn check(&mut self) -> Result<(), ConnectionInvalid> {
        let generation = self.rig.load(GENERATION);
        if generation == self.generation {
            return Ok(());
        }
        self.generation = generation;
        self.offset = 0;
        // What is left of before is skipped by the next read.
        while self.head().is_some_and(|(packet, _)| packet != generation) {
            self.consume();
        }
        Err(ConnectionInvalid)
    }

    fn read(&mut self, most: usize) -> Result<Vec<u8>, ConnectionInvalid> {
        self.check()?;
        let (mut read, mut notify) = (Vec::new(), false);
        while read.len() < most {
            let Some((generation, data)) = self.head() else {
                let prod = self.rig.load(OUTPUT + PROD);
                self.rig.store(OUTPUT + NOTIFY_ON_PROD, prod.wrapping_add(1));
                if self.head().is_some() {
                    continue;
                }
                break;
            };
            assert_eq!(generation, self.generation, "an error of the device");
            let rest = &data[self.offset..];
            let count = rest.len().min(most - read.len());
            read.extend_from_slice(&rest[..count]);
            self.offset += count;
            if self.offset == data.len() {
                self.offset = 0;
                notify |= self.consume();
            }
        }
        self.notify(notify);
        Ok(read)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionInvalid> {
        self.check()?;
        let (mut written, mut notify) = (0, false);
        for data in bytes.chunks(504) {
            if self.rig.waiting(INPUT) == 32 {
                let cons = self.rig.load(INPUT + CONS);
                self.rig.store(INPUT + NOTIFY_ON_CONS, cons.wrapping_add(1));
                if self.rig.waiting(INPUT) == 32 {
                    break;
                }
            }
            notify |= self.rig.put(self.generation, data.len() as u32, data);
            written += data.len();
        }
        self.notify(notify);
        Ok(written)
    }

    /// The interrupt routine and what it queues: whether the interrupt was ours.
    fn interrupt(&mut self) -> bool {
        if self.rig.load(INT_PENDING) & self.rig.load(INT_MASK) == 0 {
            return false;
        }
        self.rig.store(INT_MASK, 0);
        self.rig.outl(UPDATE_IRQ, 0);
        assert!(!self.rig.level());
        self.rig.memory().swap_u32(INT_PENDING, 0).unwrap();
        self.events += 1;
        self.rig.store(INT_MASK, u32::MAX);
        self.rig.outl(UPDATE_IRQ, 0);
        assert!(!self.rig.level());
        true
    }
}

#[test]
fn the_driver_starts_on_what_it_asks_for() {
    use caraway_pci::function::{BarKind, PciFunction as _};
    let rig = Rig::new();
    assert_eq!(rig.device.identity().revision, 1);
    let [ports, memory] = &rig.device.bars()[..] else {
        panic!("exactly one range of ports and one of memory");
    };
    assert!(matches!(ports.kind, BarKind::Ports) && ports.size >= 12);
    assert!(matches!(memory.kind, BarKind::Memory { read_only: false, .. }) && memory.size >= 32952);
    assert!(rig.device.capabilities().is_empty());
    assert_eq!(rig.load(0), 0x5049_4456);
}

#[test]
fn nothing_interrupts_before_there_is_an_event_and_all_is_told_then() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    rig.say(b"early");
    assert!(!rig.level() && !driver.interrupt());
    driver.set_event();
    assert!(rig.level() && driver.interrupt());
    assert_eq!(driver.read(100), Ok(b"early".to_vec()));
    assert!(!driver.interrupt(), "of the line's other devices");
    driver.close();
    assert_eq!((rig.load(INT_MASK), rig.host.connection().is_open), (0, false));
}

#[test]
fn reads_are_partial_and_an_empty_one_waits_for_the_interrupt() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    driver.set_event();
    assert_eq!(driver.read(10), Ok(Vec::new()));
    rig.say(b"0123456789abcdef");
    assert!(driver.interrupt());
    assert_eq!(driver.read(10), Ok(b"0123456789".to_vec()));
    assert_eq!(driver.read(10), Ok(b"abcdef".to_vec()));
    rig.say(b"x");
    assert!(driver.interrupt());
    // Nobody has waited since.
    rig.say(b"y");
    assert!(!driver.interrupt());
    assert_eq!((driver.read(10), driver.events), (Ok(b"xy".to_vec()), 2));
}

#[test]
fn much_goes_both_ways_by_interrupts_alone() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    driver.set_event();
    let much: Vec<u8> = (0..300_000_u32).map(|index| (index % 253) as u8).collect();
    let (mut said, mut read, mut written, mut heard) = (0, Vec::new(), 0, Vec::new());
    while read.len() < much.len() || heard.len() < much.len() {
        let before = (said, read.len(), written, heard.len());
        said += rig.say(&much[said..]);
        written += driver.write(&much[written..]).unwrap();
        read.extend(driver.read(3000).unwrap());
        if heard.len() < written {
            let mut some = [0; 7000];
            let count = rig.host.read(1, &mut some);
            rig.settle();
            heard.extend_from_slice(&some[..count]);
        }
        driver.interrupt();
        assert_ne!(before, (said, read.len(), written, heard.len()), "both wait");
    }
    assert!(read == much && heard == much);
    assert!(driver.events > 0);
}

#[test]
fn a_full_ring_is_written_to_again_after_the_interrupt() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    driver.set_event();
    let much = vec![5; 200_000];
    let mut written = 0;
    loop {
        let count = driver.write(&much[written..]).unwrap();
        written += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(rig.waiting(INPUT), 32);
    driver.interrupt();
    assert_eq!(driver.write(&much[written..]), Ok(0));
    assert!(!rig.level(), "the host has no room");
    let mut some = [0; 600];
    assert_eq!(rig.host.read(1, &mut some), 600);
    rig.settle();
    assert!(driver.interrupt(), "there is room now");
    assert!(driver.write(&much[written..]).unwrap() > 0);
}

#[test]
fn a_changed_generation_is_an_error_once_and_is_adopted() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    driver.set_event();
    rig.say(b"old and partly read");
    assert!(driver.interrupt());
    assert_eq!(driver.read(3), Ok(b"old".to_vec()));
    rig.hang_up();
    rig.say(b"new");
    assert!(driver.interrupt());
    assert_eq!(driver.write(b"lost"), Err(ConnectionInvalid));
    assert_eq!(driver.write(b"sent"), Ok(4));
    assert_eq!(driver.read(10), Ok(b"new".to_vec()));
    assert_eq!(rig.heard(), b"sent");
}

#[test]
fn opening_skips_what_is_left_and_notifies_of_a_mark_it_crosses() {
    let rig = Rig::new();
    let mut driver = Driver::open(&rig);
    driver.set_event();
    rig.say(&vec![1; 33 * 504]);
    driver.interrupt();
    assert_eq!((rig.waiting(OUTPUT), rig.load(OUTPUT + NOTIFY_ON_CONS)), (32, 1));
    driver.close();
    let mut driver = Driver::open(&rig);
    assert_eq!((driver.generation, rig.waiting(OUTPUT)), (2, 0));
    assert_eq!(rig.say(b"fresh"), 5);
    assert_eq!(driver.read(10), Ok(b"fresh".to_vec()));
}

#[test]
fn a_driver_that_finds_the_port_taken_adopts_the_generation_there_is() {
    let (host, device) = caraway_ports::port::port();
    let twin = device.twin();
    let rig = Rig::with(crate::VdiPort::new(device).unwrap(), host);
    Driver::open(&rig).close();
    assert!(twin.open());
    let mut driver = Driver::open(&rig);
    assert_eq!(driver.generation, 0, "it does not look at it");
    assert_eq!(driver.read(1), Err(ConnectionInvalid));
    assert_eq!((driver.generation, driver.read(1)), (1, Ok(Vec::new())));
    assert_eq!(driver.write(b"nowhere"), Ok(7));
    let mut nothing = [0; 10];
    assert_eq!(
        rig.host.read(2, &mut nothing),
        0,
        "the other device's stream stays its own"
    );
}
