//! What a call gives: a message, an error in Milvus's own way, or nothing at all.

use std::fmt::Display;

use milvus::proto::{common, milvus as pb};

/// What a call gives.
pub(super) type Reply<T> = Result<T, Failure>;

/// Why a call has no regular answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error status, inside a successful reply: Milvus reports nearly all errors so.
    Refused(common::Status),
    /// No reply, ever.
    Hang,
    /// No reply, and no server from now on.
    Crash,
}

/// The status of a success.
pub(super) fn ok() -> Option<common::Status> {
    Some(common::Status::default())
}

pub(super) fn not_found(collection: &str) -> Failure {
    refused(100, format!("collection not found[database=default][collection={collection}]"))
}

pub(super) fn not_loaded(collection: &str) -> Failure {
    refused(101, format!("collection not loaded[collection={collection}]"))
}

pub(super) fn no_partition(name: &str) -> Failure {
    refused(200, format!("partition not found[partition={name}]"))
}

pub(super) fn no_index(reason: &str) -> Failure {
    refused(700, reason)
}

pub(super) fn invalid(reason: impl Into<String>) -> Failure {
    refused(1100, reason)
}

/// A filter that cannot be served.
pub(super) fn no_plan(reason: impl Display) -> Failure {
    invalid(format!("failed to create query plan: cannot parse expression: {reason}"))
}

/// The codes are Milvus's.
fn refused(code: i32, reason: impl Into<String>) -> Failure {
    Failure::Refused(common::Status { code, reason: reason.into(), ..Default::default() })
}

/// A reply that can carry an error status.
pub(super) trait Refusable {
    fn refused(status: common::Status) -> Self;
}

impl Refusable for common::Status {
    fn refused(status: common::Status) -> Self {
        status
    }
}

macro_rules! refusable {
    ($($reply:ident)+) => {
        $(impl Refusable for pb::$reply {
            fn refused(status: common::Status) -> Self {
                pb::$reply { status: Some(status), ..Default::default() }
            }
        })+
    };
}

refusable! {
    AllocTimestampResponse BoolResponse CheckHealthResponse ConnectResponse
    DescribeCollectionResponse DescribeIndexResponse FlushResponse GetLoadStateResponse
    GetLoadingProgressResponse GetReplicasResponse GetVersionResponse MutationResult QueryResults
    ShowCollectionsResponse GetCompactionStateResponse GetPersistentSegmentInfoResponse
    ManualCompactionResponse SearchResults
}
