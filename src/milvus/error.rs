//! What can go wrong between this crate and Milvus.

use std::time::Duration;

use milvus::proto::common::Status;
use tonic::Code;

/// A failed call to Milvus.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MilvusError {
    /// The server answered, with an error.
    #[error("milvus rejected {operation}: {reason} (code {code})")]
    Rejected {
        /// What was asked, for instance "query".
        operation: &'static str,
        /// Milvus's error code; a gRPC status counts as code 65535.
        code: i32,
        /// The server's words.
        reason: String,
    },
    /// The server did not answer: the connection was refused, closed or reset.
    #[error("milvus did not answer {operation}: {reason}; is it running and reachable?")]
    Unavailable {
        /// What was asked.
        operation: &'static str,
        /// The transport's words.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("milvus did not answer {operation} within {}", humantime::format_duration(*.after))]
    Deadline {
        /// What was asked.
        operation: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The server refused the credentials.
    #[error("milvus refused the credentials at {operation}: {reason}; check --token")]
    Denied {
        /// What was asked.
        operation: &'static str,
        /// The server's words.
        reason: String,
    },
    /// The server's answer makes no sense.
    #[error("milvus answered {operation} with something unreadable: {reason}")]
    Malformed {
        /// What was asked.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The SDK would not send the request.
    #[error("the request for {operation} could not be sent: {reason}")]
    Unsendable {
        /// What was to be asked.
        operation: &'static str,
        /// The SDK's words.
        reason: String,
    },
}

/// The code in the text of a [`MilvusError::Rejected`].
///
/// ```
/// use milvus_difftest::milvus::{MilvusError, code_in};
/// let error = MilvusError::Rejected { operation: "query", code: 1100, reason: "no (code 7)".into() };
/// assert_eq!(code_in(&error.to_string()), Some(1100));
/// assert_eq!(code_in("no such field"), None);
/// ```
pub fn code_in(text: &str) -> Option<i32> {
    text.strip_suffix(')')?.rsplit_once("(code ")?.1.parse().ok()
}

/// Milvus's code for an error without a code of its own.
const UNEXPECTED: i32 = 65535;

impl MilvusError {
    /// Whether the engine is gone, as opposed to having answered with an error.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, MilvusError::Unavailable { .. })
    }

    /// `after` is how long was waited, should it have been in vain.
    pub(super) fn from_status(
        operation: &'static str,
        after: Duration,
        status: &tonic::Status,
    ) -> MilvusError {
        let reason = status.message().to_owned();
        let transport = matches!(reason.as_str(), "transport error" | "operation was canceled")
            || reason.contains("connect error")
            || reason.starts_with("h2 protocol error")
            || reason.starts_with("error reading a body");
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => {
                MilvusError::Denied { operation, reason }
            }
            Code::Unavailable => MilvusError::Unavailable { operation, reason },
            // Time that is up shows as either, depending on whose clock noticed. The server has
            // refused nothing.
            Code::DeadlineExceeded | Code::Cancelled if !transport => {
                MilvusError::Deadline { operation, after }
            }
            Code::Unknown | Code::Cancelled | Code::Internal if transport => {
                MilvusError::Unavailable { operation, reason }
            }
            _ if is_unreadable(&reason) => MilvusError::Malformed { operation, reason },
            _ => MilvusError::Rejected { operation, code: UNEXPECTED, reason },
        }
    }

    pub(crate) fn from_sdk(
        operation: &'static str,
        after: Duration,
        error: milvus::v2::prelude::Error,
    ) -> MilvusError {
        use milvus::v2::prelude::Error;
        match error {
            Error::Grpc(error) => {
                let status = tonic::Status::new(error.code(), error.message().to_owned());
                MilvusError::from_status(operation, after, &status)
            }
            Error::Server(error) => {
                let code = if error.code() == 0 { error.legacy_code() } else { error.code() };
                rejected(operation, code, error.reason().to_owned())
            }
            Error::Timeout(_) => MilvusError::Deadline { operation, after },
            Error::RetryExhausted { source, .. } => {
                MilvusError::from_sdk(operation, after, *source)
            }
            Error::MalformedResponse(reason) => MilvusError::Malformed { operation, reason },
            other => MilvusError::Unsendable { operation, reason: other.to_string() },
        }
    }
}

/// Whether an error is of this side's making, because of what came: neither a word of the server nor
/// of the connection. tonic gives it the codes of refusals, and tells it by its text alone.
fn is_unreadable(reason: &str) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "failed to decode Protobuf message",
        "Unexpected EOF decoding stream",
        "Missing response message",
        "protocol error: received message",
        "Error, decoded message length too large",
        // A page of some web server's, say.
        "grpc-status header missing",
    ];
    BEGINNINGS.iter().any(|beginning| reason.starts_with(beginning))
}

fn rejected(operation: &'static str, code: i32, reason: String) -> MilvusError {
    // 1800: "not authenticated" in Milvus's pkg/util/merr.
    if code == 1800 {
        MilvusError::Denied { operation, reason }
    } else {
        MilvusError::Rejected { operation, code, reason }
    }
}

/// An `Err` if the status is one of failure. Old servers fill `error_code`, new ones `code`.
pub(super) fn check_status(
    operation: &'static str,
    status: Option<&Status>,
) -> Result<(), MilvusError> {
    let Some(status) = status else {
        return Err(MilvusError::Malformed { operation, reason: "it has no status".to_owned() });
    };
    #[expect(deprecated, reason = "Milvus 2.2 and Milvus Lite set only the legacy code")]
    let legacy = status.error_code;
    match (status.code, legacy) {
        (0, 0) => Ok(()),
        (0, code) | (code, _) => Err(rejected(operation, code, status.reason.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_up_is_no_refusal() {
        let of = |code, text: &str| {
            let status = tonic::Status::new(code, text);
            MilvusError::from_status("insert", Duration::from_secs(1), &status)
        };
        // By tonic's own clock, which the SDK sets, and by a server's or a proxy's.
        for status in [
            of(Code::Cancelled, "Timeout expired"),
            of(Code::DeadlineExceeded, "context deadline exceeded"),
        ] {
            assert!(matches!(status, MilvusError::Deadline { .. }), "{status}");
        }
        let lost = of(Code::Cancelled, "operation was canceled");
        assert!(matches!(lost, MilvusError::Unavailable { .. }), "{lost}");
        let refused = of(Code::InvalidArgument, "no");
        assert!(matches!(refused, MilvusError::Rejected { .. }), "{refused}");
    }

    #[test]
    fn what_cannot_be_read_is_no_refusal() {
        for (code, text) in [
            (Code::Internal, "failed to decode Protobuf message: invalid wire type value: 7"),
            (Code::Internal, "Unexpected EOF decoding stream."),
            (Code::OutOfRange, "Error, decoded message length too large: found 7 bytes"),
            (Code::Unimplemented, "grpc-status header missing, mapped from HTTP status code 404"),
        ] {
            let status = tonic::Status::new(code, text);
            let error = MilvusError::from_status("query", Duration::from_secs(1), &status);
            assert!(matches!(error, MilvusError::Malformed { .. }), "{error}");
        }
    }
}
