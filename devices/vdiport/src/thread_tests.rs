//! A device with everybody on a thread of their own: a guest that sleeps until it is interrupted, a host that sleeps until
//! it is woken, and whoever watches the device. What is told to nobody would leave one of them asleep.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use caraway_base::irq::IrqLine;
use caraway_pci::function::{PciFunction as _, PciInterrupts};
use caraway_ports::port::{HostPort, port};

use crate::{
    VdiPort,
    testing::{
        CONNECTION, CONS, GENERATION, INPUT, INT_MASK, INT_PENDING, NOTIFY, NOTIFY_ON_CONS, NOTIFY_ON_PROD, OUTPUT,
        PROD, UPDATE_IRQ,
    },
};

/// Bytes each way: hundreds of times round the rings.
const BYTES: usize = 6 << 20;
/// Far longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Something to sleep on until it is rung.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self, who: &str) {
        let (mut rung, timeout) = self
            .changed
            .wait_timeout_while(self.rung.lock().unwrap(), LIMIT, |rung| !*rung)
            .unwrap();
        *rung = false;
        drop(rung);
        assert!(!timeout.timed_out(), "{who} was not told");
    }
}

/// A level-triggered line: rings while it is up.
#[derive(Debug, Default)]
struct Line {
    bell: Bell,
}

impl IrqLine for Line {
    fn set(&self, asserted: bool) {
        if asserted {
            self.bell.ring();
        }
    }
}

fn byte(index: usize) -> u8 {
    (index % 251) as u8
}

struct Guest {
    device: Arc<VdiPort>,
    line: Arc<Line>,
    generation: u32,
}

impl Guest {
    fn load(&self, offset: u64) -> u32 {
        self.device.memory().load_u32(offset).unwrap()
    }

    fn store(&self, offset: u64, value: u32) {
        self.device.memory().store_u32(offset, value).unwrap();
    }

    fn out(&self, offset: u64) {
        self.device.bar_write(0, offset, &[0; 4]);
    }

    fn sleep(&self) {
        self.line.bell.wait("the guest");
        self.device.memory().swap_u32(INT_PENDING, 0).unwrap();
        self.out(UPDATE_IRQ);
    }

    fn is_full(&self) -> bool {
        self.load(INPUT + PROD).wrapping_sub(self.load(INPUT + CONS)) == 32
    }

    fn is_empty(&self) -> bool {
        self.load(OUTPUT + PROD) == self.load(OUTPUT + CONS)
    }

    /// Puts a packet if there is room; if not, asks to be told.
    fn put(&self, data: &[u8]) -> bool {
        if self.is_full() {
            self.store(INPUT + NOTIFY_ON_CONS, self.load(INPUT + CONS).wrapping_add(1));
            if self.is_full() {
                return false;
            }
        }
        let prod = self.load(INPUT + PROD);
        let at = INPUT + 0x14 + 512 * u64::from(prod % 32);
        self.store(at, self.generation);
        self.store(at + 4, data.len() as u32);
        self.device.memory().write(at + 8, data).unwrap();
        let prod = prod.wrapping_add(1);
        self.store(INPUT + PROD, prod);
        if self.load(INPUT + NOTIFY_ON_PROD) == prod {
            self.out(NOTIFY);
        }
        true
    }

    /// Takes a packet if there is one; if not, asks to be told.
    fn take(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            self.store(OUTPUT + NOTIFY_ON_PROD, self.load(OUTPUT + PROD).wrapping_add(1));
            if self.is_empty() {
                return None;
            }
        }
        let cons = self.load(OUTPUT + CONS);
        let at = OUTPUT + 0x14 + 512 * u64::from(cons % 32);
        assert_eq!(self.load(at), self.generation);
        let data = self.device.memory().read_vec(at + 8, self.load(at + 4).into()).unwrap();
        let cons = cons.wrapping_add(1);
        self.store(OUTPUT + CONS, cons);
        if self.load(OUTPUT + NOTIFY_ON_CONS) == cons {
            self.out(NOTIFY);
        }
        Some(data)
    }

    fn run(&self) {
        let (mut sent, mut taken) = (0, 0);
        while sent < BYTES || taken < BYTES {
            let size = (sent * 31 % 505).max(1).min(BYTES - sent);
            let data: Vec<u8> = (sent..sent + size).map(byte).collect();
            let put = sent < BYTES && self.put(&data);
            sent += if put { size } else { 0 };
            let packet = self.take();
            for value in packet.iter().flatten() {
                assert_eq!(*value, byte(taken));
                taken += 1;
            }
            if !put && packet.is_none() {
                self.sleep();
            }
        }
        assert_eq!(self.load(GENERATION), self.generation);
    }
}

/// Says as much as it hears.
fn converse(host: &HostPort, bell: &Bell) {
    let number = host.connection().number;
    let (mut said, mut heard) = (0, 0);
    let mut bytes = vec![0; 3000];
    while said < BYTES || heard < BYTES {
        let count = host.read(number, &mut bytes);
        for value in &bytes[..count] {
            assert_eq!(*value, byte(heard));
            heard += 1;
        }
        let saying: Vec<u8> = (said..BYTES.min(said + 5000)).map(byte).collect();
        let written = host.write(number, &saying);
        said += written;
        if count == 0 && written == 0 {
            bell.wait("the host");
        }
    }
}

#[test]
fn nobody_is_left_asleep_while_megabytes_go_both_ways() {
    let (host, device) = port();
    let device = Arc::new(VdiPort::new(device).unwrap());
    let line = Arc::<Line>::default();
    device.plugged(PciInterrupts {
        intx: Some(line.clone()),
        msix: Vec::new(),
        msix_enabled: Arc::default(),
    });
    let bell = Arc::<Bell>::default();
    let ringing = Arc::clone(&bell);
    host.set_waker(Arc::new(move || ringing.ring()));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let wake = device.wake();
            while !done.load(Ordering::SeqCst) {
                await_readable(wake);
                device.attend();
            }
        });
        let mut connected = [0xff; 4];
        device.bar_read(0, CONNECTION, &mut connected);
        let guest = Guest {
            device: Arc::clone(&device),
            line,
            generation: u32::from_le_bytes(connected),
        };
        guest.store(INT_MASK, 1);
        guest.out(UPDATE_IRQ);
        let guest = scope.spawn(move || guest.run());
        let host = scope.spawn(|| converse(&host, &bell));
        let results = [guest.join(), host.join()];
        done.store(true, Ordering::SeqCst);
        device.wake().write(1).unwrap();
        watch.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
}

fn await_readable(event: &vmm_sys_util::eventfd::EventFd) {
    use std::os::fd::AsRawFd as _;

    use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

    let epoll = Epoll::new().unwrap();
    let readable = EpollEvent::new(EventSet::IN, 0);
    epoll.ctl(ControlOperation::Add, event.as_raw_fd(), readable).unwrap();
    epoll.wait(-1, &mut [EpollEvent::default()]).unwrap();
}
