//! The smartcard channel: card readers of a client, and a device of the machine for each.
//!
//! A reader that the client adds has the first device that is free, and is known by that one's number; whether the device
//! takes it, and all that follows, are between the client and the device. What the two say is looked at only as far as
//! needed: that lengths and numbers are right, and which of them there are. There is no acknowledgement window, as on the
//! channels that carry bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use caraway_ports::port::HostPort;
use caraway_protocol::{
    Message, Progress,
    smartcard::{ClientMessage, NO_READER, ServerMessage, VSC_DATA_MAX, VSC_INIT, VscError, VscMessage, VscType},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tracing::{debug, warn};

use super::{Common, Io, common, passed_on};
use crate::{
    ServeError,
    ports::{Lease, PortChannel},
};

/// Bytes taken from a device at a time.
const BLOCK: usize = 16 << 10;

/// Answers of the server that wait to be written; the client is not read when they are not.
const ANSWERS: usize = 16;

/// What becomes of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Reader {
    /// No reader of the client.
    #[default]
    Free,
    /// The client has a reader of this name for it, and the device is not there yet.
    Wanted(Bytes),
    /// It was told of the client's reader, and has not answered yet.
    Adding,
    /// It has taken it.
    Added,
}

impl Reader {
    /// Whether the device knows of a reader.
    const fn is_told(&self) -> bool {
        matches!(self, Self::Adding | Self::Added)
    }
}

#[derive(Debug, Default)]
struct Device {
    reader: Reader,
    /// The connection it was greeted on.
    greeted: u64,
}

/// The devices. Those that have a reader are told that it is gone when this goes.
struct Devices<'a> {
    channel: &'a PortChannel,
    list: Mutex<Vec<Device>>,
}

impl<'a> Devices<'a> {
    fn new(channel: &'a PortChannel) -> Self {
        let list = channel.ports.iter().map(|_| Device::default()).collect();
        Self {
            channel,
            list: Mutex::new(list),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Device>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Greets those that have come, and tells them of the readers they are for. What that takes fits into a connection on
    /// which nothing was said before.
    fn greet(&self) {
        for (device, port) in self.lock().iter_mut().zip(&self.channel.ports) {
            let now = port.connection();
            if !now.is_open {
                continue;
            }
            if device.greeted != now.number && !device.reader.is_told() {
                let init = message(VscType::Init, NO_READER, Bytes::from_static(&VSC_INIT));
                device.greeted = now.number;
                let _ = port.write(now.number, &init.encode_device());
            }
            if let Reader::Wanted(name) = &device.reader {
                let add = message(VscType::ReaderAdd, NO_READER, name.clone());
                let _ = port.write(now.number, &add.encode_device());
                device.reader = Reader::Adding;
            }
        }
    }

    /// Finds a device for a reader of the client: one that is there if possible. False if none is free.
    fn add(&self, name: Bytes) -> bool {
        let mut list = self.lock();
        let free = |device: &Device| device.reader == Reader::Free;
        let is_open = |index: usize| {
            self.channel
                .ports
                .get(index)
                .is_some_and(|port| port.connection().is_open)
        };
        let mut indices = list.iter().enumerate().filter(|(_, device)| free(device));
        let first = indices.clone().next();
        let found = indices.find(|(index, _)| is_open(*index)).or(first);
        let Some(index) = found.map(|(index, _)| index) else {
            return false;
        };
        if let Some(device) = list.get_mut(index) {
            device.reader = Reader::Wanted(name);
        }
        drop(list);
        self.greet();
        true
    }

    /// The port of a reader that its device has taken, and the connection.
    fn find(&self, reader: u32) -> Option<(&HostPort, u64)> {
        let index = usize::try_from(reader).ok()?;
        let list = self.lock();
        let device = list.get(index).filter(|device| device.reader == Reader::Added)?;
        Some((self.channel.ports.get(index)?, device.greeted))
    }

    /// Forgets a reader that its device was not told of yet.
    fn forget(&self, reader: u32) -> bool {
        let mut list = self.lock();
        let device = usize::try_from(reader).ok().and_then(|index| list.get_mut(index));
        let wanted = device.filter(|device| matches!(device.reader, Reader::Wanted(_)));
        wanted.map(|device| device.reader = Reader::Free).is_some()
    }

    fn set_free(&self, reader: u32) {
        let index = usize::try_from(reader).unwrap_or(usize::MAX);
        if let Some(device) = self.lock().get_mut(index) {
            device.reader = Reader::Free;
        }
    }

    /// A message of a device as it goes to the client, if it does.
    fn for_client(&self, reader: u32, mut message: VscMessage) -> Option<VscMessage> {
        let mut list = self.lock();
        let device = list.get_mut(usize::try_from(reader).ok()?)?;
        message.reader = reader;
        match (message.kind, message.data.first_chunk()) {
            (VscType::Error, Some(code)) => {
                let code = VscError::from(u32::from_be_bytes(*code));
                if device.reader == Reader::Adding {
                    device.reader = match code {
                        VscError::Success => Reader::Added,
                        _ => Reader::Free,
                    };
                }
                Some(answer(reader, code))
            }
            (VscType::Apdu | VscType::Flush, _) if device.reader == Reader::Added => Some(message),
            (kind, _) => {
                debug!(?kind, reader, "ignored");
                None
            }
        }
    }
}

impl Drop for Devices<'_> {
    fn drop(&mut self) {
        let list = self.lock();
        for (reader, (device, port)) in (0..).zip(list.iter().zip(&self.channel.ports)) {
            if device.reader.is_told() {
                // A device that takes nothing any more learns it from the end of the connection.
                let gone = message(VscType::ReaderRemove, reader, Bytes::new());
                let _ = port.write(device.greeted, &gone.encode_device());
            }
        }
    }
}

fn message(kind: VscType, reader: u32, data: Bytes) -> VscMessage {
    VscMessage { kind, reader, data }
}

fn answer(reader: u32, error: VscError) -> VscMessage {
    message(
        VscType::Error,
        reader,
        Bytes::copy_from_slice(&u32::from(error).to_le_bytes()),
    )
}

pub(crate) async fn run<S>(io: Io<S>, lease: &Lease) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Io {
        mut receiver,
        mut sender,
        flow,
        id,
        ..
    } = io;
    let Some(channel) = lease.channel() else { return Ok(()) };
    let devices = Devices::new(channel);
    let (answers, mut outbox) = mpsc::channel::<VscMessage>(ANSWERS);
    let writer = async {
        let mut streams = vec![BytesMut::new(); channel.ports.len()];
        let mut buffer = vec![0; BLOCK];
        loop {
            for ((index, port), stream) in (0..).zip(&channel.ports).zip(&mut streams) {
                match from_device(&devices, (index, port), stream, &mut buffer) {
                    Ok(said) => {
                        for message in said {
                            sender.send(&ServerMessage::Data(message)).await?;
                        }
                    }
                    Err(over) => {
                        debug!(reader = index, over, "the client has to begin anew");
                        return Ok::<(), ServeError>(());
                    }
                }
            }
            tokio::select! {
                () = channel.for_client.notified() => {}
                Some(answer) = outbox.recv() => sender.send(&ServerMessage::Data(answer)).await?,
            }
        }
    };
    let reader = async {
        loop {
            devices.greet();
            let frame = tokio::select! {
                frame = receiver.next() => frame?,
                () = channel.for_ports.notified() => continue,
            };
            let Some(frame) = frame else { return Ok(()) };
            let message = match frame.message::<ClientMessage>()? {
                ClientMessage::Common(message) => {
                    if let Common::Leaving = common(&flow, id, &message)? {
                        return Ok(());
                    }
                    continue;
                }
                ClientMessage::Data(message) => message,
                other => {
                    debug!(message = other.name(), "ignored");
                    continue;
                }
            };
            if message.data.len() > VSC_DATA_MAX {
                let (id, channel) = (frame.id, channel.id);
                let why = "it is longer than the longest command of a smart card";
                return Err(ServeError::Unexpected { channel, id, why });
            }
            let Some(answer) = passed_on(&mut receiver, to_device(&devices, message)).await else {
                return Ok(());
            };
            if let Some(answer) = answer
                && answers.send(answer).await.is_err()
            {
                return Ok::<(), ServeError>(());
            }
        }
    };
    tokio::select! {
        result = writer => result,
        result = reader => result,
    }
}

