//! The help texts, as a stranger reads them: a change of them shows as a change of a file in
//! `snapshots`.

use std::path::Path;

use crate::support::{Sandbox, run};

#[test]
fn help_texts() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_fuzz", &["fuzz", "--help"]),
        ("help_gate", &["gate", "--help"]),
        ("help_merge", &["merge", "--help"]),
        ("help_replay", &["replay", "--help"]),
        ("help_shrink", &["shrink", "--help"]),
        ("help_bisect", &["bisect", "--help"]),
        ("help_corpus_generate", &["corpus", "generate", "--help"]),
        ("help_corpus_check", &["corpus", "check", "--help"]),
        ("help_report", &["report", "--help"]),
        ("help_selftest", &["selftest", "--help"]),
        ("help_coverage", &["coverage", "--help"]),
        ("help_explain", &["explain", "--help"]),
        ("help_attach", &["attach", "--help"]),
        ("help_compare", &["compare", "--help"]),
        ("help_query", &["query", "--help"]),
        ("help_filters", &["filters", "--help"]),
        ("help_shell", &["shell", "--help"]),
        ("help_engines", &["engines", "--help"]),
        ("help_engines_start", &["engines", "start", "--help"]),
        ("help_engines_doctor", &["engines", "doctor", "--help"]),
    ] {
        let mut command = Sandbox::new().command(args);
        // Where the engine is installed may be set on this machine, and would be shown.
        command.env_remove("MILVUS_DIFFTEST_CACHE").env_remove("MILVUS_DIFFTEST_PYTHON");
        command.env("COLUMNS", "100").current_dir("/");
        let run = run(command).expect(0);
        assert_eq!(run.stderr, "");
        settings.bind(|| insta::assert_snapshot!(name, run.stdout));
    }
}
