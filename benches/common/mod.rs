//! A small harness for the benches: works are repeated for some rounds, and a table shows the
//! median rate of each beside what it is meant to reach.

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};

/// How often a work is measured; the median is what counts.
const ROUNDS: usize = 7;
/// How long one round takes at least.
const ROUND: Duration = Duration::from_millis(250);

/// What a second is.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "each bench needs one of them")]
pub enum Clock {
    /// One of the wall clock: for works that wait for others.
    Wall,
    /// One in which this thread computes: for works that only compute, on a machine that others
    /// use, too. Where the system does not tell (it is asked as Linux is), one of the wall clock.
    Thread,
}

impl Clock {
    /// Since some moment.
    fn elapsed(self, start: Instant) -> Duration {
        let computed = match self {
            Clock::Wall => None,
            Clock::Thread => std::fs::read_to_string("/proc/thread-self/schedstat").ok(),
        };
        let nanos = computed.and_then(|text| text.split(' ').next()?.parse().ok());
        nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
    }
}

/// Measurements, in the order in which they were made.
pub struct Bench {
    clock: Clock,
    start: Instant,
    table: Table,
}

impl Bench {
    /// Nothing measured yet.
    pub fn new(clock: Clock) -> Bench {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["name", "median", "slowest", "fastest", "unit", "target", ""]);
        for column in table.column_iter_mut().skip(1).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Bench { clock, start: Instant::now(), table }
    }

    /// Repeats a work, which says how much it has done, and notes how much it does in a second.
    /// `unit` is what it does, for instance `filters/s`; `target` the rate that is to be reached.
    pub fn measure(
        &mut self,
        name: &str,
        unit: &str,
        target: Option<f64>,
        mut work: impl FnMut() -> usize,
    ) {
        // Once before anything counts, so that caches and pages are there.
        work();
        let mut rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = self.clock.elapsed(self.start);
                let mut done = 0;
                loop {
                    done += work();
                    let taken = self.clock.elapsed(self.start) - start;
                    if taken >= ROUND {
                        return done as f64 / taken.as_secs_f64();
                    }
                }
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        let median = rates[rates.len() / 2];
        let verdict = match target {
            Some(target) if median >= target => "reached",
            Some(_) => "MISSED",
            None => "",
        };
        self.table.add_row([
            name.to_owned(),
            grouped(median),
            grouped(rates[0]),
            grouped(rates[rates.len() - 1]),
            unit.to_owned(),
            target.map(grouped).unwrap_or_default(),
            verdict.to_owned(),
        ]);
        eprintln!("{name}: {} {unit}", grouped(median));
    }

    /// Prints the table.
    pub fn finish(self) {
        println!("{}", self.table);
    }
}

/// `1234567.8` as `1 234 567`.
fn grouped(rate: f64) -> String {
    let digits = (rate as u64).to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
