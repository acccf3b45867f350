//! The generated types of package `customerguard.v1`.
#![expect(clippy::all, clippy::pedantic, clippy::nursery, clippy::allow_attributes, reason = "generated")]

tonic::include_proto!("customerguard.v1");

/// The descriptor set of the package and everything it imports, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/customerguard.binpb"));
