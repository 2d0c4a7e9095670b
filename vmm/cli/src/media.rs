//! What a configuration says of pictures and of the agent, in the words of the SPICE server.

use caraway_config::{Agent, Clients, Clipboard, Compression, Use, Video};
use caraway_display::{ImageSettings, Mode, Switch, VideoMode};
use caraway_server::{AgentPolicy, Sharing};

/// What images are compressed with.
pub(crate) const fn images(compression: Compression, jpeg: Use, zlib: Use) -> ImageSettings {
    const fn switch(configured: Use) -> Switch {
        match configured {
            Use::Auto => Switch::Auto,
            Use::Always => Switch::Always,
            Use::Never => Switch::Never,
        }
    }
    ImageSettings {
        mode: match compression {
            Compression::Off => Mode::Off,
            Compression::AutoGlz => Mode::AutoGlz,
            Compression::AutoLz => Mode::AutoLz,
            Compression::Quic => Mode::Quic,
            Compression::Glz => Mode::Glz,
            Compression::Lz => Mode::Lz,
            Compression::Lz4 => Mode::Lz4,
        },
        jpeg: switch(jpeg),
        zlib: switch(zlib),
    }
}

/// What becomes video.
pub(crate) const fn video(configured: Video) -> VideoMode {
    match configured {
        Video::Off => VideoMode::Off,
        Video::Filter => VideoMode::Filter,
        Video::All => VideoMode::All,
    }
}

/// What the agent and its clients may do.
pub(crate) const fn agent(configured: Agent) -> AgentPolicy {
    AgentPolicy {
        clipboard_to_guest: matches!(configured.clipboard, Clipboard::Both | Clipboard::ToGuest),
        clipboard_to_client: matches!(configured.clipboard, Clipboard::Both | Clipboard::ToClient),
        file_transfer: configured.file_transfer,
    }
}

/// How many clients there may be.
pub(crate) const fn sharing(configured: Clients) -> Sharing {
    match configured {
        Clients::Many => Sharing::Many,
        Clients::Newest => Sharing::Newest,
        Clients::First => Sharing::First,
    }
}
