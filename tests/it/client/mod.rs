//! The client library.

mod atomic;
mod engines;
mod faulty;
mod killed;
mod mirror;
mod world;
