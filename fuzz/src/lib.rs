//! The filter language alone, from the main package's sources: without DuckDB, which takes 25
//! minutes to compile.

#[path = "../../src"]
mod rooms {
    pub mod filter;
    pub mod schema;
    pub mod value;
}

// Among themselves they have the names that they have in the main package.
pub use rooms::{filter, schema, value};
