//! What the tests of the binary share: a folder for each test to run it in, its output, and an
//! engine to run it against. The binary sees no `MILVUS_DIFFTEST_*` variable that the test has not
//! set, writes its temporary files below the test's folder, and always runs with RUST_BACKTRACE=1,
//! which must not make its errors longer.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use milvus::v2::ClientV2;
use milvus::v2::prelude::{ConnectConfig, ListCollectionsRequest};
use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};
use serde_json::Value as Json;
use tempfile::TempDir;

/// Only what hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(2400);

/// A simulated engine with these faults.
pub fn simulated(faults: &[Fault]) -> SimulatedMilvus {
    let options = SimulatedOptions { faults: faults.to_vec(), ..Default::default() };
    SimulatedMilvus::start(options).expect("a loopback port")
}

/// The names of the collections on an engine.
pub async fn collections(uri: &str) -> Vec<String> {
    let client = ClientV2::new(&ConnectConfig::new().uri(uri)).await.expect("it answers");
    let request = ListCollectionsRequest::builder().build().expect("it needs nothing");
    client.list_collections(request).await.expect("a list").collection_names().to_vec()
}

/// The folder that a test runs the binary in.
pub struct Sandbox(TempDir);

impl Sandbox {
    pub fn new() -> Sandbox {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tmp")).expect("a folder in it");
        Sandbox(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary's folder for temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.path("tmp")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the folder can be written");
        path
    }

    /// The binary, to be run in this folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milvus-difftest"));
        // Where the engine is installed is the user's choice.
        let chosen = ["MILVUS_DIFFTEST_CACHE", "MILVUS_DIFFTEST_PYTHON"];
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("MILVUS_DIFFTEST_") && !chosen.contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1").env("TMPDIR", self.tmp());
        command.current_dir(self.0.path()).stdin(Stdio::null()).args(args);
        command
    }

    /// `fuzz` on one engine that runs already, into the folder `out` and the file `summary.json`. A
    /// run that is in the folder already is forgotten, but for its findings.
    pub fn fuzz(&self, target: &str, args: &[&str]) -> Command {
        let _ = fs::remove_file(self.path("out/events.jsonl"));
        let mut command = self.command(&["fuzz", "--target", target, "--seed", "1", "--jobs", "1"]);
        command.args(["--out", "out", "--summary", "summary.json"]).args(args);
        command
    }

    /// What `--summary summary.json` wrote.
    pub fn summary(&self) -> Json {
        let text = fs::read_to_string(self.path("summary.json")).expect("a summary was written");
        serde_json::from_str(&text).expect("the summary is JSON")
    }

    /// The folders of findings in `out`.
    pub fn findings(&self) -> Vec<PathBuf> {
        entries(&self.path("out")).into_iter().filter(|path| path.is_dir()).collect()
    }
}

/// What a folder holds, sorted; nothing if there is none.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// How a run of the binary ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn new(status: ExitStatus, stdout: String, stderr: String) -> Run {
        Run { code: status.code(), stdout, stderr }
    }

    /// Whether it ended with this code; without a panic in any case.
    #[track_caller]
    pub fn expect(self, code: i32) -> Run {
        let Run { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "\nstdout:\n{stdout}\nstderr:\n{stderr}");
        for text in [stdout, stderr] {
            assert!(!text.contains("panicked"), "{text}");
            assert!(!text.contains("backtrace"), "{text}");
        }
        self
    }

    /// The one paragraph on stderr that says what was wrong.
    #[track_caller]
    pub fn error(&self) -> &str {
        let mut errors = self.stderr.split("error: ").skip(1);
        let (Some(error), None) = (errors.next(), errors.next()) else {
            panic!("not one error:\n{}", self.stderr);
        };
        let lines: Vec<_> = error.lines().collect();
        let [error] = lines[..] else { panic!("not one paragraph:\n{}", self.stderr) };
        error
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: Command) -> Run {
    let mut command = assert_cmd::Command::from_std(command);
    let Output { status, stdout, stderr } =
        command.timeout(PATIENCE).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    Run::new(status, text(stdout), text(stderr))
}

/// A command that is running; killed when this is dropped.
pub struct Running {
    child: Child,
    output: [(Arc<Mutex<String>>, JoinHandle<()>); 2],
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stdout = collect(child.stdout.take().expect("it is piped"));
        let stderr = collect(child.stderr.take().expect("it is piped"));
        Running { child, output: [stdout, stderr] }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stderr(&self) -> String {
        self.output[1].0.lock().expect("no panic").clone()
    }

    pub fn stdout(&self) -> String {
        self.output[0].0.lock().expect("no panic").clone()
    }

    /// Waits until this text is on stdout.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str) {
        let seen = eventually(|| {
            self.stdout().contains(text) || self.child.try_wait().expect("a child").is_some()
        });
        assert!(seen && self.stdout().contains(text), "no '{text}'; errors:\n{}", self.stderr());
    }

    /// Waits until this text is on stderr.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let seen = eventually(|| {
            self.stderr().contains(text) || self.child.try_wait().expect("a child").is_some()
        });
        assert!(seen && self.stderr().contains(text), "no '{text}' in:\n{}", self.stderr());
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub fn signal(&self, name: &str) {
        signal(name, self.pid());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Run {
        let ended = eventually(|| self.child.try_wait().expect("a child").is_some());
        assert!(ended, "it does not end:\n{}", self.stderr());
        let status = self.child.wait().expect("it has ended");
        // Its engine may hold the pipes a little longer; what it wrote itself is all there.
        let all_read = || self.output.iter().all(|(_, reader)| reader.is_finished());
        assert!(eventually(all_read), "something still holds its output");
        let [stdout, stderr] = [0, 1].map(|i| self.output[i].0.lock().expect("no panic").clone());
        Run::new(status, stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that comes out of a pipe, as it comes.
fn collect(mut pipe: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let target = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let piece = String::from_utf8_lossy(&buffer[..length]);
            target.lock().expect("no panic").push_str(&piece);
        }
    });
    (text, reader)
}

pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Whether something becomes true, given all the time it may need.
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
