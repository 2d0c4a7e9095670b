//! Block requests: checked, carried out in pieces through a buffer of fixed size.

use std::{
    io::{self, IoSlice, IoSliceMut},
    sync::Arc,
};

use caraway_storage::{BlockBackend, SECTOR};

use virtio_bindings::bindings::virtio_blk::{
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
    VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP as UNMAP,
};

use super::{ID_BYTES, MAX_SECTORS, MAX_SEGMENTS, feature};
use crate::{
    Chain, DeviceMemory, QueueError,
    worker::{Handled, Handler, StopFlag},
};

/// Bytes moved at a time: what a disk costs in memory, whatever a guest asks for.
const PIECE: usize = 256 << 10;

/// Bytes discarded or zeroed at a time: a host that cannot punch holes has to write them.
const ZERO_PIECE: usize = 16 << 20;

const HEADER_BYTES: u64 = 16;
/// Of a discard or write-zeroes segment: sector, number of sectors, flags.
const SEGMENT_BYTES: usize = 16;

/// Status byte of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// Why a request is not carried out to its end.
enum Ended {
    /// With this status.
    Status(Status),
    /// It is to be tried again.
    NotNow,
    /// The driver broke the rules.
    Broken(QueueError),
}

impl From<QueueError> for Ended {
    fn from(error: QueueError) -> Self {
        Self::Broken(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        // Not a warning: a guest could have one for every read of a bad sector.
        tracing::debug!(%error, "disk request failed");
        Self::Status(Status::IoError)
    }
}

/// Serves block requests on a backend.
#[derive(Debug)]
pub(super) struct Requests {
    backend: Arc<dyn BlockBackend>,
    serial: [u8; ID_BYTES],
    buffer: Vec<u8>,
    features: u64,
}

/// What one request has at hand.
struct Context<'a> {
    chain: &'a Chain,
    memory: &'a DeviceMemory,
    stop: &'a StopFlag,
}

impl Handler for Requests {
    fn start(&mut self, features: u64) {
        self.features = features;
    }

    fn handle(&mut self, chain: &Chain, memory: &DeviceMemory, stop: &StopFlag) -> Result<Handled, QueueError> {
        let Some(status_at) = chain.writable.length().checked_sub(1) else {
            return Err(QueueError::Short {
                what: "the status",
                length: 0,
            });
        };
        let context = Context { chain, memory, stop };
        let (status, data) = match self.carry_out(&context, status_at) {
            Ok(data) => (Status::Ok, data),
            Err(Ended::Status(status)) => (status, 0),
            Err(Ended::NotNow) => return Ok(Handled::NotNow),
            Err(Ended::Broken(error)) => return Err(error),
        };
        let Some(access) = memory.access() else {
            return Ok(Handled::NotNow);
        };
        chain.writable.write(&access, status_at, &[status as u8])?;
        // Only what was written without a gap counts: the status follows the data.
        let written = if data == status_at { status_at + 1 } else { data };
        Ok(Handled::Done {
            written: u32::try_from(written).unwrap_or(u32::MAX),
        })
    }
}

impl Requests {
    pub(super) fn new(backend: Arc<dyn BlockBackend>, serial: [u8; ID_BYTES]) -> Self {
        Self {
            backend,
            serial,
            buffer: Vec::new(),
            features: 0,
        }
    }

    /// The bytes of data written to the guest.
    fn carry_out(&mut self, context: &Context<'_>, room: u64) -> Result<u64, Ended> {
        let mut header = [0; 16];
        {
            let access = context.memory.access().ok_or(Ended::NotNow)?;
            context.chain.readable.read(&access, 0, &mut header)?;
        }
        let [k0, k1, k2, k3, _, _, _, _, sector @ ..] = header;
        let sector = u64::from_le_bytes(sector);
        match u32::from_le_bytes([k0, k1, k2, k3]) {
            VIRTIO_BLK_T_IN => self.read(context, sector, room),
            VIRTIO_BLK_T_OUT => self.write(context, sector),
            VIRTIO_BLK_T_FLUSH => {
                self.backend.flush()?;
                Ok(0)
            }
            VIRTIO_BLK_T_GET_ID => {
                let count = room.min(ID_BYTES as u64);
                let id = self.serial.get(..usize::try_from(count).unwrap_or(0)).unwrap_or(&[]);
                let access = context.memory.access().ok_or(Ended::NotNow)?;
                context.chain.writable.write(&access, 0, id)?;
                Ok(count)
            }
            VIRTIO_BLK_T_DISCARD if self.features & feature::DISCARD != 0 => self.ranges(context, false),
            VIRTIO_BLK_T_WRITE_ZEROES if self.features & feature::WRITE_ZEROES != 0 => self.ranges(context, true),
            _ => Err(Ended::Status(Status::Unsupported)),
        }
    }

