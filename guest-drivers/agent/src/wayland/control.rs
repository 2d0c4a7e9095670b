//! Management of the clipboard: two protocols that are one but for their names.

use std::os::fd::BorrowedFd;

use caraway_protocol::agent::Selection;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::wl_registry::WlRegistry;
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, event_created_child};
use wayland_protocols::ext::data_control::v1::client as ext;
use wayland_protocols_wlr::data_control::v1::client as wlr;

use super::{Global, State};
use ext::{
    ext_data_control_device_v1::{self, ExtDataControlDeviceV1},
    ext_data_control_manager_v1::{self, ExtDataControlManagerV1},
    ext_data_control_offer_v1::{self, ExtDataControlOfferV1},
    ext_data_control_source_v1::{self, ExtDataControlSourceV1},
};
use wlr::{
    zwlr_data_control_device_v1::{self, ZwlrDataControlDeviceV1},
    zwlr_data_control_manager_v1::{self, ZwlrDataControlManagerV1},
    zwlr_data_control_offer_v1::{self, ZwlrDataControlOfferV1},
    zwlr_data_control_source_v1::{self, ZwlrDataControlSourceV1},
};

/// From this version on the older protocol knows what is marked with the mouse.
const WLR_PRIMARY: u32 = 2;

/// An object of either protocol.
macro_rules! either {
    ($(#[$meta:meta])* $name:ident, $wlr:ty, $ext:ty) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(super) enum $name {
            Wlr($wlr),
            Ext($ext),
        }

        impl From<$wlr> for $name {
            fn from(object: $wlr) -> Self {
                Self::Wlr(object)
            }
        }

        impl From<$ext> for $name {
            fn from(object: $ext) -> Self {
                Self::Ext(object)
            }
        }
    };
}

either!(
    /// What makes the others.
    Manager, ZwlrDataControlManagerV1, ExtDataControlManagerV1
);
either!(
    /// The clipboards of a seat.
    Device, ZwlrDataControlDeviceV1, ExtDataControlDeviceV1
);
either!(
    /// What a program has.
    Offer, ZwlrDataControlOfferV1, ExtDataControlOfferV1
);
either!(
    /// What we have.
    Source, ZwlrDataControlSourceV1, ExtDataControlSourceV1
);

impl Manager {
    /// The best that there is.
    pub(super) fn bind(
        registry: &WlRegistry,
        find: impl Fn(&str) -> Option<Global>,
        handle: &QueueHandle<State>,
    ) -> Option<Self> {
        if let Some((name, ..)) = find(ExtDataControlManagerV1::interface().name) {
            return Some(Self::Ext(registry.bind(name, 1, handle, ())));
        }
        let (name, _, version) = find(ZwlrDataControlManagerV1::interface().name)?;
        Some(Self::Wlr(registry.bind(name, version.min(WLR_PRIMARY), handle, ())))
    }

    pub(super) fn device(&self, seat: &WlSeat, handle: &QueueHandle<State>) -> Device {
        match self {
            Self::Wlr(manager) => manager.get_data_device(seat, handle, ()).into(),
            Self::Ext(manager) => manager.get_data_device(seat, handle, ()).into(),
        }
    }

    pub(super) fn source(&self, selection: Selection, handle: &QueueHandle<State>) -> Source {
        match self {
            Self::Wlr(manager) => manager.create_data_source(handle, selection).into(),
            Self::Ext(manager) => manager.create_data_source(handle, selection).into(),
        }
    }
}

impl Device {
    pub(super) fn set(&self, selection: Selection, source: Option<&Source>) {
        match (self, selection) {
            (Self::Wlr(device), Selection::Primary) if device.version() >= WLR_PRIMARY => {
                device.set_primary_selection(source.and_then(Source::wlr));
            }
            (Self::Wlr(device), Selection::Clipboard) => device.set_selection(source.and_then(Source::wlr)),
            (Self::Ext(device), Selection::Primary) => device.set_primary_selection(source.and_then(Source::ext)),
            (Self::Ext(device), Selection::Clipboard) => device.set_selection(source.and_then(Source::ext)),
            _ => {}
        }
    }
}

