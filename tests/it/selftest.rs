//! The harness can fail: every injected fault is found, and nothing is found without one.

use crate::support::{Sandbox, entries, run};

#[test]
fn every_fault_is_found() {
    let sandbox = Sandbox::new();
    let text = run(sandbox.command(&["selftest", "--out", "found"])).expect(0).stdout;
    assert!(text.contains(" 0 divergences, "), "{text}");
    assert!(text.contains("(100 %)") && !text.contains("NOT FOUND"), "{text}");
    // Those that answers cannot be repeated under have none.
    assert!(entries(&sandbox.path("found")).len() > 100, "{text}");
}
