//! Gives the crate loom's locks and flags.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=sansocket_loom");
}
