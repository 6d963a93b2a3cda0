//! A backend of one's own: rows in a map, filters judged row by row. `cargo run --example
//! own_backend` writes through it and compares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::FutureExt;
use milvus_difftest::backend::{
    Answer, Backend, BackendError, Change, KeySet, Selection, Staged, Table,
};
use milvus_difftest::client::DiffClient;
use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
use milvus_difftest::filter::{Expr, Semantics, Truth, evaluate};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row};
use serde_json::json;

type Tables = BTreeMap<String, BTreeMap<Key, Row>>;

/// Its sessions share the tables.
#[derive(Clone, Default)]
struct InMaps(Arc<Mutex<Tables>>);

impl InMaps {
    fn with<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a commit will do.
struct Waiting(InMaps, String, Vec<(Key, Option<Row>)>);

impl Staged for Waiting {
    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        let Waiting(maps, name, rows) = *self;
        maps.with(|tables| {
            let table = tables.entry(name).or_default();
            for (key, row) in rows {
                match row {
                    Some(row) => table.insert(key, row),
                    None => table.remove(&key),
                };
            }
        });
        async { Ok(()) }.boxed()
    }

    fn withdraw(self: Box<Self>) -> Answer<'static, ()> {
        async { Ok(()) }.boxed()
    }
}

impl Backend for InMaps {
    fn name(&self) -> String {
        "maps 1.0".to_owned()
    }

    fn location(&self) -> Option<String> {
        None
    }

    fn session(&self) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new(self.clone()))
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.with(|tables| tables.insert(table.name.clone(), BTreeMap::new()));
        async { Ok(()) }.boxed()
    }

    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool> {
        let has = self.with(|tables| tables.contains_key(&table.name));
        async move { Ok(has) }.boxed()
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.with(|tables| tables.remove(&table.name));
        async { Ok(()) }.boxed()
    }

    fn stage<'a>(
        &'a mut self,
        table: &'a Table,
        change: Change<'a>,
    ) -> Answer<'a, Box<dyn Staged>> {
        let keyed = |row: &Row| Some((row.key(&table.schema)?, Some(row.clone())));
        let rows = match change {
            Change::Insert(rows) | Change::Upsert(rows) => rows.iter().filter_map(keyed).collect(),
            Change::Delete(keys) => keys.iter().map(|key| (key.clone(), None)).collect(),
        };
        let staged: Box<dyn Staged> = Box::new(Waiting(self.clone(), table.name.clone(), rows));
        async { Ok(staged) }.boxed()
    }

    fn select<'a>(
        &'a mut self,
        table: &'a Table,
        selection: Selection<'a>,
    ) -> Answer<'a, Vec<Row>> {
        let wanted = |key: &Key, row: &Row| {
            let key = match &selection.keys {
                KeySet::All => true,
                KeySet::These(keys) => keys.contains(key),
                KeySet::Range { after, upto } => {
                    after.as_ref().is_none_or(|after| key > after)
                        && upto.as_ref().is_none_or(|upto| key <= upto)
                }
            };
            let canonical = Semantics::canonical();
            key && selection.filter.is_none_or(|filter| {
                evaluate(filter, &table.schema, row, canonical) == Ok(Truth::True)
            })
        };
        let rows = self.with(|tables| {
            let rows = tables.get(&table.name).into_iter().flatten();
            let rows = rows.filter(|(key, row)| wanted(key, row)).map(|(_, row)| row.clone());
            rows.take(selection.limit.unwrap_or(usize::MAX)).collect()
        });
        async { Ok(rows) }.boxed()
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        async move {
            let selection = Selection { filter: Some(filter), ..Selection::default() };
            let rows = self.select(table, selection).await?;
            Ok(rows.iter().filter_map(|row| row.key(&table.schema)).collect())
        }
        .boxed()
    }

    fn explain(&self, _: &Table, filter: &Expr) -> Result<String, BackendError> {
        Ok(filter.to_string())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulated = SimulatedMilvus::start(SimulatedOptions::default())?;
    let backend = Box::new(InMaps::default());
    let client = DiffClient::builder().uri(simulated.uri()).backend_with(backend).connect().await?;
    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("vec", DataType::FloatVector { dim: 2 }),
        ],
        dynamic: true,
    };
    client.create_collection("things", &schema).await?;
    let row = |id: i64| {
        Row::from_json(&schema, &json!({"id": id, "vec": [id, 1], "$meta": {"k": id % 3}}))
    };
    client.insert("things", &(0..30).map(row).collect::<Result<Vec<Row>, _>>()?).await?;
    client.delete_where("things", "k == 2").await?;
    println!("{}", client.compare_query("things", "k == 1 or id > 20").await?);
    println!("{}", client.compare_entities("things", &Default::default()).await?);
    Ok(())
}
