//! A thread that serves the queues of one device.

use std::{
    fmt::Debug,
    io,
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
};

use crate::{Activation, Chain, DeviceMemory, Interrupt, MemoryAccess, QueueError, VirtQueue};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// It is done; so many bytes at the start of the writable buffers were written.
    Done { written: u32 },
    /// It cannot be finished now: the gate to memory was closed, or the device is to stop. It will be given again.
    NotNow,
}

/// Whether a device is to stop; long requests look from time to time.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, stop: bool) {
        self.0.store(stop, Ordering::Release);
    }
}

/// What a device does with its queues, when it does more than to serve each request by itself.
pub(crate) trait Service: Send + 'static {
    /// The driver is ready; these features were negotiated.
    fn begin(&mut self, features: u64);

    /// Called at first with all queues, then whenever something has woken the thread: a kick, [`Worker::waker`] or the
    /// deadline. `ready` has the positions of the queues that were kicked.
    fn serve(&mut self, queues: &mut [VirtQueue], ready: &[usize], around: &Around<'_>) -> Result<(), QueueError>;

    /// When it is to be called though nothing else wakes the thread.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// What a device does with a request.
pub(crate) trait Handler: Send + 'static {
    /// The driver is ready; these features were negotiated.
    fn start(&mut self, features: u64);

    /// Serves one request. May be called again for a request it has already worked on.
    fn handle(&mut self, chain: &Chain, memory: &DeviceMemory, stop: &StopFlag) -> Result<Handled, QueueError>;
}

impl<H: Handler> Service for H {
    fn begin(&mut self, features: u64) {
        self.start(features);
    }

    fn serve(&mut self, queues: &mut [VirtQueue], ready: &[usize], around: &Around<'_>) -> Result<(), QueueError> {
        for position in ready {
            let Some(queue) = queues.get_mut(*position) else {
                continue;
            };
            serve_queue(queue, around, |chain| {
                let handled = self.handle(chain, around.memory, around.stop)?;
                Ok(match (handled, around.memory.access()) {
                    (Handled::Done { written }, Some(access)) => Step::Done(access, written),
                    _ => Step::Wait,
                })
            })?;
        }
        Ok(())
    }
}

/// What a device works with besides its queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) memory: &'a DeviceMemory,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) stop: &'a StopFlag,
}

/// What became of a chain at the head of a queue.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// It is done, and given back to the driver before the gate to memory can close; so many bytes were written.
    Done(MemoryAccess<'a>, u32),
    /// It is put back. What it waits for wakes the thread.
    Wait,
    /// It is put back until the other queues had their turn.
    Again,
}

