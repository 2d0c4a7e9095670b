//! Where monitors go on a screen.

use caraway_protocol::agent::MonitorsConfig;

/// A monitor's place and size on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// By the client's number.
    pub(crate) display: usize,
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The least and most pixels of a screen, across and down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) least: (u32, u32),
    pub(crate) most: (u32, u32),
}

/// Smaller ones no desktop is usable on.
const LEAST: u32 = 64;

/// Where the monitors that are wanted go, of those that there are: from the left in the order of their numbers, or where the
/// client wants them, with the first ones at the edges. `None` if there would be none.
pub(crate) fn plan(config: &MonitorsConfig, displays: usize, limits: Limits) -> Option<Vec<Place>> {
    let wanted = config.monitors.iter().enumerate().take(displays);
    let mut places = Vec::new();
    let mut right = 0_i64;
    for (display, monitor) in wanted.filter(|(_, monitor)| monitor.width > 0 && monitor.height > 0) {
        let width = monitor.width.clamp(LEAST, limits.most.0.max(LEAST));
        let height = monitor.height.clamp(LEAST, limits.most.1.max(LEAST));
        let (x, y) = if config.has_places {
            (i64::from(monitor.x), i64::from(monitor.y))
        } else {
            (right, 0)
        };
        right = right.saturating_add(i64::from(width));
        places.push((display, x, y, width, height));
    }
    if !fits(&places, limits) {
        // Places that make no screen are none.
        let mut right = 0_i64;
        for place in &mut places {
            (place.1, place.2) = (right, 0);
            right += i64::from(place.3);
        }
    }
    while !fits(&places, limits) {
        places.pop();
    }
    let left = places.iter().map(|place| place.1).min()?;
    let top = places.iter().map(|place| place.2).min()?;
    let offset = |at: i64, first: i64| u32::try_from(at - first).ok();
    places
        .into_iter()
        .map(|(display, x, y, width, height)| {
            let (x, y) = (offset(x, left)?, offset(y, top)?);
            Some(Place {
                display,
                x,
                y,
                width,
                height,
            })
        })
        .collect()
}

type Wanted = (usize, i64, i64, u32, u32);

/// Whether a screen can hold them.
fn fits(places: &[Wanted], limits: Limits) -> bool {
    let span = |first: i64, last: i64, most: u32| last.saturating_sub(first) <= i64::from(most);
    let min = |of: fn(&Wanted) -> i64| places.iter().map(of).min().unwrap_or_default();
    let max = |of: fn(&Wanted) -> i64| places.iter().map(of).max().unwrap_or_default();
    span(
        min(|place| place.1),
        max(|place| place.1.saturating_add(place.3.into())),
        limits.most.0,
    ) && span(
        min(|place| place.2),
        max(|place| place.2.saturating_add(place.4.into())),
        limits.most.1,
    )
}

/// The size of the screen that holds the places.
pub(crate) fn bounds(places: &[Place], limits: Limits) -> (u32, u32) {
    let width = places
        .iter()
        .map(|place| place.x + place.width)
        .max()
        .unwrap_or_default();
    let height = places
        .iter()
        .map(|place| place.y + place.height)
        .max()
        .unwrap_or_default();
    (width.max(limits.least.0), height.max(limits.least.1))
}

#[cfg(test)]
mod tests {
    use caraway_protocol::agent::AgentMonitor;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        least: (320, 200),
        most: (8192, 8192),
    };

    fn monitor((x, y, width, height): (i32, i32, u32, u32)) -> AgentMonitor {
        AgentMonitor {
            width,
            height,
            depth: 32,
            x,
            y,
        }
    }

    fn planned(
        has_places: bool,
        monitors: &[(i32, i32, u32, u32)],
        displays: usize,
    ) -> Vec<(usize, u32, u32, u32, u32)> {
        let monitors = monitors.iter().copied().map(monitor).collect();
        let config = MonitorsConfig { has_places, monitors };
        let places = plan(&config, displays, LIMITS).unwrap_or_default();
        places
            .iter()
            .map(|place| (place.display, place.x, place.y, place.width, place.height))
            .collect()
    }

    #[test]
    fn monitors_are_beside_each_other_or_where_the_client_has_them() {
        let wanted = [(0, 0, 1024, 768), (0, 0, 0, 0), (7, 9, 800, 600)];
        assert_eq!(
            planned(false, &wanted, 4),
            [(0, 0, 0, 1024, 768), (2, 1024, 0, 800, 600)]
        );
        assert_eq!(planned(false, &wanted, 2), [(0, 0, 0, 1024, 768)]);
        let left = [(0, 0, 1024, 768), (-800, 100, 800, 600)];
        assert_eq!(planned(true, &left, 2), [(0, 800, 0, 1024, 768), (1, 0, 100, 800, 600)]);
        assert_eq!(planned(true, &[], 2), []);
        assert_eq!(planned(true, &[(0, 0, 0, 0)], 2), []);
    }

    #[test]
    fn what_no_screen_can_hold_is_made_fit() {
        let far = [(0, 0, 1024, 768), (i32::MAX, i32::MIN, 800, 600)];
        assert_eq!(planned(true, &far, 2), [(0, 0, 0, 1024, 768), (1, 1024, 0, 800, 600)]);
        assert_eq!(planned(true, &[(0, 0, u32::MAX, 1)], 2), [(0, 0, 0, 8192, 64)]);
        let many = [(0, 0, 5000, 768); 3];
        assert_eq!(planned(false, &many, 3), [(0, 0, 0, 5000, 768)]);
    }

    proptest! {
        #[test]
        fn any_wish_is_a_screen(
            has_places: bool,
            monitors in vec(any::<(i32, i32, u32, u32)>(), 0..20),
            displays in 0..17_usize,
        ) {
            let monitors = monitors.into_iter().map(monitor).collect();
            let config = MonitorsConfig { has_places, monitors };
            if let Some(places) = plan(&config, displays, LIMITS) {
                let (width, height) = bounds(&places, LIMITS);
                prop_assert!(width <= 8192 && height <= 8192 && !places.is_empty());
                prop_assert!(places.iter().all(|place| place.display < displays && place.width >= 64));
            }
        }
    }
}