    fn read(&mut self, context: &Context<'_>, sector: u64, length: u64) -> Result<u64, Ended> {
        let start = self.range(sector, length)?;
        self.buffer.resize(PIECE, 0);
        for (done, count) in pieces(length, PIECE) {
            let piece = self.buffer.get_mut(..count).unwrap_or_default();
            if context.stop.is_set() {
                return Err(Ended::NotNow);
            }
            self.backend.read_at(start + done, &mut [IoSliceMut::new(piece)])?;
            let access = context.memory.access().ok_or(Ended::NotNow)?;
            context.chain.writable.write(&access, done, piece)?;
        }
        Ok(length)
    }

    fn write(&mut self, context: &Context<'_>, sector: u64) -> Result<u64, Ended> {
        let length = context.chain.readable.length().saturating_sub(HEADER_BYTES);
        let start = self.range(sector, length)?;
        if self.backend.read_only() {
            return Err(Ended::Status(Status::IoError));
        }
        self.buffer.resize(PIECE, 0);
        for (done, count) in pieces(length, PIECE) {
            let piece = self.buffer.get_mut(..count).unwrap_or_default();
            if context.stop.is_set() {
                return Err(Ended::NotNow);
            }
            {
                let access = context.memory.access().ok_or(Ended::NotNow)?;
                context.chain.readable.read(&access, HEADER_BYTES + done, piece)?;
            }
            self.backend.write_at(start + done, &mut [IoSlice::new(piece)])?;
        }
        self.keep()
    }

    /// A driver that cannot flush expects what it wrote to be kept.
    fn keep(&self) -> Result<u64, Ended> {
        if self.features & feature::FLUSH == 0 {
            self.backend.flush()?;
        }
        Ok(0)
    }

    /// Discard and write zeroes: all segments are checked before the first is carried out.
    fn ranges(&mut self, context: &Context<'_>, zeroes: bool) -> Result<u64, Ended> {
        if self.backend.read_only() {
            return Err(Ended::Status(Status::IoError));
        }
        let length = context.chain.readable.length().saturating_sub(HEADER_BYTES);
        let most = u64::from(MAX_SEGMENTS) * SEGMENT_BYTES as u64;
        if length == 0 || length > most || !length.is_multiple_of(SEGMENT_BYTES as u64) {
            return Err(Ended::Status(Status::IoError));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        {
            let access = context.memory.access().ok_or(Ended::NotNow)?;
            context.chain.readable.read(&access, HEADER_BYTES, &mut bytes)?;
        }
        let segments: Result<Vec<_>, Ended> = bytes
            .chunks_exact(SEGMENT_BYTES)
            .map(|segment| self.segment(segment, zeroes))
            .collect();
        for (start, length, unmap) in segments? {
            for (done, count) in pieces(length, ZERO_PIECE) {
                if context.stop.is_set() {
                    return Err(Ended::NotNow);
                }
                if zeroes {
                    self.backend.write_zeroes(start + done, count as u64, unmap)?;
                } else {
                    self.backend.discard(start + done, count as u64)?;
                }
            }
        }
        self.keep()
    }

    /// Start, length in bytes, and whether the space may be given back.
    fn segment(&self, bytes: &[u8], zeroes: bool) -> Result<(u64, u64, bool), Ended> {
        let damaged = || Ended::Status(Status::IoError);
        let (sector, bytes) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (count, bytes) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        let flags = u32::from_le_bytes(*bytes.first_chunk::<4>().ok_or_else(damaged)?);
        let known = if zeroes { UNMAP } else { 0 };
        if flags & !known != 0 {
            return Err(Ended::Status(Status::Unsupported));
        }
        let count = u32::from_le_bytes(*count);
        if count > MAX_SECTORS {
            return Err(damaged());
        }
        let length = u64::from(count) * SECTOR;
        let start = self.range(u64::from_le_bytes(*sector), length)?;
        Ok((start, length, flags & UNMAP != 0))
    }

    /// The first byte of a range of whole sectors inside the disk.
    fn range(&self, sector: u64, length: u64) -> Result<u64, Ended> {
        let start = sector.checked_mul(SECTOR).filter(|_| length.is_multiple_of(SECTOR));
        start
            .filter(|start| start.checked_add(length).is_some_and(|end| end <= self.backend.size()))
            .ok_or(Ended::Status(Status::IoError))
    }
}

/// Offset and size of each piece.
fn pieces(length: u64, most: usize) -> impl Iterator<Item = (u64, usize)> {
    (0..length.div_ceil(most as u64)).map(move |index| {
        let done = index * most as u64;
        (done, usize::try_from((length - done).min(most as u64)).unwrap_or(most))
    })
}
