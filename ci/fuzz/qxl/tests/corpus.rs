//! What fuzzing has kept, carried out once more.

use std::process::Command;

#[test]
fn nothing_of_the_corpus_fails() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let status = Command::new(env!("CARGO_BIN_EXE_corpus"))
        .args(["replay", folder])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "what failed is named above"
    );
}
