//! Turns `proto/` into Rust and into the descriptor set that reflection serves; needs no protoc.

use std::path::PathBuf;

use protox::prost::Message;

const FILES: [&str; 5] = [
    "customerguard/v1/customer_service.proto",
    "customerguard/v1/decision_service.proto",
    "customerguard/v1/errors.proto",
    "customerguard/v1/partner_account_service.proto",
    "customerguard/v1/sync_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out: PathBuf = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?.into();
    std::fs::write(out.join("customerguard.binpb"), descriptors.encode_to_vec())?;
    // Maps in key order: the same message then always has the same bytes, and a request its fingerprint.
    // Messages that know their names: the command line prints each by its own.
    let mut names = prost_build::Config::new();
    names.enable_type_names();
    // A message with a secret is printed by hand, without it.
    let secret = "customerguard.v1.SetPartnerAccountCredentialsRequest";
    tonic_build::configure().btree_map(".").skip_debug([secret]).compile_fds_with_config(descriptors, names)?;
    Ok(())
}
