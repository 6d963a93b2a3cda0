//! Fields that are added to collections of a simulated Milvus.

use milvus::proto::{common, milvus as pb, schema as schema_pb};
use prost::Message as _;

use super::codec;
use super::fault::Fault;
use super::node::Node;
use super::reply::{Reply, invalid};
use crate::case::Operation;
use crate::value::Value;

impl Node {
    /// The rows that are there have the default value of the new field, or null.
    pub(super) fn add_collection_field(
        &mut self,
        request: pb::AddCollectionFieldRequest,
    ) -> Reply<common::Status> {
        let lacks = self.has(Fault::AddedFieldLacksDefault);
        let collection = self.collection(&request.collection_name)?;
        let described = schema_pb::FieldSchema::decode(request.schema.as_slice());
        let described = described.map_err(|error| invalid(error.to_string()))?;
        let field = codec::decode_field(&described).map_err(invalid)?;
        if !Operation::can_add(&field) {
            return Err(invalid(format!("field {} cannot be added", field.name)));
        }
        let mut schema = collection.schema.clone();
        schema.fields.push(field.clone());
        schema.validate().map_err(|error| invalid(error.to_string()))?;
        collection.schema = schema;
        codec::describe_field(&mut collection.described, described);
        collection.life.added(&field.name);
        if field.default.is_some() && !lacks {
            let (rows, before) = (&mut collection.rows, &mut collection.rows_before);
            for row in rows.values_mut().chain(before.values_mut()) {
                let value: Value = field.absent();
                row.fields.insert(field.name.clone(), value);
            }
        }
        Ok(common::Status::default())
    }
}
