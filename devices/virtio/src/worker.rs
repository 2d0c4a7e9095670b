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
    time::Duration,
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
};

use crate::{Activation, Chain, DeviceMemory, QueueError, VirtQueue};

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

/// What a device does with a request.
pub(crate) trait Handler: Send + 'static {
    /// The driver is ready; these features were negotiated.
    fn start(&mut self, features: u64);

    /// Serves one request. May be called again for a request it has already worked on.
    fn handle(&mut self, chain: &Chain, memory: &DeviceMemory, stop: &StopFlag) -> Result<Handled, QueueError>;
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
    pub(crate) fn spawn(name: String, handler: impl Handler) -> io::Result<Self> {
        let (start, activations) = mpsc::channel();
        let (give_back, stopped) = mpsc::channel();
        let wake = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        let stop = StopFlag::default();
        let mut body = Body {
            handler,
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

struct Body<H> {
    handler: H,
    stop: StopFlag,
    wake: Arc<EventFd>,
    warned: bool,
}

impl<H: Handler> Body<H> {
    /// Serves until told to stop; the queues.
    fn serve(&mut self, activation: Activation) -> Vec<VirtQueue> {
        let Activation {
            mut queues,
            memory,
            interrupt,
            features,
        } = activation;
        self.handler.start(features);
        let epoll = match self.watch(&queues) {
            Ok(epoll) => epoll,
            Err(error) => {
                tracing::error!(%error, "cannot wait for the queues of a virtio device");
                interrupt.needs_reset();
                return queues;
            }
        };
        let mut broken = false;
        let mut ready: Vec<usize> = (0..queues.len()).collect();
        let mut events = vec![EpollEvent::default(); queues.len() + 1];
        while !self.stop.is_set() {
            for position in ready.drain(..) {
                let Some(queue) = queues.get_mut(position).filter(|_| !broken) else {
                    continue;
                };
                let served = serve_queue(queue, &mut self.handler, &memory, &self.stop, &|index| {
                    interrupt.used(index);
                });
                if let Err(error) = served {
                    broken = true;
                    self.report(&error);
                    interrupt.needs_reset();
                }
            }
            let count = match epoll.wait(-1, &mut events) {
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

/// Serves what is in a queue, at most its size in requests: then the others get their turn.
fn serve_queue(
    queue: &mut VirtQueue,
    handler: &mut impl Handler,
    memory: &DeviceMemory,
    stop: &StopFlag,
    used: &dyn Fn(u16),
) -> Result<(), QueueError> {
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
            let handled = handler.handle(&chain, memory, stop)?;
            let (Handled::Done { written }, Some(access)) = (handled, memory.access()) else {
                queue.put_back();
                return Ok(());
            };
            queue.complete(&access, &chain, written)?;
            let wanted = queue.wants_interrupt(&access)?;
            drop(access);
            if wanted {
                used(queue.index());
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
fn come_back(queue: &VirtQueue) -> Result<(), QueueError> {
    // A full counter wakes as well.
    let _ = queue.kick().write(1);
    Ok(())
}
