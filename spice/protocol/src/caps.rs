//! Capabilities: what each side of a connection says it can do.

/// Most words of capabilities one side may send in one set.
pub const MAX_WORDS: u32 = 1024;

/// A capability with a number.
pub trait Capability: Copy {
    /// The number of its bit.
    fn bit(self) -> u32;
}

/// A set of capabilities as 32-bit words. Bits nobody here knows are kept, and so is the number of words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Caps(Vec<u32>);

impl Caps {
    /// No capability, no word.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The set with these words; bit n is bit n mod 32 of word n / 32.
    #[must_use]
    pub const fn from_words(words: Vec<u32>) -> Self {
        Self(words)
    }

    /// The set of these capabilities.
    #[must_use]
    pub fn of<C: Capability>(caps: &[C]) -> Self {
        caps.iter().fold(Self::none(), |set, cap| set.with(*cap))
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    /// Whether the set has it. Missing words are zero.
    #[must_use]
    pub fn has(&self, cap: impl Capability) -> bool {
        let (word, mask) = place(cap);
        self.0.get(word).is_some_and(|bits| bits & mask != 0)
    }

    /// The set with one more.
    #[must_use]
    pub fn with(mut self, cap: impl Capability) -> Self {
        let (word, mask) = place(cap);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= mask;
        }
        self
    }
}

fn place(cap: impl Capability) -> (usize, u32) {
    ((cap.bit() / 32) as usize, 1 << (cap.bit() % 32))
}

macro_rules! capabilities {
    ($($(#[$meta:meta])* $name:ident { $($(#[$cap_meta:meta])* $cap:ident = $bit:literal,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            #[repr(u32)]
            pub enum $name { $($(#[$cap_meta])* $cap = $bit,)* }

            impl Capability for $name {
                fn bit(self) -> u32 {
                    self as u32
                }
            }
        )*
    };
}

capabilities! {
    /// Capabilities all channels share.
    CommonCap {
        /// The client sends the 4-byte choice of a mechanism.
        AuthSelection = 0,
        /// Authentication by ticket. Clients that use it need not say so.
        AuthSpice = 1,
        /// Authentication by SASL.
        AuthSasl = 2,
        /// Data headers of 6 bytes.
        MiniHeader = 3,
    }

    /// Capabilities of the main channel.
    MainCap {
        /// Migration with channels that restart.
        SemiSeamlessMigrate = 0,
        /// The client takes NAME and UUID.
        NameAndUuid = 1,
        /// AGENT_CONNECTED_TOKENS in place of AGENT_CONNECTED.
        AgentConnectedTokens = 2,
        /// Migration that keeps everything.
        SeamlessMigrate = 3,
        /// Sessions that were cut are resumed: an extension of Caraway's, said by servers only to clients that say it.
        Resume = 32,
    }

    /// Capabilities of a display channel.
    DisplayCap {
        /// The client takes STREAM_DATA_SIZED.
        SizedStream = 0,
        /// MONITORS_CONFIG is used.
        MonitorsConfig = 1,
        /// The client takes DRAW_COMPOSITE.
        Composite = 2,
        /// The client takes 8-bit alpha surfaces and bitmaps.
        A8Surface = 3,
        /// Stream reports are used.
        StreamReport = 4,
        /// The client takes LZ4 images.
        Lz4Compression = 5,
        /// The server takes PREFERRED_COMPRESSION.
        PrefCompression = 6,
        /// The client takes GL scanouts.
        GlScanout = 7,
        /// The codec bits mean something.
        MultiCodec = 8,
        /// The client plays Motion JPEG.
        CodecMjpeg = 9,
        /// The client plays VP8.
        CodecVp8 = 10,
        /// The client plays H.264.
        CodecH264 = 11,
        /// The server takes PREFERRED_VIDEO_CODEC_TYPE.
        PrefVideoCodecType = 12,
        /// The client plays VP9.
        CodecVp9 = 13,
        /// The client plays H.265.
        CodecH265 = 14,
        /// The client takes GL_SCANOUT2_UNIX.
        GlScanout2 = 15,
        /// RESUME is used; as that of the main channel.
        Resume = 32,
    }

    /// Capabilities of the inputs channel.
    InputsCap {
        /// The server takes KEY_SCANCODE.
        KeyScancode = 0,
    }

    /// Capabilities of the playback channel.
    PlaybackCap {
        /// Obsolete codec.
        Celt051 = 0,
        /// VOLUME and MUTE.
        Volume = 1,
        /// The client takes LATENCY.
        Latency = 2,
        /// Opus.
        Opus = 3,
    }

    /// Capabilities of the record channel.
    RecordCap {
        /// Obsolete codec.
        Celt051 = 0,
        /// VOLUME and MUTE.
        Volume = 1,
        /// Opus.
        Opus = 2,
    }

    /// Capabilities of the byte stream channels: usbredir, port, webdav.
    StreamCap {
        /// COMPRESSED_DATA with LZ4.
        DataCompressLz4 = 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_words_are_zero_and_unknown_bits_are_kept() {
        assert!(!Caps::none().has(DisplayCap::GlScanout2));
        let set = Caps::from_words(vec![0x8000_0000, 7]).with(DisplayCap::SizedStream);
        assert_eq!(set.words(), [0x8000_0001, 7]);
        assert!(set.has(DisplayCap::SizedStream) && !set.has(DisplayCap::Composite));
    }

    #[test]
    fn a_set_is_made_of_the_bits_of_its_capabilities() {
        let set = Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSpice, CommonCap::MiniHeader]);
        assert_eq!(set.words(), [0xb]);
    }
}
