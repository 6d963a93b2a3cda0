//! The engines that an option can name.

use std::fmt;
use std::str::FromStr;

use super::container::MILVUS_IMAGE;
use super::kind::{EngineKind, names};

/// An engine that is started for the run: embedded, or in a container.
///
/// ```
/// use milvus_difftest::engine::{EngineChoice, EngineKind};
/// let choice: EngineChoice = "milvus-2.3.5".parse().unwrap();
/// assert_eq!(choice, EngineChoice::Embedded(EngineKind::Milvus23));
/// let choice: EngineChoice = "docker:milvusdb/milvus:v2.5.26".parse().unwrap();
/// assert_eq!(choice.to_string(), "docker:milvusdb/milvus:v2.5.26");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineChoice {
    /// From packages: pinned ones, or a release by its version.
    Embedded(EngineKind),
    /// A container of this image.
    Container(String),
}

impl Default for EngineChoice {
    fn default() -> Self {
        Self::Embedded(EngineKind::default())
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(kind) => kind.fmt(f),
            Self::Container(image) => write!(f, "docker:{image}"),
        }
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        if let Some(image) = text.strip_prefix("docker") {
            if image.is_empty() || image == ":" {
                return Ok(Self::Container(MILVUS_IMAGE.to_owned()));
            }
            if let Some(image) = image.strip_prefix(':')
                && !image.contains(char::is_whitespace)
            {
                return Ok(Self::Container(image.to_owned()));
            }
        }
        let kind = text.parse().map(Self::Embedded);
        kind.map_err(|_| UnknownChoice(text.chars().take(40).collect()))
    }
}

/// A name that no engine has; the message lists those that exist.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "unknown engine '{0}': expected one of {names}, docker or docker:IMAGE",
    names = names()
)]
pub struct UnknownChoice(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_round_trip() {
        for text in
            ["milvus-2.3.5", "milvus-lite-2.4.9", "docker:milvus:x", "docker:registry:5000/milvus"]
        {
            assert_eq!(text.parse::<EngineChoice>().unwrap().to_string(), text);
        }
        for text in ["docker", "docker:"] {
            let choice = text.parse::<EngineChoice>().unwrap();
            assert_eq!(choice, EngineChoice::Container(MILVUS_IMAGE.to_owned()));
        }
        for text in ["milvus-lite-1.0", "dockers", "docker:a b", "milvus", ""] {
            let error = text.parse::<EngineChoice>().unwrap_err().to_string();
            assert!(error.ends_with("below 4.0.0), docker or docker:IMAGE"), "{error}");
        }
    }
}
