//! Running a command to its end: its lines as they come, the last of them if it fails.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::Command;

use crate::secret::redact;

/// Enough of pip's output to hold its error and the reason it gives.
const LAST_LINES: usize = 15;

/// How a command ended.
pub(super) struct Outcome {
    pub status: ExitStatus,
    /// The end of its output, without credentials.
    pub last_lines: String,
}

/// Runs `command` with `stdin`, handing each line of its output and errors to `on_line`. The
/// command dies if the future is dropped.
pub(super) async fn run(
    mut command: Command,
    stdin: Stdio,
    mut on_line: impl FnMut(&str),
) -> io::Result<Outcome> {
    // One pipe for both, so that the lines keep their order.
    let (reader, writer) = io::pipe()?;
    command.stdin(stdin).stdout(writer.try_clone()?).stderr(writer).kill_on_drop(true);
    let mut child = command.spawn()?;
    // It holds this end's copies of the writer, with which the pipe would never end.
    drop(command);

    let mut output = BufReader::new(pipe::Receiver::from_owned_fd(reader.into())?);
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes).await? > 0 {
        let line = redact(String::from_utf8_lossy(&bytes).trim_end());
        tracing::debug!(target: "milvus_difftest::engine", "{line}");
        on_line(&line);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
        bytes.clear();
    }
    Ok(Outcome { status: child.wait().await?, last_lines: Vec::from(last).join("\n") })
}
