//! All targets for libFuzzer in one program, which is built once: `CARAWAY_FUZZ_TARGET` names the one to fuzz.
#![no_main]

use std::sync::LazyLock;

use caraway_fuzz_sessions::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("CARAWAY_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("CARAWAY_FUZZ_TARGET={name} is not a target"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.run(data));