/// Controls the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    /// `None` only while dropping.
    start: Option<Sender<Activation>>,
    stopped: Receiver<Vec<VirtQueue>>,
    stop: StopFlag,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which waits for an activation.
    pub(crate) fn spawn(name: String, service: impl Service) -> io::Result<Self> {
        let (start, activations) = mpsc::channel();
        let (give_back, stopped) = mpsc::channel();
        let wake = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        let stop = StopFlag::default();
        let mut body = Body {
            service,
            stop: stop.clone(),
            wake: Arc::clone(&wake),
            warned: false,
        };
        let thread = thread::Builder::new().name(name).spawn(move || {
            while let Ok(activation) = activations.recv() {
                if give_back.send(body.serve(activation)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            start: Some(start),
            stopped,
            stop,
            wake,
            thread: Some(thread),
        })
    }

    /// Has the service called.
    pub(crate) fn waker(&self) -> Arc<EventFd> {
        Arc::clone(&self.wake)
    }

    pub(crate) fn activate(&self, activation: Activation) {
        self.stop.set(false);
        let interrupt = Arc::clone(&activation.interrupt);
        if self.start.as_ref().is_none_or(|start| start.send(activation).is_err()) {
            interrupt.needs_reset();
        }
    }

    pub(crate) fn deactivate(&self) {
        self.stop.set(true);
        // A full counter wakes as well.
        let _ = self.wake.write(1);
    }

    pub(crate) fn reclaim(&self, patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
        let Some(patience) = patience else {
            return Some(self.stopped.recv().unwrap_or_default());
        };
        match self.stopped.recv_timeout(patience) {
            Ok(queues) => Some(queues),
            Err(RecvTimeoutError::Timeout) => None,
            // The thread is gone and its queues with it; nothing of it touches memory any more.
            Err(RecvTimeoutError::Disconnected) => Some(Vec::new()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.start = None;
        self.deactivate();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The wake event in the epoll set; queues have their position.
const WAKE: u64 = u64::MAX;

struct Body<S> {
    service: S,
    stop: StopFlag,
    wake: Arc<EventFd>,
    warned: bool,
}

impl<S: Service> Body<S> {
    /// Serves until told to stop; the queues.
    fn serve(&mut self, activation: Activation) -> Vec<VirtQueue> {
        let Activation {
            mut queues,
            memory,
            interrupt,
            features,
        } = activation;
        self.service.begin(features);
        let epoll = match self.watch(&queues) {
            Ok(epoll) => epoll,
            Err(error) => {
                tracing::error!(%error, "cannot wait for the queues of a virtio device");
                interrupt.needs_reset();
                return queues;
            }
        };
        let stop = self.stop.clone();
        let around = Around {
            memory: &memory,
            interrupt: &interrupt,
            stop: &stop,
        };
        let mut broken = false;
        let mut ready: Vec<usize> = (0..queues.len()).collect();
        let mut events = vec![EpollEvent::default(); queues.len() + 1];
        while !stop.is_set() {
            if !broken && let Err(error) = self.service.serve(&mut queues, &ready, &around) {
                broken = true;
                self.report(&error);
                interrupt.needs_reset();
            }
            ready.clear();
            let deadline = self.service.deadline().filter(|_| !broken);
            let count = match epoll.wait(deadline.map_or(-1, milliseconds_until), &mut events) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "cannot wait for the queues of a virtio device");
                    interrupt.needs_reset();
                    break;
                }
            };
            for event in events.iter().take(count) {
                let position = usize::try_from(event.data()).unwrap_or(usize::MAX);
                let event = queues.get(position).map_or(&self.wake, VirtQueue::kick);
                let _ = event.read();
                ready.push(position);
            }
        }
        // A wake that came too late for the wait must not end the next activation's first one; the flag is what counts.
        let _ = self.wake.read();
        queues
    }

    fn watch(&self, queues: &[VirtQueue]) -> io::Result<Epoll> {
        let epoll = Epoll::new()?;
        let kicks = (0..).zip(queues.iter().map(VirtQueue::kick));
        for (data, event) in kicks.chain([(WAKE, &self.wake)]) {
            epoll.ctl(
                ControlOperation::Add,
                event.as_raw_fd(),
                EpollEvent::new(EventSet::IN, data),
            )?;
        }
        Ok(epoll)
    }

    /// Once aloud: a guest could do it forever.
    fn report(&mut self, error: &QueueError) {
        if self.warned {
            tracing::debug!(%error, "virtio device needs a reset");
        } else {
            self.warned = true;
            tracing::warn!(%error, "virtio device needs a reset");
        }
    }
}

/// The time that is left, as epoll takes it; not less, or the wait would be begun again for nothing.
fn milliseconds_until(deadline: Instant) -> i32 {
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Serves what is in a queue, at most its size in chains: then the others get their turn.
pub(crate) fn serve_queue<'a>(
    queue: &mut VirtQueue,
    around: &Around<'a>,
    mut step: impl FnMut(&Chain) -> Result<Step<'a>, QueueError>,
) -> Result<(), QueueError> {
    let &Around {
        memory,
        interrupt,
        stop,
    } = around;
    let mut budget = queue.size();
    // A driver that keeps changing its mind about what is available goes round here without a request.
    for _ in 0..queue.size() {
        if stop.is_set() {
            return Ok(());
        }
        let Some(access) = memory.access() else {
            return Ok(());
        };
        queue.ask_for_kicks(&access, false)?;
        drop(access);
        while let Some(next) = memory.access().map(|access| queue.pop(&access)) {
            let Some(chain) = next? else {
                break;
            };
            let (access, written) = match step(&chain)? {
                Step::Done(access, written) => (access, written),
                Step::Wait => {
                    queue.put_back();
                    return Ok(());
                }
                Step::Again => {
                    queue.put_back();
                    return come_back(queue);
                }
            };
            queue.complete(&access, &chain, written)?;
            let wanted = queue.wants_interrupt(&access)?;
            drop(access);
            if wanted {
                interrupt.used(queue.index());
            }
            if stop.is_set() {
                return Ok(());
            }
            budget = budget.saturating_sub(1);
            if budget == 0 {
                return come_back(queue);
            }
        }
        let Some(access) = memory.access() else {
            return Ok(());
        };
        if !queue.ask_for_kicks(&access, true)? {
            return Ok(());
        }
    }
    come_back(queue)
}

/// Has the queue served again after the others.
pub(crate) fn come_back(queue: &VirtQueue) -> Result<(), QueueError> {
    // A full counter wakes as well.
    let _ = queue.kick().write(1);
    Ok(())
}