/// Does what the client says; the answer to it, if it is the server's to give.
async fn to_device(devices: &Devices<'_>, message: VscMessage) -> Option<VscMessage> {
    let (kind, reader) = (message.kind, message.reader);
    match kind {
        VscType::Init | VscType::Unknown(_) => {
            debug!(?kind, "ignored");
            return None;
        }
        VscType::ReaderAdd => {
            let is_added = devices.add(message.data);
            return (!is_added).then(|| answer(reader, VscError::CannotAddMoreReaders));
        }
        VscType::ReaderRemove if devices.forget(reader) => return Some(answer(reader, VscError::Success)),
        _ => {}
    }
    let Some((port, connection)) = devices.find(reader) else {
        // Clients wait for an answer to these.
        let is_answered = matches!(kind, VscType::ReaderRemove | VscType::Atr | VscType::CardRemove);
        return is_answered.then(|| answer(reader, VscError::General));
    };
    let bytes = message.encode_device();
    let mut left = bytes.as_slice();
    while !left.is_empty() && port.connection().is_open {
        let count = port.write(connection, left);
        left = left.get(count..).unwrap_or_default();
        if count == 0 {
            devices.channel.for_ports.notified().await;
        }
    }
    if kind == VscType::ReaderRemove {
        devices.set_free(reader);
    }
    None
}

/// What a device says to the client.
///
/// # Errors
/// Why it cannot go on: the client knows a reader, and the device that is there now does not.
fn from_device(
    devices: &Devices<'_>,
    (index, port): (u32, &HostPort),
    stream: &mut BytesMut,
    buffer: &mut [u8],
) -> Result<Vec<VscMessage>, &'static str> {
    let (connection, is_told) = {
        let list = devices.lock();
        let device = usize::try_from(index).ok().and_then(|index| list.get(index));
        device.map_or((0, false), |device| (device.greeted, device.reader.is_told()))
    };
    let now = port.connection();
    let mut said = Vec::new();
    let count = port.read(connection, buffer);
    stream.extend_from_slice(buffer.get(..count).unwrap_or_default());
    loop {
        match VscMessage::decode_device(stream) {
            Ok(Progress::Need(_)) => break,
            Ok(Progress::Done(message)) => said.extend(devices.for_client(index, message)),
            Err(error) => {
                warn!(reader = index, %error, "the device of a smart card reader has broken its protocol");
                port.hang_up(connection);
                stream.clear();
                break;
            }
        }
    }
    if count > 0 {
        // There may be more.
        devices.channel.for_client.notify_one();
    } else if !now.is_open || now.number != connection {
        if is_told {
            return Err("its device has gone");
        }
        stream.clear();
    }
    Ok(said)
}
