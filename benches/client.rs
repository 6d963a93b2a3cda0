//! What the client costs beside bare calls: the same queries, inserts and reads with it and
//! without, in turns, on a live engine.
//!
//! `cargo bench --bench client [-- WORD …]` with engines, with words of the names of what is to be
//! measured, and with `clickhouse` for ClickHouse in the place of DuckDB; `entities=N` and `dim=N` say
//! how many entities are read and compared, and how long their vectors are, and `rounds=N` how often.
//! It needs a DuckDB with JSON inside, as the bundled one.
//!
//! DuckDB's file lies where the engine's own files lie, which is in memory where there is room: else
//! the disk would be measured, and for one side alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use futures::stream::{self, StreamExt};
use milvus_difftest::backend::{
    Backend, ClickHouse, ClickHouseOptions, DuckDb, Selection, Table as BackendTable,
};
use milvus_difftest::client::{DiffClient, EntityOptions};
use milvus_difftest::engine::{EmbeddedOptions, Engine, EngineKind, install, install_clickhouse};
use milvus_difftest::filter::parse;
use milvus_difftest::milvus::{ConnectOptions, Consistency, Milvus, QueryOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often both ways are measured, in turns; the median of the ratios is what counts.
const ROUNDS: usize = 7;
const BATCH: i64 = 1000;
const QUERIES: usize = 200;

/// What is measured, and with how much.
#[derive(Debug, Clone)]
struct Plan {
    only: Vec<String>,
    clickhouse: bool,
    /// How many entities all are.
    entities: i64,
    dim: u16,
    /// How often all of them are read.
    rounds: usize,
}

impl Plan {
    /// The engines to measure, and with what.
    fn from_words(words: impl Iterator<Item = String>) -> Result<(Vec<String>, Plan), Failure> {
        let (mut engines, mut only) = (Vec::new(), Vec::new());
        let (mut clickhouse, mut entities, mut dim, mut rounds) = (false, 1_000_000, 128, 3);
        for word in words {
            match word.split_once('=') {
                Some(("entities", number)) => entities = number.parse()?,
                Some(("dim", number)) => dim = number.parse()?,
                Some(("rounds", number)) => rounds = number.parse()?,
                _ if word.parse::<EngineKind>().is_ok() => engines.push(word),
                _ if word == "clickhouse" => clickhouse = true,
                _ => only.push(word),
            }
        }
        if engines.is_empty() {
            engines = vec!["milvus-lite-2.5.1".to_owned(), "milvus-2.3.5".to_owned()];
        }
        Ok((engines, Plan { only, clickhouse, entities, dim, rounds }))
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }
}

fn schema(dim: u16) -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let fields = vec![
        scalar("id", Scalar::Int64).primary(),
        scalar("a", Scalar::Int64),
        scalar("b", Scalar::Int32),
        scalar("c", Scalar::VarChar),
        scalar("d", Scalar::Double),
        scalar("e", Scalar::Float),
        scalar("f", Scalar::Bool),
        Field::new("j", DataType::Json),
        Field::new("vec", DataType::FloatVector { dim }),
    ];
    Schema { fields, dynamic: false }
}

fn row(id: i64, dim: u16) -> Row {
    let fields = [
        ("id", Value::Int(id)),
        ("a", Value::Int(id * 7 % 1000)),
        ("b", Value::Int(id % 100)),
        ("c", Value::Text(format!("text {}", id % 500))),
        ("d", Value::Double(id as f64 / 3.0)),
        ("e", Value::Float(id as f32 / 7.0)),
        ("f", Value::Bool(id % 2 == 0)),
        ("j", Value::Json(serde_json::json!({"n": id % 10, "s": "x"}))),
        ("vec", Value::Vector((0..dim).map(|i| (id + i64::from(i)) as f32 / 9.0).collect())),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Row { fields, ..Row::default() }
}

fn filters() -> Vec<String> {
    (0..QUERIES)
        .map(|i| format!("a >= {} and a < {} and b != {}", i * 4, i * 4 + 3, i % 100))
        .collect()
}

/// Where engines started here keep their files, too.
fn data_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    match std::env::var_os("TMPDIR").is_none() && memory.is_dir() {
        true => memory,
        false => std::env::temp_dir(),
    }
}

const DEADLINE: Duration = Duration::from_secs(120);

