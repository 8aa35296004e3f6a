//! The `.proto` text of this package, compiled.

use std::path::{Path, PathBuf};

use prost_reflect::DescriptorPool;

/// The packages that are ours; the rest are the well-known ones of protobuf itself.
pub(crate) const PACKAGE_PREFIX: &str = "org.apache.beam.model.";

/// This package's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `proto/` and what they import, comments included.
pub(crate) fn compile() -> DescriptorPool {
    let include = root().join("proto");
    let mut files = Vec::new();
    collect(&include, &mut files);
    // The order of files decides the order of items in the generated code.
    files.sort();
    let mut compiler = protox::Compiler::new([&include]).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files).unwrap();
    compiler.descriptor_pool()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
