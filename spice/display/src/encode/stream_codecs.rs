//! Which codecs a client is shown streams in.

use caraway_protocol::display::VideoCodec;

/// The codecs that a client decodes and that there is an encoder for, the one it wants most first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCodecs(Vec<VideoCodec>);

impl Default for StreamCodecs {
    /// What a client decodes that says nothing of codecs.
    fn default() -> Self {
        Self(vec![VideoCodec::Mjpeg])
    }
}

impl StreamCodecs {
    /// All that there is an encoder for. H.264, a feature of this crate, comes first: at the same rate it shows far more.
    pub const ALL: &[VideoCodec] = if cfg!(feature = "h264") {
        &[VideoCodec::H264, VideoCodec::Mjpeg]
    } else {
        &[VideoCodec::Mjpeg]
    };

    /// Those that a client decodes, in the order of [`StreamCodecs::ALL`].
    #[must_use]
    pub fn of(decodes: impl Fn(VideoCodec) -> bool) -> Self {
        Self(Self::ALL.iter().copied().filter(|codec| decodes(*codec)).collect())
    }

    /// Whether there is none: the client can be shown no streams.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = VideoCodec> {
        self.0.iter().copied()
    }

    /// Takes up the order the client wants: what it does not name comes last, and what it names and cannot have is passed
    /// over. Says whether that changes anything.
    pub(super) fn prefer(&mut self, order: &[VideoCodec]) -> bool {
        let before = self.clone();
        let decodes = |codec| before.0.contains(&codec);
        *self = Self::of(decodes);
        self.0
            .sort_by_key(|codec| order.iter().position(|wanted| wanted == codec).unwrap_or(usize::MAX));
        *self != before
    }

    /// The client does not decode this one after all.
    pub(super) fn remove(&mut self, codec: VideoCodec) {
        self.0.retain(|one| *one != codec);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_clients_as_far_as_it_names_codecs_that_there_are() {
        let mut codecs = StreamCodecs::of(|_| true);
        assert_eq!(codecs.0, StreamCodecs::ALL);
        let strange = [VideoCodec::Unknown(0), VideoCodec::Vp8, VideoCodec::Unknown(255)];
        assert!(!codecs.prefer(&[]) && !codecs.prefer(&strange));
        let last_first: Vec<VideoCodec> = StreamCodecs::ALL.iter().rev().copied().collect();
        let order: Vec<VideoCodec> = strange.into_iter().chain(last_first.clone()).collect();
        assert_eq!(codecs.prefer(&order), StreamCodecs::ALL.len() > 1);
        assert_eq!(codecs.0, last_first);
        assert!(!codecs.prefer(&[VideoCodec::Mjpeg, VideoCodec::Mjpeg]));
        assert_eq!(codecs.prefer(&strange), StreamCodecs::ALL.len() > 1, "back to ours");
        codecs.remove(VideoCodec::H264);
        assert_eq!(codecs, StreamCodecs::default());
        assert!(!codecs.prefer(&[VideoCodec::H264]), "it cannot");
        codecs.remove(VideoCodec::Mjpeg);
        assert!(codecs.is_empty() && !codecs.prefer(StreamCodecs::ALL) && codecs.is_empty());
    }

    #[test]
    fn a_client_has_what_it_decodes() {
        assert!(StreamCodecs::of(|_| false).is_empty());
        assert_eq!(
            StreamCodecs::of(|codec| codec == VideoCodec::Mjpeg),
            StreamCodecs::default()
        );
        assert!(StreamCodecs::of(|codec| codec == VideoCodec::Vp8).is_empty());
    }
}