async fn started(name: &str) -> Result<Engine, Failure> {
    let kind: EngineKind = name.parse()?;
    let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
    Ok(install(&options, &|_| ()).await?.start().await?)
}

/// One engine, with a client beside a DuckDB in a file and a bare connection.
struct Bench {
    client: DiffClient,
    milvus: Milvus,
    /// What the client asks beside Milvus, for itself.
    backend: Box<dyn Backend>,
    schema: Schema,
    lines: Vec<[String; 6]>,
    engine: String,
    plan: Plan,
}

/// For how long all threads of this process have computed, as Linux counts it, in steps of 10 ms.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

impl Bench {
    /// How long the backend takes for the same queries, without a client and without Milvus.
    async fn backend_alone(&mut self) -> Result<(), Failure> {
        let table = BackendTable::new("both", self.schema.clone());
        let filters =
            filters().iter().map(|filter| parse(filter)).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        for filter in &filters {
            let selection = Selection { filter: Some(filter), ..Selection::default() };
            self.backend.select(&table, selection).await?;
        }
        let took = begun.elapsed().as_secs_f64() * 1e3;
        eprintln!("{}: the backend alone, {QUERIES} queries: {took:.0} ms", self.engine);
        Ok(())
    }

    /// Makes them as many as are to be read.
    async fn fill(&self) -> Result<(), Failure> {
        let entities = self.plan.entities;
        let there = self.client.count("both", None).await?.backend as i64;
        let begun = Instant::now();
        for first in (there..entities).step_by(4 * BATCH as usize) {
            let rows: Vec<Row> = (first..(first + 4 * BATCH).min(entities))
                .map(|id| row(id, self.plan.dim))
                .collect();
            self.client.insert("both", &rows).await?;
        }
        let took = begun.elapsed().as_secs_f64();
        eprintln!("{}: {} entities more in {took:.0} s", self.engine, entities - there);
        // What is remembered of the most memory that was used.
        std::fs::write("/proc/self/clear_refs", "5")?;
        Ok(())
    }

    /// The most memory that was used since, in megabytes.
    fn memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kilobytes.unwrap_or_default() / 1024
    }

    /// Measures both in turns: how long each takes for the same work.
    async fn compare(
        &mut self,
        name: &str,
        rounds: usize,
        mut both: impl AsyncFnMut(&Bench, usize, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.plan.wants(name) {
            return Ok(());
        }
        let mut ratios = Vec::new();
        let mut cpu = [Duration::ZERO; 2];
        let (mut bare_times, mut client_times) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let mut took = [Duration::ZERO; 2];
            // Who comes first alternates.
            for turn in 0..2 {
                let bare = (turn + round) % 2 == 0;
                let (begun, before) = (Instant::now(), computed());
                both(self, round, bare).await?;
                took[usize::from(bare)] = begun.elapsed();
                if round > 0 {
                    cpu[usize::from(bare)] += computed() - before;
                }
            }
            // The first round warms up.
            if round > 0 {
                let [client, bare] = took.map(|time| time.as_secs_f64());
                ratios.push(bare / client);
                bare_times.push(bare);
                client_times.push(client);
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let ratio = median(&mut ratios);
        let (bare, client) = (median(&mut bare_times), median(&mut client_times));
        let verdict = if ratio >= 0.9 { "reached" } else { "MISSED" };
        eprintln!("{}: {name}: {ratio:.2}, with {} MB at most", self.engine, Bench::memory());
        self.lines.push([
            format!("{}: {name}", self.engine),
            format!("{:.0} ms", bare * 1e3),
            format!("{:.0} ms", client * 1e3),
            format!("{:.0} ms", cpu[0].saturating_sub(cpu[1]).as_secs_f64() * 1e3 / rounds as f64),
            format!("{ratio:.2}"),
            verdict.to_owned(),
        ]);
        Ok(())
    }
}

fn options() -> QueryOptions<'static> {
    QueryOptions {
        consistency: Consistency::Eventually,
        deadline: DEADLINE,
        page: None,
        partitions: &[],
    }
}

