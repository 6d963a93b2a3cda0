//! The client library.

mod atomic;
mod faulty;
mod killed;
mod mirror;
mod world;
