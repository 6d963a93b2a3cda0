//! The harness can fail: every injected fault is found, and nothing is found without one.

use crate::support::{Sandbox, run};

#[test]
fn every_fault_is_found() {
    let sandbox = Sandbox::new();
    let text = run(sandbox.command(&["selftest"])).expect(0).stdout;
    assert!(text.contains(" 0 divergences, "), "{text}");
    assert!(text.contains("(100 %)") && !text.contains("NOT FOUND"), "{text}");
}
