//! Whether a Milvus answers at an address.

use std::time::Duration;

use milvus::v2::{ClientV2, ConnectConfig, RetryConfig, TelemetryConfig};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Uri;

use crate::milvus::{ConnectOptions, Consistency, Milvus, MilvusError, QueryOptions};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::secret::{Secret, redact};
use crate::value::{Row, Value};

/// One attempt's share of the time: a server that accepts connections before it is ready (a
/// container's port proxy does) may swallow the first.
const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// Why a server cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It refuses the credentials; waiting would not help.
    Denied(String),
    /// It has not answered in time; what the last attempt met.
    Silent(String),
}

/// Waits until the server at `uri` answers a call.
pub(super) async fn until_it_answers(
    uri: &str,
    token: Option<&Secret>,
    patience: Duration,
) -> Result<(), Unusable> {
    let address: Uri =
        uri.parse().map_err(|error| Unusable::Silent(format!("it is no address ({error})")))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) {
        return Err(Unusable::Silent("it begins neither with http:// nor with https://".into()));
    }
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
        let mut config = ConnectConfig::new()
            .uri(uri)
            .telemetry(TelemetryConfig::new().enabled(false))
            .retry(RetryConfig::new().max_attempts(1))
            .connect_timeout(left)
            .rpc_timeout(left);
        if let Some(token) = token {
            config = config.token(token.expose());
        }
        // Connecting makes a call, the handshake, and repeats it while nobody listens.
        let refusal = match timeout(left, ClientV2::new(&config)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => match MilvusError::from_sdk("connect", left, error) {
                MilvusError::Denied { reason, .. } => {
                    return Err(Unusable::Denied(redact(&reason)));
                }
                error => Some(redact(&error.to_string())),
            },
            Err(_) => None,
        };
        if Instant::now() + PAUSE >= deadline {
            return Err(Unusable::Silent(match listens(&address).await {
                Ok(()) => refusal.unwrap_or_else(|| "it accepts connections but is silent".into()),
                Err(reason) => reason,
            }));
        }
        sleep(PAUSE).await;
    }
}

/// Waits until the server at `uri` stores a row and finds it. A server of several parts takes
/// calls, and answers some, before all of them are ready.
pub(super) async fn until_it_works(uri: &str, patience: Duration) -> Result<(), Unusable> {
    let deadline = Instant::now() + patience;
    until_it_answers(uri, None, patience).await?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let reason = match timeout(left, rehearse(uri, left)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it accepts calls but does not complete them".to_owned(),
        };
        if Instant::now() + PAUSE >= deadline {
            return Err(Unusable::Silent(reason));
        }
        sleep(PAUSE).await;
    }
}

async fn rehearse(uri: &str, deadline: Duration) -> Result<(), MilvusError> {
    const COLLECTION: &str = "difftest_rehearsal";
    let milvus =
        Milvus::connect(&ConnectOptions { uri: uri.to_owned(), token: None, deadline }).await?;
    let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    let vector = Field::new("vector", DataType::FloatVector { dim: 2 });
    let schema = Schema { fields: vec![id, vector], dynamic: false };
    let values = [("id", Value::Int(1)), ("vector", Value::Vector(vec![0.0, 0.0]))];
    let fields = values.map(|(name, value)| (name.to_owned(), value));
    let row = Row { fields: fields.into_iter().collect(), ..Row::default() };
    milvus.create(COLLECTION, &schema).await?;
    milvus.insert(COLLECTION, &schema, &[row]).await?;
    let options =
        QueryOptions { consistency: Consistency::Strong, deadline, page: None, partitions: &[] };
    let found = milvus.query(COLLECTION, &schema, "id == 1", options).await?;
    milvus.drop_collection(COLLECTION).await?;
    if found.is_empty() {
        let reason = "a row that it had just stored is missing".to_owned();
        return Err(MilvusError::Malformed { operation: "query", reason });
    }
    Ok(())
}

/// Why nothing can be reached at all, which the client hides behind its own timeout.
async fn listens(address: &Uri) -> Result<(), String> {
    let Some(host) = address.host() else {
        return Err("it names no host".into());
    };
    let port = address.port_u16().unwrap_or(match address.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let host = host.trim_matches(['[', ']']);
    match timeout(Duration::from_secs(2), TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("connecting to port {port} failed ({error})")),
        Err(_) => Err(format!("connecting to port {port} timed out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_reason_is_the_one_a_person_needs() {
        for (uri, reason) in
            [("http://127.0.0.1:1", "connecting to port 1 failed"), ("http://", "it is no address")]
        {
            let Err(Unusable::Silent(met)) =
                until_it_answers(uri, None, Duration::from_millis(300)).await
            else {
                panic!("nothing is there");
            };
            assert!(met.contains(reason), "{met}");
        }
    }

    #[tokio::test]
    async fn a_silent_server_is_told_from_a_missing_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}", listener.local_addr().expect("its address"));
        let Err(Unusable::Silent(met)) =
            until_it_answers(&uri, None, Duration::from_millis(300)).await
        else {
            panic!("it never answers");
        };
        assert!(!met.contains("failed"), "{met}");
    }
}
