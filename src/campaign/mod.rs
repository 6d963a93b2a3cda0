//! Many cases under a budget. A campaign emits events; every report is a consumer of them.

mod bisect;
mod event;
mod feedback;
mod gate;
mod investigate;
mod matrix;
mod progress;
mod reached;
mod run;
mod shard;
mod shrink;
mod steer;
mod summary;
mod trial;
mod workbench;
mod worker;

pub use bisect::{Bisection, Change, Defect, Judged, Showing};
pub use event::{Event, Kind};
pub use gate::{Expectation, Gate, Replayed, SavedCase, Standing};
pub use matrix::{Column, Matrix, Row as MatrixRow};
pub use progress::Progress;
pub use run::{Campaign, CampaignError, Known, Started, Stop, Target};
pub use shard::{NoShard, Shard};
pub use shrink::Shrinking;
pub use summary::{Corpus, Summary};
pub use trial::{Outcome, Trial, TrialOptions};
pub use workbench::{BenchError, Workbench, WorkbenchOptions};
