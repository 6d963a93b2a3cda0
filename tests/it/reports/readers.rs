//! Programs that read what this crate writes. Where one is not installed, its tests say that they
//! were skipped, unless MILVUS_DIFFTEST_TEST_READERS says that there are all of them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of Debian, if it is there.
pub fn reader(program: &str, package: &str) -> Option<Command> {
    reader_from(program, &format!("Debian has it in the package {package}"))
}

/// A program, if it is there; else it is said where it is from.
pub fn reader_from(program: &str, origin: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if found {
        return Some(Command::new(program));
    }
    let message = format!("{program} is not installed; {origin}");
    assert!(std::env::var_os("MILVUS_DIFFTEST_TEST_READERS").is_none(), "{message}");
    eprintln!("***** skipped: {message} *****");
    None
}

pub fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas").join(name)
}

/// Whether a command is content; what it says if not.
pub fn complaint(mut command: Command) -> Option<String> {
    let output = command.output().expect("the reader runs");
    let text = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// What xmllint has against JUnit XML by the schema of Jenkins.
pub fn against_junit(document: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("junit.xml");
    std::fs::write(&file, document).expect("the folder can be written");
    let mut command = reader("xmllint", "libxml2-utils")?;
    command.args(["--noout", "--nonet", "--schema"]).arg(schema("junit-10.xsd")).arg(file);
    complaint(command)
}

/// What Python's jsonschema has against SARIF by its schema.
pub fn against_sarif(document: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("run.sarif");
    std::fs::write(&file, document).expect("the folder can be written");
    let mut command = reader("jsonschema", "python3-jsonschema")?;
    command.arg("-i").arg(file).arg(schema("sarif-2.1.0.json"));
    complaint(command)
}