async fn measure(engine: &str, plan: &Plan, table: &mut Table) -> Result<(), Failure> {
    let running = started(engine).await?;
    let folder = tempfile::tempdir_in(data_folder())?;
    let clickhouse = match plan.clickhouse {
        true => {
            let options = EmbeddedOptions::default();
            Some(install_clickhouse(&options, &|_| ()).await?.start().await?)
        }
        false => None,
    };
    let backend: Box<dyn Backend> = match &clickhouse {
        Some(server) => {
            let options = ClickHouseOptions {
                user: Some(server.user().to_owned()),
                password: Some(server.password().clone()),
                ..ClickHouseOptions::new(server.url())
            };
            Box::new(ClickHouse::connect(options).await?)
        }
        None => Box::new(DuckDb::open(&folder.path().join("bench.duckdb"))?),
    };
    let alone = backend.session()?;
    let client = DiffClient::builder()
        .uri(running.uri())
        .deadline(DEADLINE)
        .backend_with(backend)
        .connect()
        .await?;
    let connect = ConnectOptions { uri: running.uri().to_owned(), token: None, deadline: DEADLINE };
    let milvus = Milvus::connect(&connect).await?;
    let schema = schema(plan.dim);
    client.create_collection("both", &schema).await?;
    milvus.create("bare", &schema).await?;
    let beside = if plan.clickhouse { " with ClickHouse" } else { "" };
    let engine = format!("{engine}{beside}");
    let mut bench = Bench {
        client,
        milvus,
        backend: alone,
        schema,
        lines: Vec::new(),
        engine,
        plan: plan.clone(),
    };

    bench
        .compare("insert 5 batches of 1000 rows", ROUNDS, async |bench, round, bare| {
            for batch in 0..5 {
                let first = (round as i64 * 5 + batch) * BATCH;
                let rows: Vec<Row> =
                    (first..first + BATCH).map(|id| row(id, bench.plan.dim)).collect();
                match bare {
                    true => drop(bench.milvus.insert("bare", &bench.schema, &rows).await?),
                    false => drop(bench.client.insert("both", &rows).await?),
                }
            }
            Ok(())
        })
        .await?;
    for at_once in [1, 4, 16] {
        let name = format!("{QUERIES} queries, {at_once} at once");
        bench
            .compare(&name, ROUNDS, async |bench, _, bare| {
                let asked = stream::iter(filters()).map(|filter| async move {
                    let done: Result<(), Failure> = match bare {
                        true => {
                            let rows =
                                bench.milvus.query("both", &bench.schema, &filter, options());
                            rows.await.map(drop).map_err(Failure::from)
                        }
                        false => {
                            let query = milvus_difftest::client::Query {
                                consistency: Consistency::Eventually,
                                ..filter.as_str().into()
                            };
                            let pair = bench.client.query("both", query).await?;
                            match pair.diff()?.is_empty() {
                                true => Ok(()),
                                false => Err(format!("`{filter}` differs").into()),
                            }
                        }
                    };
                    done
                });
                let done: Vec<_> = asked.buffer_unordered(at_once).collect().await;
                done.into_iter().collect()
            })
            .await?;
    }
    bench.backend_alone().await?;
    let step = 4096_i64;
    let read = ["read every entity", "read every entity, by digests"];
    if plan.wants(read[1]) {
        bench.fill().await?;
    }
    for (name, by_digests) in [(read[0], false), (read[1], true)] {
        let compare = async |bench: &Bench, _: usize, bare: bool| {
            if !bare {
                let options = EntityOptions { by_digests, ..EntityOptions::default() };
                let compared = bench.client.compare_entities("both", &options).await?;
                return match compared.is_same() {
                    true => Ok(()),
                    false => Err(compared.to_string().into()),
                };
            }
            let ranges = (0..plan.entities).step_by(step as usize);
            let read = stream::iter(ranges).map(|first| async move {
                let filter = format!("id >= {first} and id < {}", first + step);
                bench.milvus.query("both", &bench.schema, &filter, options()).await.map(drop)
            });
            // As many at once as the comparison has by default.
            let done: Vec<_> = read.buffer_unordered(2).collect().await;
            Ok(done.into_iter().collect::<Result<(), _>>()?)
        };
        bench.compare(name, plan.rounds, compare).await?;
    }
    for line in bench.lines {
        table.add_row(line);
    }
    bench.client.close().await;
    running.stop().await;
    if let Some(server) = clickhouse {
        server.stop().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (engines, plan) = Plan::from_words(words)?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["", "bare", "with the client", "more CPU", "ratio", "target 0.90"]);
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for engine in &engines {
        measure(engine, &plan, &mut table).await?;
    }
    println!("{table}");
    Ok(())
}
