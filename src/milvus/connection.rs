//! The connection: the official SDK for everything but queries, which need an own decoder.

use std::future::Future;
use std::time::Duration;

use milvus::proto::milvus::GetVersionRequest;
use milvus::proto::milvus::milvus_service_client::MilvusServiceClient;
use milvus::v2::ClientV2;
use milvus::v2::prelude::{ConnectConfig, Error as SdkError, RetryConfig, TelemetryConfig};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::error::{MilvusError, check_status};
use super::session::Session;

/// How to reach a Milvus.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `http://host:port` or `https://host:port`.
    pub uri: String,
    /// `user:password` or an API key.
    pub token: Option<String>,
    /// How long any one call may take.
    pub deadline: Duration,
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// A connection to a Milvus.
#[derive(Clone)]
pub struct Milvus {
    pub(super) sdk: ClientV2,
    pub(super) raw: MilvusServiceClient<InterceptedService<Channel, Credentials>>,
    pub(super) deadline: Duration,
    version: String,
    /// How long to wait after each write.
    pub(super) write_pause: Duration,
    pub(super) session: Session,
}

/// Milvus Lite 2 tells writes apart by the millisecond. Of two to one key within the same, either
/// may win, at random (see docs/measurements.md): every case with an upsert would be lost to that.
const COARSE_CLOCK: Duration = Duration::from_millis(2);

impl Milvus {
    /// Connects and asks the server for its version.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), milvus_difftest::milvus::MilvusError> {
    /// use milvus_difftest::milvus::{ConnectOptions, Milvus};
    /// let options = ConnectOptions {
    ///     uri: "http://127.0.0.1:19530".to_owned(),
    ///     token: None,
    ///     deadline: std::time::Duration::from_secs(10),
    /// };
    /// println!("{}", Milvus::connect(&options).await?.version());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(options: &ConnectOptions) -> Result<Milvus, MilvusError> {
        const OPERATION: &str = "connect";
        // The SDK's defaults are no deadline, 75 attempts at a dead server, and a heartbeat.
        let mut config = ConnectConfig::new()
            .uri(&options.uri)
            .connect_timeout(options.deadline)
            .rpc_timeout(options.deadline)
            .retry(RetryConfig::new().max_attempts(1))
            .telemetry(TelemetryConfig::new().enabled(false));
        if let Some(token) = &options.token {
            config = config.token(token);
        }
        let unsendable = |reason: String| MilvusError::Unsendable { operation: OPERATION, reason };
        let authorization = match config.get_token() {
            // The SDK keeps the token in the base64 form that goes on the wire.
            Some(token) => {
                let mut value: MetadataValue<Ascii> =
                    token.parse().map_err(|_| unsendable("the token is not ASCII".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let mut endpoint = Endpoint::from_shared(options.uri.clone())
            .map_err(|error| unsendable(format!("'{}' is not a URI: {error}", options.uri)))?
            .connect_timeout(options.deadline);
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().with_native_roots())
                .map_err(|error| unsendable(error.to_string()))?;
        }
        let credentials = Credentials { authorization };
        let mut raw = MilvusServiceClient::with_interceptor(endpoint.connect_lazy(), credentials)
            .max_decoding_message_size(256 << 20);
        let sdk = within(OPERATION, options.deadline, ClientV2::new(&config)).await?;
        let version = raw.get_version(GetVersionRequest {});
        let version = match tokio::time::timeout(options.deadline, version).await {
            Err(_) => {
                return Err(MilvusError::Deadline {
                    operation: OPERATION,
                    after: options.deadline,
                });
            }
            // Milvus Lite 2.x has no version call.
            Ok(Err(status)) if status.code() == tonic::Code::Unimplemented => String::new(),
            Ok(Err(status)) => {
                return Err(MilvusError::from_status(OPERATION, options.deadline, &status));
            }
            Ok(Ok(response)) => {
                let response = response.into_inner();
                check_status(OPERATION, response.status.as_ref())?;
                response.version
            }
        };
        let write_pause = if version.is_empty() { COARSE_CLOCK } else { Duration::ZERO };
        let session = Session::default();
        Ok(Milvus { sdk, raw, deadline: options.deadline, version, write_pause, session })
    }

    /// The version as the server reports it; empty if it has no such call.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Runs an SDK call under the deadline.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError>>,
    ) -> Result<T, MilvusError> {
        within(operation, self.deadline, call).await
    }

    /// Runs a call of the raw protocol under the deadline.
    pub(super) async fn call_raw<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, MilvusError> {
        let begun = std::time::Instant::now();
        let result = tokio::time::timeout(self.deadline, call).await;
        tracing::trace!(operation, elapsed = ?begun.elapsed(), "called milvus");
        match result {
            Err(_) => Err(MilvusError::Deadline { operation, after: self.deadline }),
            Ok(Err(status)) => Err(MilvusError::from_status(operation, self.deadline, &status)),
            Ok(Ok(response)) => Ok(response.into_inner()),
        }
    }
}

async fn within<T>(
    operation: &'static str,
    deadline: Duration,
    call: impl Future<Output = Result<T, SdkError>>,
) -> Result<T, MilvusError> {
    let begun = std::time::Instant::now();
    let result = tokio::time::timeout(deadline, call).await;
    tracing::trace!(operation, elapsed = ?begun.elapsed(), "called milvus");
    match result {
        Err(_) => Err(MilvusError::Deadline { operation, after: deadline }),
        Ok(Err(error)) => Err(MilvusError::from_sdk(operation, deadline, error)),
        Ok(Ok(value)) => Ok(value),
    }
}

/// Puts the token on every raw call.
#[derive(Clone)]
pub(super) struct Credentials {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Credentials {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
