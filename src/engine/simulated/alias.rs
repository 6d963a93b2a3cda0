//! Aliases of a simulated Milvus.

use milvus::proto::{common, milvus as pb};

use super::fault::Fault;
use super::node::Node;
use super::reply::{Reply, invalid, not_found};

impl Node {
    pub(super) fn create_alias(
        &mut self,
        request: pb::CreateAliasRequest,
    ) -> Reply<common::Status> {
        self.collection(&request.collection_name)?;
        if self.aliases.contains_key(&request.alias) {
            return Err(invalid(format!("alias {} exists", request.alias)));
        }
        self.aliases.insert(request.alias, request.collection_name);
        Ok(common::Status::default())
    }

    pub(super) fn alter_alias(&mut self, request: pb::AlterAliasRequest) -> Reply<common::Status> {
        self.collection(&request.collection_name)?;
        let stays = self.has(Fault::AlteredAliasStays);
        let to = self.aliases.get_mut(&request.alias).ok_or_else(|| not_found(&request.alias))?;
        if !stays {
            *to = request.collection_name;
        }
        Ok(common::Status::default())
    }

    pub(super) fn drop_alias(&mut self, request: pb::DropAliasRequest) -> Reply<common::Status> {
        self.aliases.remove(&request.alias);
        Ok(common::Status::default())
    }

    /// The collection that a name stands for.
    pub(super) fn resolved(&self, name: &str) -> String {
        self.aliases.get(name).map_or(name, String::as_str).to_owned()
    }
}
