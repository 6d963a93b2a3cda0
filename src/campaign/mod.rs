//! Many cases under a budget. A campaign emits events; every report is a consumer of them.

mod event;
mod run;
mod steer;
mod summary;
mod workbench;
mod worker;

pub use event::{Event, Kind};
pub use run::{Campaign, CampaignError, Known, Stop, Target};
pub use summary::Summary;
pub use workbench::{BenchError, Workbench, WorkbenchOptions};
