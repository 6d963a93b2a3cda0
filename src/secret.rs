//! What must not be shown: tokens, and the user and password inside a URL.

use std::fmt;

/// A token that neither `Debug` nor `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// `text` with `***` for the user and password of every URL in it.
pub(crate) fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let word = after
            .split(|c: char| c.is_whitespace() || "\"'<>()".contains(c))
            .next()
            .unwrap_or(after);
        rest = match credentials_end(word) {
            Some(end) => {
                shown.push_str("***");
                &after[end..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

/// An address, with a scheme or without, with `***` for the user and password in it.
pub(crate) fn redact_address(uri: &str) -> String {
    const SCHEME: &str = "http://";
    match uri.contains("://") {
        true => redact(uri),
        false => redact(&format!("{SCHEME}{uri}")).split_off(SCHEME.len()),
    }
}

/// A `user:password@host` address as its address and `user:password`, taken literally.
pub(crate) fn split_credentials(uri: &str) -> (String, Option<Secret>) {
    let Some((scheme, word)) = uri.split_once("://") else {
        return (uri.to_owned(), None);
    };
    match credentials_end(word) {
        Some(end) => (format!("{scheme}://{}", &word[end + 1..]), Some(Secret::new(&word[..end]))),
        None => (uri.to_owned(), None),
    }
}

/// Where the `@` after the credentials stands in what follows `://`.
///
/// A password may hold a slash that should have been escaped, so an `@` behind the first slash
/// still ends credentials if a colon comes before it: better to hide too much than too little.
fn credentials_end(word: &str) -> Option<usize> {
    let at = word.rfind('@')?;
    let authority = word.find(['/', '?', '#']).unwrap_or(word.len());
    if word[..at].contains(':') { Some(at) } else { word[..authority].rfind('@') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_hidden() {
        for (text, shown) in [
            (
                "Looking in https://user:pass@host/simple, http://plain/simple",
                "Looking in https://***@host/simple, http://plain/simple",
            ),
            ("url 'https://token@host/x@1.0'", "url 'https://***@host/x@1.0'"),
            ("https://u:p/a@b@host/simple", "https://***@host/simple"),
            ("https://host/pkg@1.0", "https://host/pkg@1.0"),
            ("no url, a@b", "no url, a@b"),
            ("://", "://"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** Secret(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn an_address_is_parted_from_its_credentials() {
        let (uri, secret) = split_credentials("http://root:Milvus@host:19530");
        assert_eq!(uri, "http://host:19530");
        assert_eq!(secret, Some(Secret::new("root:Milvus")));
        let (uri, secret) = split_credentials("http://host:19530");
        assert_eq!((uri.as_str(), secret), ("http://host:19530", None));
    }
}
