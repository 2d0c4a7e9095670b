//! States [`Controller::check`] refuses.

use super::{ANSWERS, Byte, Controller, LONGEST_BURST, Output, Source};

/// Each is broken in one place.
pub(in crate::i8042) fn states(good: &Controller) -> Vec<Controller> {
    let changes: [fn(&mut Controller); 4] = [
        |state| state.ram.clear(),
        |state| state.answers = vec![(0, Source::Controller); ANSWERS + 1].into(),
        |state| state.burst = LONGEST_BURST + 1,
        |state| {
            let byte = Byte { value: 0, event: true };
            let source = Source::Keyboard;
            state.put_back = vec![Output { byte, source }; 3].into();
        },
    ];
    let broken = changes.map(|change| {
        let mut state = good.clone();
        change(&mut state);
        state
    });
    broken.into()
}
