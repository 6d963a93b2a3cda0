//! Files that are added to a folder which `include_dir!` compiles in go unnoticed by Cargo otherwise.

fn main() {
    for folder in ["corpora/known", "known-issues"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
