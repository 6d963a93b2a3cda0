//! A part of a campaign.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several parts of a campaign, which together judge each of its cases once.
///
/// ```
/// use milvus_difftest::campaign::Shard;
/// let shard: Shard = "2/8".parse().unwrap();
/// assert_eq!((0..20).filter(|case| shard.has(*case)).collect::<Vec<_>>(), [1, 9, 17]);
/// assert_eq!(shard.cases(20), 3);
/// assert!("0/8".parse::<Shard>().is_err() && "9/8".parse::<Shard>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// From 1.
    number: u64,
    of: NonZeroU64,
}

impl Shard {
    /// The whole campaign.
    pub const WHOLE: Shard = Shard { number: 1, of: NonZeroU64::MIN };

    /// Which it is, from 1.
    pub fn number(self) -> u64 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u64 {
        self.of.get()
    }

    /// Whether it judges the case of this number.
    pub fn has(self, case: u64) -> bool {
        case % self.of == self.number - 1
    }

    /// How many of the first cases it judges.
    pub fn cases(self, first: u64) -> u64 {
        first / self.of + u64::from(first % self.of >= self.number)
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A text that is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no shard; the second of eight is 2/8")]
pub struct NoShard(String);

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Shard, NoShard> {
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=NonZeroU64::get(of)).contains(&number) => {
                Ok(Shard { number, of })
            }
            _ => Err(NoShard(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = NoShard;

    fn try_from(text: String) -> Result<Shard, NoShard> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}
