//! The `devices` thread: one epoll loop for everything that is neither a vCPU nor has a thread of its own.

use std::{
    io,
    os::fd::AsRawFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, ThreadId},
    time::Duration,
};

use event_manager::{
    EventManager, EventOps, EventSet, Events, MutEventSubscriber, RemoteEndpoint, SubscriberId, SubscriberOps,
};

/// How long the loop may take to come to a rest: longer than any handler should run.
const PARK_LIMIT: Duration = Duration::from_secs(10);

/// Whether a handler wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Yes.
    Keep,
    /// No: the descriptor is taken out of the loop and dropped.
    Remove,
}

/// Called on the `devices` thread with what happened at its descriptor. Events are level-triggered: what is not read is
/// reported again. Must not block.
pub type Handler = Box<dyn FnMut(EventSet) -> Next + Send>;

/// A descriptor the loop may watch.
pub trait Watchable: AsRawFd + Send + Sync {}
impl<T: AsRawFd + Send + Sync + ?Sized> Watchable for T {}

struct Watched {
    /// `None` once the handler has asked to be taken out.
    watching: Option<(Arc<dyn Watchable>, Handler)>,
    interest: EventSet,
    refused: Option<event_manager::Error>,
}

impl MutEventSubscriber for Watched {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let Some((fd, handler)) = &mut self.watching else {
            return;
        };
        if handler(events.event_set()) == Next::Remove {
            if let Err(error) = ops.remove(Events::empty_raw(fd.as_raw_fd())) {
                tracing::error!(%error, "descriptor not removed from the event loop");
            }
            self.watching = None;
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Some((fd, _)) = &self.watching {
            self.refused = ops.add(Events::new_raw(fd.as_raw_fd(), self.interest)).err();
        }
    }
}

/// Adds a subscriber, or says why its descriptor cannot be watched.
fn add(
    ops: &mut dyn SubscriberOps<Subscriber = Watched>,
    watched: Watched,
) -> Result<SubscriberId, event_manager::Error> {
    let id = ops.add_subscriber(watched);
    match ops.subscriber_mut(id)?.refused.take() {
        None => Ok(id),
        Some(error) => {
            ops.remove_subscriber(id)?;
            Err(error)
        }
    }
}

/// Handle to the loop; cloning is cheap.
#[derive(Clone)]
pub struct Devices {
    endpoint: RemoteEndpoint<Watched>,
    thread: ThreadId,
    gate: Arc<Gate>,
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}

/// Takes a descriptor out of the loop again.
#[derive(Debug)]
pub struct Registration {
    devices: Devices,
    id: SubscriberId,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    waiting: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the loop's thread: rests here while the gate is closed.
    fn rest(&self) {
        let mut state = self.lock();
        state.waiting = state.closed;
        self.changed.notify_all();
        while state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting = false;
    }
}

impl Devices {
    /// Watches a descriptor. Returns when it is watched; called on the loop's own thread, soon afterwards.
    ///
    /// # Errors
    /// When the loop has ended or the descriptor cannot be watched (a regular file, or one that is watched already).
    pub fn register(
        &self,
        fd: Arc<dyn Watchable>,
        interest: EventSet,
        handler: Handler,
    ) -> io::Result<Option<Registration>> {
        let watched = Watched {
            watching: Some((fd, handler)),
            interest,
            refused: None,
        };
        if std::thread::current().id() == self.thread {
            self.endpoint
                .fire(move |ops| {
                    if let Err(error) = add(ops, watched) {
                        tracing::error!(%error, "descriptor cannot be watched");
                    }
                })
                .map_err(io::Error::other)?;
            return Ok(None);
        }
        let id = self
            .endpoint
            .call_blocking(move |ops| add(ops, watched))
            .map_err(io::Error::other)?;
        Ok(Some(Registration {
            devices: self.clone(),
            id,
        }))
    }

    /// Holds the loop still, between two handlers. For the state driver.
    pub(crate) fn park(&self) -> io::Result<()> {
        self.gate.lock().closed = true;
        let gate = Arc::clone(&self.gate);
        self.endpoint.fire(move |_| gate.rest()).map_err(io::Error::other)?;
        let (state, timeout) = self
            .gate
            .changed
            .wait_timeout_while(self.gate.lock(), PARK_LIMIT, |state| !state.waiting)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        if timeout.timed_out() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the devices thread did not rest within {} s", PARK_LIMIT.as_secs()),
            ));
        }
        Ok(())
    }

    /// Lets the loop go on.
    pub(crate) fn resume(&self) {
        self.gate.lock().closed = false;
        self.gate.changed.notify_all();
    }
}

