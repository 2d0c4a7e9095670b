//! The 16550 UART of COM1, around [`vm_superio::Serial`].
//!
//! The FIFO of the part holds 64 bytes; typed input waits in a bounded queue here and follows as the guest reads.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::IrqLine,
    lifecycle::Lifecycle,
    state::{Migratable, StateError},
};
use serde::{Deserialize, Serialize};
use vm_superio::{Serial, SerialState, Trigger, serial::NoEvents};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// First port of COM1.
pub const COM1_PORT: u16 = 0x3f8;
/// Ports.
pub const COM1_LENGTH: u16 = 8;
/// Interrupt of COM1.
pub const COM1_IRQ: u32 = 4;
/// Typed bytes that wait for the guest at most.
pub const INPUT_CAPACITY: usize = 64 * 1024;

const FIFO_SIZE: usize = 64;

/// Where the guest's output goes. Called on vCPU threads with the device locked: must not block nor call the UART.
pub trait SerialSink: Send + Sync {
    /// The guest sent these bytes.
    fn write(&self, bytes: &[u8]);
}

/// What the UART is connected to.
#[derive(Clone)]
pub struct UartArgs {
    /// Its interrupt.
    pub line: Arc<dyn IrqLine>,
    /// Its output.
    pub sink: Arc<dyn SerialSink>,
}

impl std::fmt::Debug for UartArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UartArgs")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// The part's interrupt is an edge: ISA interrupts are edge triggered and the part counts on it.
struct LineTrigger(Arc<dyn IrqLine>);

impl Trigger for LineTrigger {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.set(true);
        self.0.set(false);
        Ok(())
    }
}

struct SinkWriter(Arc<dyn SerialSink>);

impl Write for SinkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Part = Serial<LineTrigger, NoEvents, SinkWriter>;

struct Port {
    part: Part,
    /// Typed bytes that do not fit the FIFO yet.
    queue: VecDeque<u8>,
    /// Input was turned away; `room` is signalled when the queue is empty.
    refused: bool,
    /// Input waits in the queue: nothing may interrupt.
    paused: bool,
}

/// A UART. Offsets 0 to 7 from [`COM1_PORT`].
pub struct Uart {
    port: Mutex<Port>,
    args: UartArgs,
    room: EventFd,
}

impl std::fmt::Debug for Uart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uart").finish_non_exhaustive()
    }
}

impl Uart {
    /// A UART after power-on.
    ///
    /// # Errors
    /// When the host has no eventfd to give.
    pub fn new(args: UartArgs) -> io::Result<Self> {
        let part = Serial::new(LineTrigger(Arc::clone(&args.line)), SinkWriter(Arc::clone(&args.sink)));
        Self::with(part, VecDeque::new(), args, false)
    }

    fn with(part: Part, queue: VecDeque<u8>, args: UartArgs, paused: bool) -> io::Result<Self> {
        Ok(Self {
            port: Mutex::new(Port {
                part,
                queue,
                refused: false,
                paused,
            }),
            args,
            room: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?,
        })
    }

    /// Types bytes. Takes as many as there is room for and says how many; when that is less than given,
    /// [`Uart::room_event`] tells when to come again.
    pub fn input(&self, bytes: &[u8]) -> usize {
        let mut port = self.lock();
        let room = INPUT_CAPACITY - port.queue.len().min(INPUT_CAPACITY);
        let taken = bytes.len().min(room);
        port.queue.extend(bytes.iter().take(taken));
        port.refused = taken < bytes.len();
        self.refill(&mut port);
        taken
    }

    /// Written when the queue that turned bytes away has run empty.
    #[must_use]
    pub fn room_event(&self) -> &EventFd {
        &self.room
    }