impl Source {
    const fn wlr(&self) -> Option<&ZwlrDataControlSourceV1> {
        match self {
            Self::Wlr(source) => Some(source),
            Self::Ext(_) => None,
        }
    }

    const fn ext(&self) -> Option<&ExtDataControlSourceV1> {
        match self {
            Self::Wlr(_) => None,
            Self::Ext(source) => Some(source),
        }
    }

    pub(super) fn id(&self) -> ObjectId {
        match self {
            Self::Wlr(source) => source.id(),
            Self::Ext(source) => source.id(),
        }
    }

    pub(super) fn offer(&self, name: &str) {
        match self {
            Self::Wlr(source) => source.offer(name.to_owned()),
            Self::Ext(source) => source.offer(name.to_owned()),
        }
    }

    pub(super) fn destroy(&self) {
        match self {
            Self::Wlr(source) => source.destroy(),
            Self::Ext(source) => source.destroy(),
        }
    }
}

impl Offer {
    pub(super) fn receive(&self, name: &str, to: BorrowedFd<'_>) {
        match self {
            Self::Wlr(offer) => offer.receive(name.to_owned(), to),
            Self::Ext(offer) => offer.receive(name.to_owned(), to),
        }
    }

    pub(super) fn destroy(&self) {
        match self {
            Self::Wlr(offer) => offer.destroy(),
            Self::Ext(offer) => offer.destroy(),
        }
    }
}

/// What the events of one of the protocols do.
macro_rules! dispatch {
    ($manager:ident::$Manager:ident, $device:ident::$Device:ident, $offer:ident::$Offer:ident, $source:ident::$Source:ident) => {
        impl Dispatch<$Manager, ()> for State {
            fn event(_: &mut Self, _: &$Manager, _: $manager::Event, (): &(), _: &Connection, _: &QueueHandle<Self>) {}
        }

        impl Dispatch<$Device, ()> for State {
            fn event(
                state: &mut Self,
                _: &$Device,
                event: $device::Event,
                (): &(),
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                let Some(clipboards) = &mut state.clipboards else {
                    return;
                };
                match event {
                    $device::Event::DataOffer { id } => clipboards.offered(id.id(), id.into()),
                    $device::Event::Selection { id } => {
                        clipboards.selected(Selection::Clipboard, id.map(|id| id.id()), &mut state.out);
                    }
                    $device::Event::PrimarySelection { id } => {
                        clipboards.selected(Selection::Primary, id.map(|id| id.id()), &mut state.out);
                    }
                    // The seat is gone.
                    _ => clipboards.finish(&mut state.out),
                }
            }

            event_created_child!(State, $Device, [
                $device::EVT_DATA_OFFER_OPCODE => ($Offer, ()),
            ]);
        }

        impl Dispatch<$Offer, ()> for State {
            fn event(
                state: &mut Self,
                offer: &$Offer,
                event: $offer::Event,
                (): &(),
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                if let ($offer::Event::Offer { mime_type }, Some(clipboards)) = (event, &mut state.clipboards) {
                    clipboards.named(&offer.id(), mime_type);
                }
            }
        }

        impl Dispatch<$Source, Selection> for State {
            fn event(
                state: &mut Self,
                source: &$Source,
                event: $source::Event,
                selection: &Selection,
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                let Some(clipboards) = &mut state.clipboards else {
                    return;
                };
                match event {
                    $source::Event::Send { mime_type, fd } => {
                        clipboards.asked(*selection, &source.id(), &mime_type, fd, &mut state.out);
                    }
                    _ => {
                        clipboards.cancelled(*selection, &source.id());
                        source.destroy();
                    }
                }
            }
        }
    };
}

dispatch!(
    zwlr_data_control_manager_v1::ZwlrDataControlManagerV1,
    zwlr_data_control_device_v1::ZwlrDataControlDeviceV1,
    zwlr_data_control_offer_v1::ZwlrDataControlOfferV1,
    zwlr_data_control_source_v1::ZwlrDataControlSourceV1
);
dispatch!(
    ext_data_control_manager_v1::ExtDataControlManagerV1,
    ext_data_control_device_v1::ExtDataControlDeviceV1,
    ext_data_control_offer_v1::ExtDataControlOfferV1,
    ext_data_control_source_v1::ExtDataControlSourceV1
);
