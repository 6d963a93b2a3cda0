//! Aliases of collections: other names, which can be pointed to others.

use milvus::proto::milvus::{AlterAliasRequest, CreateAliasRequest, DropAliasRequest};

use super::connection::Milvus;
use super::error::{MilvusError, check_status};

impl Milvus {
    /// Makes an alias of a collection.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create_alias(&self, collection: &str, alias: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "create alias";
        let request = CreateAliasRequest {
            collection_name: collection.to_owned(),
            alias: alias.to_owned(),
            ..CreateAliasRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.create_alias(request)).await?;
        check_status(OPERATION, Some(&status))
    }

    /// Points an alias to another collection.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn alter_alias(&self, collection: &str, alias: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "alter alias";
        let request = AlterAliasRequest {
            collection_name: collection.to_owned(),
            alias: alias.to_owned(),
            ..AlterAliasRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.alter_alias(request)).await?;
        check_status(OPERATION, Some(&status))
    }

    /// Drops an alias.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn drop_alias(&self, alias: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "drop alias";
        let request = DropAliasRequest { alias: alias.to_owned(), ..DropAliasRequest::default() };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.drop_alias(request)).await?;
        check_status(OPERATION, Some(&status))
    }
}
