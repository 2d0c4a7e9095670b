//! Stands for `h264.rs` where the feature is off: no stream is H.264.

use std::time::Duration;

use caraway_ports::drawing::Bitmap;
use caraway_protocol::display::StreamCreate;

use crate::video::Frame;

/// There is none.
#[derive(Debug)]
pub(super) enum Coder {}

impl Coder {
    pub(super) fn new<'a>(_: &StreamCreate, _: impl Iterator<Item = &'a StreamCreate>) -> Option<Self> {
        None
    }

    pub(super) const fn encode(&mut self, _: &Bitmap, _: u32, _: Duration) -> Result<Option<(Vec<u8>, bool)>, ()> {
        match *self {}
    }
}

pub(super) fn room<'a>(_: &Frame, _: Option<u64>, _: impl Iterator<Item = &'a StreamCreate>) -> u64 {
    0
}
