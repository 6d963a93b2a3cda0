//! A wall clock that jumps by hours at every look at it: `clippy.toml` keeps it away from whatever
//! measures time, and this shows that nothing else goes by it.

use std::process::Command;

use milvus_difftest::engine::simulated::Fault;

use super::{figures, fuzz};
use crate::support::{Sandbox, run, simulated};

/// Takes the place of the C library's clock: two hours ahead, then one behind, and so on.
const SHIM: &str = r"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump(void) {
    static int looks;
    return __atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 2 ? -3600 : 7200;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return failed;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

__attribute__((constructor)) static void say(void) {
    if (getenv(%SAY%)) write(2, getenv(%SAY%), 5);
}
";

#[test]
fn a_clock_that_jumps_changes_neither_answers_nor_budgets() {
    let sandbox = Sandbox::new();
    let source = sandbox.write("shim.c", &SHIM.replace("%SAY%", "\"SHIM\""));
    let shim = sandbox.path("shim.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-w", "-o"]).args([&shim, &source]);
    run(compile).expect(0);
    let engine = simulated(&[Fault::LessThanIncludesEqual]);
    let uri = engine.uri();
    let args = ["--target", &uri, "--seed", "1", "--filters", "12"];
    let jumping = |more: &[&str]| {
        let _ = std::fs::remove_dir_all(sandbox.path("out"));
        let mut command = fuzz(&sandbox, &[&args[..], more].concat());
        command.env("LD_PRELOAD", &shim).env("SHIM", "jump ");
        let ended = run(command);
        assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("jump "), "the clock is as it was: {}", ended.stderr);
        sandbox.summary()
    };

    let quiet = Sandbox::new();
    run(fuzz(&quiet, &[&args[..], &["--cases", "8", "--time", "10m"]].concat())).expect(1);
    // No budget of time is used up, and none is left over.
    let summary = jumping(&["--cases", "8", "--time", "10m"]);
    assert_eq!(figures(&summary), figures(&quiet.summary()));
    let summary = jumping(&["--time", "3s"]);
    let seconds = summary["seconds"].as_f64().expect("a number");
    assert!((3.0..60.0).contains(&seconds), "{seconds}");
    let journal = std::fs::read_to_string(sandbox.path("out/events.jsonl")).expect("a journal");
    let at = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["seconds"].as_f64()
    };
    let moments: Vec<f64> = journal.lines().filter_map(at).collect();
    assert!(moments.len() > 10 && moments.is_sorted());
    assert!(moments.iter().all(|at| (0.0..60.0).contains(at)), "{moments:?}");
}
