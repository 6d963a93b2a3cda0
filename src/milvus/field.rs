//! Fields that are added to collections.

use milvus::proto::milvus::AddCollectionFieldRequest;
use prost::Message as _;
use tokio::time::{Instant, sleep};

use super::connection::Milvus;
use super::create::LOAD_POLL;
use super::encode;
use super::error::{MilvusError, check_status};
use crate::schema::Field;

impl Milvus {
    /// Adds a field to a collection, and waits until the server describes it: the documentation
    /// ("Add Fields to an Existing Collection") has it be there "with minimal delay".
    ///
    /// By the call that came with Milvus 2.6; the SDK tries one before it that came later.
    ///
    /// # Errors
    /// If the server refuses, or does not describe the field in time.
    pub async fn add_field(&self, collection: &str, field: &Field) -> Result<(), MilvusError> {
        const OPERATION: &str = "add field";
        let until = Instant::now() + self.deadline;
        let request = AddCollectionFieldRequest {
            collection_name: collection.to_owned(),
            schema: encode::field(field).encode_to_vec(),
            ..AddCollectionFieldRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.add_collection_field(request)).await?;
        check_status(OPERATION, Some(&status))?;
        while self.schema(collection).await?.field(&field.name).is_none() {
            if Instant::now() + LOAD_POLL >= until {
                return Err(MilvusError::Deadline { operation: OPERATION, after: self.deadline });
            }
            sleep(LOAD_POLL).await;
        }
        Ok(())
    }
}
