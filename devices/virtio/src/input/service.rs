//! Serves the two queues: events for the driver, and what the driver says, which is nothing a tablet needs.

use std::sync::Arc;

use caraway_base::memory::GuestRam;

use super::{EVENT_BYTES, EVENT_QUEUE, tablet::Tablet};
use crate::{
    Chain, QueueError, VirtQueue,
    worker::{Around, Service, Step, come_back, serve_queue},
};

/// Serves the queues on the device's thread.
#[derive(Debug)]
pub(super) struct Serving {
    tablet: Arc<Tablet>,
}

impl Serving {
    pub(super) fn new(tablet: Arc<Tablet>) -> Self {
        Self { tablet }
    }
}

impl Service for Serving {
    fn begin(&mut self, _features: u64) {}

    /// Both are looked at whatever woke the thread.
    fn serve(&mut self, queues: &mut [VirtQueue], _ready: &[usize], around: &Around<'_>) -> Result<(), QueueError> {
        let mut queues = queues.iter_mut();
        let served = queues.try_for_each(|queue| {
            if queue.index() == EVENT_QUEUE {
                tell(&self.tablet, queue, around)
            } else {
                // Lights, which a tablet has none of.
                serve_queue(queue, around, |_| {
                    Ok(around
                        .memory
                        .access()
                        .map_or(Step::Wait, |access| Step::Done(access, 0)))
                })
            }
        });
        if served.is_err() {
            // Nothing will be served any more until a reset: whoever points is to know that it leads nowhere.
            self.tablet.set_present(false);
        }
        served
    }
}

/// Tells the driver what waits, report by report, as long as each fits.
fn tell(tablet: &Tablet, queue: &mut VirtQueue, around: &Around<'_>) -> Result<(), QueueError> {
    for _ in 0..queue.size() {
        if around.stop.is_set() {
            return Ok(());
        }
        let Some(access) = around.memory.access() else {
            return Ok(());
        };
        let mut inner = tablet.lock();
        let Some(events) = inner.reports.first() else {
            queue.ask_for_kicks(&access, false)?;
            return Ok(());
        };
        let Some(chains) = take(queue, &access, events.len())? else {
            return Ok(());
        };
        for (chain, event) in chains.iter().zip(&events) {
            chain.writable.write(&access, 0, event)?;
            queue.complete(&access, chain, EVENT_BYTES as u32)?;
        }
        inner.reports.first_is_told();
        drop(inner);
        let wanted = queue.wants_interrupt(&access)?;
        drop(access);
        if wanted {
            around.interrupt.used(queue.index());
        }
    }
    come_back(queue)
}

/// Takes so many buffers, or none: then the driver is asked to tell of more.
fn take(queue: &mut VirtQueue, ram: &GuestRam, count: usize) -> Result<Option<Vec<Chain>>, QueueError> {
    let mut chains = Vec::with_capacity(count);
    // A driver that keeps changing its mind about what is available goes round here.
    for _ in 0..queue.size() {
        while chains.len() < count {
            let Some(chain) = queue.pop(ram)? else {
                break;
            };
            if chain.writable.length() < EVENT_BYTES as u64 {
                return Err(QueueError::Short {
                    what: "an input event",
                    length: chain.writable.length(),
                });
            }
            chains.push(chain);
        }
        if chains.len() == count {
            return Ok(Some(chains));
        }
        // Asked while those that are there are taken, or a driver with event indices would not tell of the ones behind.
        if !queue.ask_for_kicks(ram, true)? {
            break;
        }
    }
    for _ in chains {
        queue.put_back();
    }
    Ok(None)
}
