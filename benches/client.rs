//! What the client costs beside bare calls: the same queries, inserts and reads with it and
//! without, in turns, on a live engine.
//!
//! `cargo bench --bench client [-- ENGINE …]`. It needs a DuckDB with JSON inside, as the bundled one.

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use futures::stream::{self, StreamExt};
use milvus_difftest::backend::{Backend, DuckDb};
use milvus_difftest::client::{DiffClient, EntityOptions};
use milvus_difftest::engine::{EmbeddedOptions, Engine, EngineKind, install};
use milvus_difftest::milvus::{ConnectOptions, Consistency, Milvus, QueryOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often both ways are measured, in turns; the median of the ratios is what counts.
const ROUNDS: usize = 7;
const DIM: u16 = 128;
const BATCH: i64 = 1000;
const QUERIES: usize = 200;

fn schema() -> Schema {
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
        Field::new("vec", DataType::FloatVector { dim: DIM }),
    ];
    Schema { fields, dynamic: false }
}

fn row(id: i64) -> Row {
    let fields = [
        ("id", Value::Int(id)),
        ("a", Value::Int(id * 7 % 1000)),
        ("b", Value::Int(id % 100)),
        ("c", Value::Text(format!("text {}", id % 500))),
        ("d", Value::Double(id as f64 / 3.0)),
        ("e", Value::Float(id as f32 / 7.0)),
        ("f", Value::Bool(id % 2 == 0)),
        ("j", Value::Json(serde_json::json!({"n": id % 10, "s": "x"}))),
        ("vec", Value::Vector((0..DIM).map(|i| (id + i64::from(i)) as f32 / 9.0).collect())),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Row { fields, ..Row::default() }
}

fn filters() -> Vec<String> {
    (0..QUERIES)
        .map(|i| format!("a >= {} and a < {} and b != {}", i * 4, i * 4 + 3, i % 100))
        .collect()
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
    schema: Schema,
    lines: Vec<[String; 5]>,
    engine: String,
}

impl Bench {
    /// Measures both in turns: how long each takes for the same work.
    async fn compare(
        &mut self,
        name: &str,
        rounds: usize,
        mut both: impl AsyncFnMut(&Bench, usize, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut ratios = Vec::new();
        let (mut bare_times, mut client_times) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let mut took = [Duration::ZERO; 2];
            // Who comes first alternates.
            for turn in 0..2 {
                let bare = (turn + round) % 2 == 0;
                let begun = Instant::now();
                both(self, round, bare).await?;
                took[usize::from(bare)] = begun.elapsed();
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
        eprintln!("{}: {name}: {ratio:.2}", self.engine);
        self.lines.push([
            format!("{}: {name}", self.engine),
            format!("{:.0} ms", bare * 1e3),
            format!("{:.0} ms", client * 1e3),
            format!("{ratio:.2}"),
            verdict.to_owned(),
        ]);
        Ok(())
    }
}

fn options() -> QueryOptions {
    QueryOptions { consistency: Consistency::Eventually, deadline: DEADLINE, page: None }
}

async fn measure(engine: &str, table: &mut Table) -> Result<(), Failure> {
    let running = started(engine).await?;
    let folder = tempfile::tempdir()?;
    let backend: Box<dyn Backend> = Box::new(DuckDb::open(&folder.path().join("bench.duckdb"))?);
    let client = DiffClient::builder()
        .uri(running.uri())
        .deadline(DEADLINE)
        .backend_with(backend)
        .connect()
        .await?;
    let connect = ConnectOptions { uri: running.uri().to_owned(), token: None, deadline: DEADLINE };
    let milvus = Milvus::connect(&connect).await?;
    let schema = schema();
    client.create_collection("both", &schema).await?;
    milvus.create("bare", &schema).await?;
    let engine = engine.to_owned();
    let mut bench = Bench { client, milvus, schema, lines: Vec::new(), engine };

    bench
        .compare("insert 5 batches of 1000 rows", ROUNDS, async |bench, round, bare| {
            for batch in 0..5 {
                let first = (round as i64 * 5 + batch) * BATCH;
                let rows: Vec<Row> = (first..first + BATCH).map(row).collect();
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
    let step = 4096_i64;
    bench
        .compare("read every entity", 3, async |bench, _, bare| {
            if !bare {
                let options = EntityOptions { jobs: 2, ..EntityOptions::default() };
                let compared = bench.client.compare_entities("both", &options).await?;
                return match compared.is_same() {
                    true => Ok(()),
                    false => Err(compared.to_string().into()),
                };
            }
            let last = (ROUNDS as i64 + 1) * 5 * BATCH;
            let ranges = (0..last).step_by(step as usize);
            let read = stream::iter(ranges).map(|first| async move {
                let filter = format!("id >= {first} and id < {}", first + step);
                bench.milvus.query("both", &bench.schema, &filter, options()).await.map(drop)
            });
            let done: Vec<_> = read.buffer_unordered(2).collect().await;
            Ok(done.into_iter().collect::<Result<(), _>>()?)
        })
        .await?;
    for line in bench.lines {
        table.add_row(line);
    }
    bench.client.close().await;
    running.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut engines: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if engines.is_empty() {
        engines = vec!["milvus-lite-2.5.1".to_owned(), "milvus-2.3.5".to_owned()];
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["", "bare", "with the client", "ratio", "target 0.90"]);
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for engine in &engines {
        measure(engine, &mut table).await?;
    }
    println!("{table}");
    Ok(())
}
