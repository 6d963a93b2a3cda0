//! The unit of everything: a schema, the operations of a collection's life, and checks.
//!
//! Fuzzing makes cases, shrinking makes smaller ones, replaying reads them back; all of them enter
//! the comparison by the same door, [`apply`](crate::apply).

mod check;
mod file;
mod history;
mod operation;
mod scope;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use check::unknown;
pub use check::{Check, Relation, Search};
pub(crate) use file::key_to_json;
pub use file::{CaseError, Found};
pub(crate) use history::State;
pub use operation::{Maintenance, Operation};
pub(crate) use scope::DEFAULT_PARTITION;
pub use scope::Scope;

use crate::filter::Expr;
use crate::schema::{Field, Schema};

/// A schema, operations and checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The collection's schema.
    pub schema: Schema,
    /// What happens to the collection, in order, before the checks: its history.
    pub operations: Vec<Operation>,
    /// The questions asked of the result.
    pub checks: Vec<Check>,
}

impl Case {
    /// All questions in the order in which they are asked: those of the history, and the checks.
    pub fn questions(&self) -> impl Iterator<Item = &Check> {
        let between = self.operations.iter().filter_map(|operation| match operation {
            Operation::Ask(check) => Some(check),
            _ => None,
        });
        between.chain(&self.checks)
    }

    /// All filters: of the questions, and of deletions.
    pub fn filters(&self) -> impl Iterator<Item = &Expr> {
        let deletions = self.operations.iter().filter_map(|operation| match operation.plain() {
            Operation::DeleteWhere(filter) => Some(&filter.expr),
            _ => None,
        });
        self.questions().filter_map(Check::filter).chain(deletions)
    }

    /// The schema before the operation with this number: without the fields that are added from
    /// there on.
    ///
    /// ```
    /// use milvus_difftest::case::{Case, Operation};
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// let field = |name| Field::new(name, DataType::Scalar(Scalar::Int64));
    /// let schema = Schema { fields: vec![field("id").primary(), field("n").nullable()], dynamic: false };
    /// let operations = vec![Operation::AddField("n".to_owned())];
    /// let case = Case { schema, operations, checks: Vec::new() };
    /// assert!(case.schema_at(0).field("n").is_none());
    /// assert_eq!(case.schema_at(1), case.schema);
    /// ```
    pub fn schema_at(&self, number: usize) -> Schema {
        let later: Vec<&str> = added(self.operations.iter().skip(number)).collect();
        let is_there = |field: &&Field| !later.contains(&field.name.as_str());
        let fields = self.schema.fields.iter().filter(is_there).cloned().collect();
        Schema { fields, dynamic: self.schema.dynamic }
    }

    /// The case whose only check is the question with this number, and whose history ends where it
    /// is asked. `None` if there are fewer questions.
    pub fn asking(&self, question: usize) -> Option<Case> {
        let mut left = question;
        for (at, operation) in self.operations.iter().enumerate() {
            let Operation::Ask(check) = operation else { continue };
            if left == 0 {
                let (operations, checks) = (self.operations[..at].to_vec(), vec![check.clone()]);
                return Some(Case { schema: self.schema_at(at), operations, checks });
            }
            left -= 1;
        }
        let checks = vec![self.checks.get(left)?.clone()];
        Some(Case { checks, ..self.clone() })
    }
}

/// The fields that some operations add.
fn added<'a>(operations: impl Iterator<Item = &'a Operation>) -> impl Iterator<Item = &'a str> {
    operations.filter_map(|operation| match operation {
        Operation::AddField(name) => Some(name.as_str()),
        _ => None,
    })
}
