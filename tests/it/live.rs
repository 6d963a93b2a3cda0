//! The commands on live collections.

use std::path::Path;
use std::process::Command;

use milvus_difftest::client::DiffClient;
use milvus_difftest::engine::simulated::SimulatedMilvus;
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row};
use serde_json::{Value as Json, json};

use crate::support::{Run, Sandbox, run, simulated};

const BACKEND: &str = "duckdb:reference.duckdb";

fn schema() -> Schema {
    let fields = vec![
        Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
        Field::new("name", DataType::Scalar(Scalar::VarChar)).nullable(),
        Field::new("price", DataType::Scalar(Scalar::Double)),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
    ];
    Schema { fields, dynamic: true }
}

fn row(id: i64) -> Row {
    let name = (id % 3 != 0).then(|| format!("it's \"{id}\", say"));
    let json = json!({
        "id": id, "name": name, "price": id as f64 / 4.0, "vec": [id, 1], "$meta": {"k": id % 2},
    });
    Row::from_json(&schema(), &json).unwrap()
}

/// A collection of twenty entities in both, and one of Milvus's lost.
async fn damaged(sandbox: &Sandbox) -> SimulatedMilvus {
    let engine = simulated(&[]);
    let file = sandbox.path("reference.duckdb");
    let client = DiffClient::builder()
        .uri(engine.uri())
        .backend(format!("duckdb:{}", file.display()))
        .connect()
        .await
        .unwrap();
    client.create_collection("goods", &schema()).await.unwrap();
    let rows: Vec<Row> = (0..20).map(row).collect();
    client.insert("goods", &rows).await.unwrap();
    client.close().await;
    let milvus = milvus(&engine).await;
    milvus.delete("goods", &schema(), &[Key::Int(7)]).await.unwrap();
    engine
}

async fn milvus(engine: &SimulatedMilvus) -> Milvus {
    let deadline = std::time::Duration::from_secs(10);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    Milvus::connect(&options).await.unwrap()
}

fn live(sandbox: &Sandbox, engine: &SimulatedMilvus, args: &[&str]) -> Run {
    let uri = engine.uri();
    let (name, rest) = args.split_first().unwrap();
    let mut command = sandbox.command(&[name, "--target", &uri, "--backend", BACKEND]);
    if *name != "info" {
        command.args(["--collection", "goods"]);
    }
    command.args(rest);
    run(command)
}