    /// Typed bytes the guest has not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        let port = self.lock();
        port.queue.len() + FIFO_SIZE - port.part.fifo_capacity()
    }

    /// Moves typed bytes into the FIFO once the guest has emptied it. In loop-back mode the part takes none.
    fn refill(&self, port: &mut Port) {
        if port.paused {
            return;
        }
        if port.part.fifo_capacity() == FIFO_SIZE && !port.queue.is_empty() {
            let next: Vec<u8> = port.queue.iter().take(FIFO_SIZE).copied().collect();
            let taken = port.part.enqueue_raw_bytes(&next).unwrap_or(0);
            port.queue.drain(..taken.min(next.len()));
        }
        if port.refused && port.queue.is_empty() {
            // A full counter cannot be: nobody adds more than one at a time.
            port.refused = self.room.write(1).is_err();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Port> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BusDevice for Uart {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut port = self.lock();
        for (at, slot) in (offset..).zip(data) {
            if let Ok(at) = u8::try_from(at) {
                *slot = port.part.read(at);
                self.refill(&mut port);
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let mut port = self.lock();
        for (at, byte) in (offset..).zip(data) {
            if let Ok(at) = u8::try_from(at) {
                // The sink cannot fail and neither can the trigger.
                let _ = port.part.write(at, *byte);
                self.refill(&mut port);
            }
        }
        Outcome::Done
    }
}

impl Lifecycle for Uart {
    fn pause(&self) {
        self.lock().paused = true;
    }

    fn resume(&self) {
        let mut port = self.lock();
        port.paused = false;
        self.refill(&mut port);
    }

    fn reset(&self) {
        let mut port = self.lock();
        port.part = Serial::new(
            LineTrigger(Arc::clone(&self.args.line)),
            SinkWriter(Arc::clone(&self.args.sink)),
        );
        // What was typed for the old system is not for the new one.
        port.queue.clear();
        self.refill(&mut port);
    }
}

/// Registers and waiting input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UartState {
    /// Divisor, low and high byte.
    pub divisor: [u8; 2],
    /// Interrupt enable.
    pub interrupt_enable: u8,
    /// Interrupt identification.
    pub interrupt_identification: u8,
    /// Line control.
    pub line_control: u8,
    /// Line status.
    pub line_status: u8,
    /// Modem control.
    pub modem_control: u8,
    /// Modem status.
    pub modem_status: u8,
    /// Scratch.
    pub scratch: u8,
    /// Receive FIFO.
    pub fifo: Vec<u8>,
    /// Typed bytes behind the FIFO.
    pub queue: Vec<u8>,
}

impl Migratable for Uart {
    type State = UartState;
    type Args = UartArgs;
    const KIND: &'static str = "uart";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> UartState {
        let port = self.lock();
        let part = port.part.state();
        UartState {
            divisor: [part.baud_divisor_low, part.baud_divisor_high],
            interrupt_enable: part.interrupt_enable,
            interrupt_identification: part.interrupt_identification,
            line_control: part.line_control,
            line_status: part.line_status,
            modem_control: part.modem_control,
            modem_status: part.modem_status,
            scratch: part.scratch,
            fifo: part.in_buffer,
            queue: port.queue.iter().copied().collect(),
        }
    }

    fn restore(args: UartArgs, state: UartState) -> Result<Self, StateError> {
        let invalid = |field, value: String| StateError::Invalid {
            kind: Self::KIND,
            field,
            value,
        };
        if state.queue.len() > INPUT_CAPACITY {
            return Err(invalid("queue", format!("{} bytes", state.queue.len())));
        }
        let length = state.fifo.len();
        let [baud_divisor_low, baud_divisor_high] = state.divisor;
        let part = Serial::from_state(
            &SerialState {
                baud_divisor_low,
                baud_divisor_high,
                interrupt_enable: state.interrupt_enable,
                interrupt_identification: state.interrupt_identification,
                line_control: state.line_control,
                line_status: state.line_status,
                modem_control: state.modem_control,
                modem_status: state.modem_status,
                scratch: state.scratch,
                in_buffer: state.fifo,
            },
            LineTrigger(Arc::clone(&args.line)),
            NoEvents,
            SinkWriter(Arc::clone(&args.sink)),
        )
        .map_err(|_| invalid("fifo", format!("{length} bytes")))?;
        Self::with(part, state.queue.into(), args, true).map_err(|error| invalid("room event", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use caraway_base::migratable_suite;
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{Collector, Line, accesses, line, perform, read, write};

    fn uart() -> (Uart, Arc<Line>, Arc<Collector>) {
        let (line, sink) = (line(), Arc::new(Collector::default()));
        let args = UartArgs {
            line: line.clone(),
            sink: sink.clone(),
        };
        (Uart::new(args).unwrap(), line, sink)
    }

    #[test]
    fn output_reaches_the_sink_and_the_transmitter_is_always_empty() {
        let (uart, _, sink) = uart();
        for byte in b"login: " {
            assert_eq!(read(&uart, 5, 1) & 0x20, 0x20);
            write(&uart, 0, 1, (*byte).into());
        }
        assert_eq!(*sink.0.lock().unwrap(), b"login: ");
    }

    #[test]
    fn registers_read_back_as_a_driver_probes_them() {
        let (uart, line, sink) = uart();
        // 8250 autoconfig: scratch, divisor behind DLAB, loop-back of the modem lines.
        write(&uart, 7, 1, 0xa5);
        assert_eq!(read(&uart, 7, 1), 0xa5);
        write(&uart, 3, 1, 0x83);
        write(&uart, 0, 2, 0x0001);
        assert_eq!(read(&uart, 0, 2), 1);
        write(&uart, 3, 1, 3);
        write(&uart, 1, 1, 0x0f);
        assert_eq!(read(&uart, 1, 1), 0x0f);
        assert_eq!(line.edges(), 1);
        assert_eq!(read(&uart, 2, 1), 0xc2);
        assert_eq!(read(&uart, 2, 1), 0xc1);
        write(&uart, 4, 1, 0x1a);
        assert_eq!(read(&uart, 6, 1) & 0xf0, 0x90);
        assert!(sink.0.lock().unwrap().is_empty());
    }

    #[test]
    fn typed_bytes_arrive_in_order_with_an_interrupt_for_each_fifo_filling() {
        let (uart, line, _) = uart();
        write(&uart, 1, 1, 1);
        let text: Vec<u8> = (0..200).collect();
        assert_eq!(uart.input(&text), 200);
        assert_eq!(uart.unread(), 200);
        let mut seen = Vec::new();
        let mut interrupts = 0;
        while line.edges() > 0 {
            interrupts += 1;
            while read(&uart, 5, 1) & 1 == 1 && seen.len() < 64 * interrupts {
                seen.push(read(&uart, 0, 1) as u8);
            }
        }
        assert_eq!(seen, text);
        assert_eq!((interrupts, uart.unread()), (4, 0));
    }

    #[test]
    fn bytes_typed_before_the_guest_enables_interrupts_are_signalled_then() {
        let (uart, line, _) = uart();
        uart.input(b"x");
        assert_eq!(line.edges(), 0);
        write(&uart, 1, 1, 1);
        assert_eq!(line.edges(), 1);
    }

    #[test]
    fn input_is_bounded_and_room_is_announced() {
        let (uart, ..) = uart();
        let text = vec![b'a'; INPUT_CAPACITY + 100];
        assert_eq!(uart.input(&text), INPUT_CAPACITY);
        assert_eq!(uart.input(&text), 64);
        assert_eq!(uart.input(&text), 0);
        assert!(uart.room_event().read().is_err());
        for _ in 0..INPUT_CAPACITY + 64 {
            read(&uart, 0, 1);
        }
        assert_eq!(uart.unread(), 0);
        assert_eq!(uart.room_event().read().unwrap(), 1);
    }

    #[test]
    fn loop_back_keeps_typed_bytes_until_it_ends() {
        let (uart, ..) = uart();
        write(&uart, 4, 1, 0x10);
        uart.input(b"k");
        write(&uart, 0, 1, b'L'.into());
        assert_eq!(read(&uart, 0, 1), u64::from(b'L'));
        write(&uart, 4, 1, 0x08);
        assert_eq!(read(&uart, 0, 1), u64::from(b'k'));
    }

    #[test]
    fn reset_forgets_registers_and_input() {
        let (uart, ..) = uart();
        let fresh = uart.save();
        uart.input(&[b'a'; 100]);
        write(&uart, 3, 1, 0x83);
        uart.reset();
        assert_eq!(uart.save(), fresh);
    }

    #[test]
    fn an_overlong_saved_buffer_is_refused() {
        let (uart, ..) = uart();
        let state = uart.save();
        let (fifo, queue) = (vec![0; 65], vec![0; INPUT_CAPACITY + 1]);
        for state in [UartState { fifo, ..state.clone() }, UartState { queue, ..state }] {
            assert!(Uart::restore(uart.args.clone(), state).is_err());
        }
    }

    migratable_suite!(
        migration,
        Uart,
        fresh: uart().0,
        args: uart().0.args,
        change: |uart: &Uart| {
            write(uart, 7, 1, 0x5a);
            uart.input(&[b'q'; 70]);
        }
    );

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        #[test]
        fn any_access_is_survived(accesses in accesses(COM1_LENGTH.into(), 1000)) {
            let (uart, ..) = uart();
            uart.input(&[b'z'; 500]);
            perform(&uart, &accesses);
            prop_assert!(uart.unread() <= 500 + FIFO_SIZE);
        }
    }
}
