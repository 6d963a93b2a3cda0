//! The client library.

mod atomic;
mod blocking;
mod consistency;
mod crash;
mod creation;
mod engines;
mod faulty;
mod killed;
mod mirror;
mod partial;
mod world;