/// In `snapshots/`, beside those of the help texts.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// With more arguments.
fn with(mut command: Command, args: &[&str]) -> Run {
    command.args(args);
    run(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_entity_is_found_by_every_command_that_looks() {
    let sandbox = Sandbox::new();
    let engine = damaged(&sandbox).await;
    let compared = live(&sandbox, &engine, &["compare", "--batch-size", "5"]);
    let compared = compared.expect(1);
    snapshot("live_compare", &compared.stdout);
    let compared = live(&sandbox, &engine, &["compare", "price < 2"]);
    let compared = compared.expect(1);
    snapshot("live_compare_filter", &compared.stdout);
    let fine = live(&sandbox, &engine, &["compare", "price > 2"]);
    let fine = fine.expect(0);
    assert_eq!(fine.stdout, "goods: `price > 2`: the same 11 rows on both sides\n");
    for (number, level) in ["strong", "session", "bounded", "eventually"].into_iter().enumerate() {
        for command in ["compare", "query"] {
            let asked = [command, "price > 2", "--consistency", level];
            live(&sandbox, &engine, &asked).expect(0);
            let freshness = engine.last_query().unwrap();
            assert_eq!(freshness.consistency_level as usize, number, "{command}");
        }
    }
    live(&sandbox, &engine, &["compare", "--consistency", "bounded"]).expect(2);
    live(&sandbox, &engine, &["query", "", "--consistency", "weak"]).expect(2);
    let json = live(&sandbox, &engine, &["compare", "--format", "json"]);
    let json = json.expect(1);
    let json: Json = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["diff"]["missing"], json!([7]));
    assert_eq!((&json["missing"], &json["milvus_count"]), (&json!(1), &json!(19)));
    let csv = live(&sandbox, &engine, &["compare", "--format", "csv"]);
    assert_eq!(csv.stdout, "key,difference,backend,milvus\n7,missing in Milvus,,\n");

    let asked = live(&sandbox, &engine, &["query", "id in [6, 7]", "--fields", "name,$meta"]);
    let asked = asked.expect(1);
    snapshot("live_query", &asked.stdout);
    let counts = live(&sandbox, &engine, &["count", "--read"]);
    let counts = counts.expect(1);
    assert_eq!(counts.stdout, "Milvus 19 (19 when all are read), backend 20\n");
    let counts = live(&sandbox, &engine, &["count", "k == 0", "--format", "markdown"]);
    counts.expect(0);

    let info = live(&sandbox, &engine, &["info"]);
    let info = info.expect(0);
    let text = info.stdout;
    assert!(text.contains("goods: 4 fields, 20 rows, in Milvus 19"), "{text}");
    assert!(text.contains("reference.duckdb; writes wait in a transaction"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_files_and_filters_come_from_the_backend() {
    let sandbox = Sandbox::new();
    let engine = damaged(&sandbox).await;
    let sample = live(&sandbox, &engine, &["sample", "3", "--format", "csv"]);
    let sample = sample.expect(0);
    snapshot("live_sample", &sample.stdout);
    assert_eq!(live(&sandbox, &engine, &["sample", "3", "--format", "csv"]).stdout, sample.stdout);
    let other = live(&sandbox, &engine, &["sample", "3", "--format", "csv", "--seed", "2"]);
    assert_ne!(other.stdout, sample.stdout);

    for (file, side, rows) in
        [("a.parquet", "backend", 20), ("b.csv", "milvus", 19), ("c.jsonl", "backend", 20)]
    {
        let export = live(&sandbox, &engine, &["export", file, "--side", side]);
        let export = export.expect(0);
        assert_eq!(export.stdout, format!("{file}: {rows} entities\n"));
    }
    let lines = std::fs::read_to_string(sandbox.path("c.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 20);
    let unknown = live(&sandbox, &engine, &["export", "d.xlsx"]);
    unknown.expect(2);

    let args = ["filters", "--count", "8", "--selectivity", "0.1..0.9", "--weight", "like=0"];
    let filters = live(&sandbox, &engine, &[&args[..], &["--format", "json"]].concat());
    let filters = filters.expect(0);
    let filters: Json = serde_json::from_str(&filters.stdout).unwrap();
    let filters = filters.as_array().unwrap();
    assert_eq!(filters.len(), 8);
    for found in filters {
        let filter = found["filter"].as_str().unwrap();
        let compared = live(&sandbox, &engine, &["count", filter]);
        let counts = compared.stdout;
        assert!(counts.ends_with(&format!("backend {}\n", found["count"])), "{filter}: {counts}");
    }
    let wrong = live(&sandbox, &engine, &["filters", "--weight", "liek=0"]);
    wrong.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_attached_from_milvus_or_from_a_dump() {
    let sandbox = Sandbox::new();
    let engine = damaged(&sandbox).await;
    live(&sandbox, &engine, &["export", "goods.parquet"]).expect(0);
    let again = live(&sandbox, &engine, &["attach"]);
    again.expect(2);
    for (source, backend, entities, found) in [
        (&["--from", "goods.parquet"][..], "duckdb:honest.duckdb", 20, 1),
        (&[][..], "duckdb:trusting.duckdb", 19, 0),
    ] {
        let uri = engine.uri();
        let sides = ["--target", &uri, "--backend", backend, "--collection", "goods"];
        let attached = with(sandbox.command(&["attach"]), &[&sides[..], source].concat());
        let attached = attached.expect(0);
        assert_eq!(attached.stdout, format!("goods: {entities} entities in the backend\n"));
        let compared = with(sandbox.command(&["compare"]), &sides);
        compared.expect(found);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_answers_line_by_line() {
    let sandbox = Sandbox::new();
    let engine = damaged(&sandbox).await;
    let lines = "\\help\n\\fields\nid in [6, 7]\nprice <\n\\count k == 1\n\\compare\n\\explain \
                 price < 2\n\\sample 2\n\\nonsense\n\\quit\nnever read\n";
    let uri = engine.uri();
    let mut command = sandbox.command(&["shell", "--target", &uri, "--backend", BACKEND]);
    command.args(["--collection", "goods"]);
    let output = assert_cmd::Command::from_std(command).write_stdin(lines).output().unwrap();
    snapshot("live_shell", &String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot parse the filter"), "{errors}");
    assert!(errors.contains("there is no \\nonsense"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_compared_is_no_success() {
    let sandbox = Sandbox::new();
    let engine = damaged(&sandbox).await;
    // Of a collection that has entities, what is not found is compared, too.
    live(&sandbox, &engine, &["compare", "id < 0"]).expect(0);
    let client = DiffClient::builder()
        .uri(engine.uri())
        .backend(format!("duckdb:{}", sandbox.path("reference.duckdb").display()))
        .connect()
        .await
        .unwrap();
    client.delete_where("goods", "id >= 0").await.unwrap();
    client.close().await;
    for args in [&["compare"][..], &["compare", "id >= 0"]] {
        let compared = live(&sandbox, &engine, args).expect(4);
        assert!(compared.stderr.contains("neither side has any entity"), "{}", compared.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_with_its_own_exit_code() {
    let sandbox = Sandbox::new();
    let engine = simulated(&[]);
    let nowhere = live(&sandbox, &engine, &["compare"]);
    let nowhere = nowhere.expect(2);
    let errors = &nowhere.stderr;
    assert!(errors.contains("there is no collection 'goods' here"), "{errors}");
    let uri = engine.uri();
    let sides = ["--target", &uri, "--collection", "goods", "--backend"];
    let memory = with(sandbox.command(&["compare"]), &[&sides[..], &["duckdb"]].concat());
    memory.expect(2);
    let unknown = with(sandbox.command(&["compare"]), &[&sides[..], &["postgres:x"]].concat());
    unknown.expect(2);
    let gone = ["--target", "http://127.0.0.1:9", "--collection", "goods", "--backend", BACKEND];
    let gone = with(sandbox.command(&["compare", "--query-timeout", "2s"]), &gone);
    gone.expect(3);

    // Of nothing, nothing can be said.
    milvus(&engine).await.create("goods", &schema()).await.unwrap();
    live(&sandbox, &engine, &["attach"]).expect(0);
    let nothing = live(&sandbox, &engine, &["compare"]);
    nothing.expect(4);
}