impl Registration {
    /// Stops watching; the handler is dropped, and does not run any more once this has returned. Not from a handler: those
    /// return [`Next::Remove`].
    ///
    /// # Errors
    /// When the loop has ended.
    pub fn remove(self) -> io::Result<()> {
        let id = self.id;
        self.devices
            .endpoint
            .call_blocking(move |ops| -> Result<(), event_manager::Error> { ops.remove_subscriber(id).map(drop) })
            .map_err(io::Error::other)
    }
}

/// The thread itself; ends it when dropped.
#[derive(Debug)]
pub(crate) struct DevicesThread {
    handle: Devices,
    stop: Arc<AtomicBool>,
    join: Option<JoinHandle<()>>,
}

impl DevicesThread {
    pub(crate) fn start() -> io::Result<Self> {
        let mut manager = EventManager::<Watched>::new().map_err(io::Error::other)?;
        let endpoint = manager.remote_endpoint();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let join = std::thread::Builder::new().name("devices".into()).spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                if let Err(error) = manager.run() {
                    // Only a descriptor of the loop itself can fail here; without it nothing can go on.
                    tracing::error!(%error, "event loop ended");
                    return;
                }
            }
        })?;
        let handle = Devices {
            endpoint,
            thread: join.thread().id(),
            gate: Arc::new(Gate::default()),
        };
        Ok(Self {
            handle,
            stop,
            join: Some(join),
        })
    }

    pub(crate) fn handle(&self) -> &Devices {
        &self.handle
    }
}

impl Drop for DevicesThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.handle.resume();
        // Wakes the loop; if it has ended already there is nobody to wake.
        self.handle.endpoint.fire(|_| ()).ok();
        if let Some(join) = self.join.take() {
            join.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn event() -> Arc<EventFd> {
        Arc::new(EventFd::new(EFD_NONBLOCK).unwrap())
    }

    fn counting(event: &Arc<EventFd>, sender: mpsc::Sender<u64>) -> Handler {
        let event = event.clone();
        Box::new(move |_| {
            sender.send(event.read().unwrap()).unwrap();
            Next::Keep
        })
    }

    #[test]
    fn handlers_run_for_their_events_until_removed() {
        let thread = DevicesThread::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let event = event();
        let registration = thread
            .handle()
            .register(event.clone(), EventSet::IN, counting(&event, sender))
            .unwrap()
            .unwrap();
        event.write(3).unwrap();
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 3);
        registration.remove().unwrap();
        assert!(
            receiver.recv_timeout(LIMIT).is_err(),
            "the handler was dropped with its sender"
        );
    }

    #[test]
    fn a_descriptor_that_cannot_be_watched_is_refused() {
        let thread = DevicesThread::start().unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        assert!(
            thread
                .handle()
                .register(file, EventSet::IN, Box::new(|_| Next::Keep))
                .is_err()
        );
    }

    #[test]
    fn nothing_runs_while_parked() {
        let thread = DevicesThread::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let event = event();
        thread
            .handle()
            .register(event.clone(), EventSet::IN, counting(&event, sender))
            .unwrap();
        for _ in 0..20 {
            thread.handle().park().unwrap();
            event.write(1).unwrap();
            assert!(receiver.try_recv().is_err());
            thread.handle().resume();
            assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 1);
        }
    }

    #[test]
    fn a_handler_can_register_another_and_leave() {
        let thread = DevicesThread::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let (first, second) = (event(), event());
        let devices = thread.handle().clone();
        let next = second.clone();
        thread
            .handle()
            .register(
                first.clone(),
                EventSet::IN,
                Box::new(move |_| {
                    devices
                        .register(next.clone(), EventSet::IN, counting(&next, sender.clone()))
                        .unwrap();
                    Next::Remove
                }),
            )
            .unwrap();
        first.write(1).unwrap();
        second.write(7).unwrap();
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 7);
    }
}
