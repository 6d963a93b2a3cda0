//! Partitions of a simulated Milvus: which there are. Where rows are, their collection knows.

use milvus::proto::{common, milvus as pb};

use super::fault::Fault;
use super::node::Node;
use super::reply::{Reply, invalid};

impl Node {
    pub(super) fn create_partition(
        &mut self,
        request: pb::CreatePartitionRequest,
    ) -> Reply<common::Status> {
        let collection = self.collection(&request.collection_name)?;
        if collection.schema.fields.iter().any(|field| field.partition_key) {
            return Err(invalid("partitions of a collection with a partition key are its own"));
        }
        collection.partitions.insert(request.partition_name);
        Ok(common::Status::default())
    }

    /// Its rows go with it. As in Milvus, one that is loaded is refused.
    pub(super) fn drop_partition(
        &mut self,
        request: pb::DropPartitionRequest,
    ) -> Reply<common::Status> {
        let keeps = self.has(Fault::DroppedPartitionKeepsRows);
        let collection = self.collection(&request.collection_name)?;
        let name = &request.partition_name;
        collection.require_partition(name)?;
        if collection.loaded && !collection.released.contains(name) {
            return Err(invalid("partition cannot be dropped, please release it first"));
        }
        collection.partitions.remove(name);
        collection.released.remove(name);
        let homes = &collection.homes;
        collection.rows.retain(|key, _| keeps || homes.get(key) != Some(name));
        collection.homes.retain(|_, home| home != name);
        Ok(common::Status::default())
    }

    pub(super) fn release_partitions(
        &mut self,
        request: pb::ReleasePartitionsRequest,
    ) -> Reply<common::Status> {
        let collection = self.collection(&request.collection_name)?;
        for name in &request.partition_names {
            collection.require_partition(name)?;
        }
        collection.released.extend(request.partition_names);
        Ok(common::Status::default())
    }
}
