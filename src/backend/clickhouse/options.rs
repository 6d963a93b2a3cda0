//! Where a ClickHouse is and how to talk to it.

use std::time::Duration;

use url::Url;

use crate::backend::BackendError;
use crate::secret::Secret;

/// How to reach a ClickHouse.
///
/// ```
/// use milvus_difftest::backend::ClickHouseOptions;
/// let options = ClickHouseOptions::from_url(
///     "https://ann:p%40ss@db.example:8443/reference?compression=none&cluster=main",
/// )?;
/// assert_eq!(options.url, "https://db.example:8443/");
/// assert_eq!(options.database.as_deref(), Some("reference"));
/// assert!(!options.compression && !format!("{options:?}").contains("p@ss"));
/// # Ok::<(), milvus_difftest::backend::BackendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouseOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT`, without credentials. With `https` the server's
    /// certificate must be one that this machine trusts.
    pub url: String,
    /// The user; without one `default`, whom every server has at first.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database, which must exist; the user's default without one.
    pub database: Option<String>,
    /// Whether bodies are compressed (LZ4).
    pub compression: bool,
    /// The cluster on whose machines tables are to be; without one they are on the server alone.
    pub cluster: Option<String>,
    /// A statement that takes longer fails.
    pub patience: Duration,
}

impl ClickHouseOptions {
    /// The server at an address, without credentials.
    pub fn new(url: impl Into<String>) -> ClickHouseOptions {
        ClickHouseOptions {
            url: url.into(),
            user: None,
            password: None,
            database: None,
            compression: true,
            cluster: None,
            patience: Duration::from_secs(60),
        }
    }

    /// Reads `http[s]://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?compression=none&cluster=NAME]`,
    /// user, password and database percent-encoded.
    ///
    /// # Errors
    ///
    /// [`BackendError::Open`] if it is no such address; the password is not in its message.
    pub fn from_url(text: &str) -> Result<ClickHouseOptions, BackendError> {
        let mut url = Url::parse(text).map_err(|error| unusable(text, error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable(text, "it begins neither with http:// nor with https://"));
        }
        let decoded = |part: &str| {
            let bytes = percent_decoded(part);
            String::from_utf8(bytes).map_err(|_| unusable(text, "it is no UTF-8 when decoded"))
        };
        let some = |part: &str| match part {
            "" => Ok(None),
            part => decoded(part).map(Some),
        };
        let user = some(url.username())?;
        let password = some(url.password().unwrap_or_default())?.map(Secret::new);
        let database = some(url.path().trim_matches('/'))?;
        let (mut compression, mut cluster) = (true, None);
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("compression", "none") => compression = false,
                ("compression", "lz4") => compression = true,
                ("cluster", name) if !name.is_empty() => cluster = Some(name.to_owned()),
                (name, _) => {
                    let reason = format!(
                        "'{name}' is not understood; write compression=none, compression=lz4 or \
                         cluster=NAME"
                    );
                    return Err(unusable(text, reason));
                }
            }
        }
        url.set_query(None);
        url.set_fragment(None);
        url.set_path("");
        // Both fail on addresses without a host alone, which http has not got.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(unusable(text, "it names no host"));
        }
        let options = ClickHouseOptions::new(url.as_str());
        Ok(ClickHouseOptions { user, password, database, compression, cluster, ..options })
    }
}

fn unusable(text: &str, reason: impl ToString) -> BackendError {
    BackendError::Open {
        backend: "ClickHouse".to_owned(),
        place: crate::secret::redact(text),
        reason: reason.to_string(),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = text.bytes().peekable();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            (byte, ..) => decoded.push(byte),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_its_parts() {
        let options = ClickHouseOptions::from_url("http://localhost:8123").unwrap();
        assert_eq!(options, ClickHouseOptions::new("http://localhost:8123/"));
        let options =
            ClickHouseOptions::from_url("https://u%3As:p%2F%25@h/d%20b?cluster=c&compression=lz4")
                .unwrap();
        assert_eq!(options.user.as_deref(), Some("u:s"));
        assert_eq!(options.password, Some(Secret::new("p/%")));
        assert_eq!(options.database.as_deref(), Some("d b"));
        assert_eq!(options.cluster.as_deref(), Some("c"));
        assert_eq!(options.url, "https://h/");
    }

    #[test]
    fn a_wrong_address_is_named_without_its_password() {
        for text in [
            "tcp://u:hunter2@host:9000",
            "http://u:hunter2@host/?compression=zip",
            "http://u:hunter2@",
            "nowhere",
        ] {
            let error = ClickHouseOptions::from_url(text).unwrap_err().to_string();
            assert!(error.contains("cannot open the ClickHouse database"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
