//! Partitions of collections.

use milvus::proto::milvus::{
    CreatePartitionRequest, DropPartitionRequest, ReleasePartitionsRequest,
};

use super::connection::Milvus;
use super::error::{MilvusError, check_status};

impl Milvus {
    /// Makes a partition. That of a collection that is loaded is loaded (documentation, "Manage
    /// Partitions").
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create_partition(
        &self,
        collection: &str,
        partition: &str,
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "create partition";
        let request = CreatePartitionRequest {
            collection_name: collection.to_owned(),
            partition_name: partition.to_owned(),
            ..CreatePartitionRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.create_partition(request)).await?;
        check_status(OPERATION, Some(&status))
    }

    /// Drops a partition with its rows. It is released before, as the documentation asks for;
    /// engines that cannot release one do not ask for it. What else is of the collection is loaded
    /// afterwards.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn drop_partition(
        &self,
        collection: &str,
        partition: &str,
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "drop partition";
        match self.release_partition(collection, partition).await {
            Ok(()) | Err(MilvusError::Rejected { .. }) => {}
            Err(error) => return Err(error),
        }
        let request = DropPartitionRequest {
            collection_name: collection.to_owned(),
            partition_name: partition.to_owned(),
            ..DropPartitionRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.drop_partition(request)).await?;
        check_status(OPERATION, Some(&status))?;
        self.load(collection).await
    }

    async fn release_partition(
        &self,
        collection: &str,
        partition: &str,
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "release partition";
        let request = ReleasePartitionsRequest {
            collection_name: collection.to_owned(),
            partition_names: vec![partition.to_owned()],
            ..ReleasePartitionsRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.release_partitions(request)).await?;
        check_status(OPERATION, Some(&status))
    }
}
