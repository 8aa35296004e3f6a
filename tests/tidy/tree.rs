//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "target", "__pycache__", ".venv", "node_modules"];

/// A file with its path relative to the repository, written with `/`.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    /// The folder or file directly under `src`: `src/exec/nodes/pardo.rs` and `src/exec.rs` both belong to `exec`.
    pub(crate) fn folder(&self) -> String {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first).to_owned()
    }

    /// The module that a file of `src` defines: `src/exec/nodes/mod.rs` is `exec::nodes`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let stem = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
        let last = parts.last().map(String::as_str);
        if last == Some("mod") || parts == ["lib"] {
            parts.pop();
        }
        parts
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository; empty when there is none.
pub(crate) fn read_text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Rust files below a folder of the repository.
pub(crate) fn rust_files(folder: &str) -> Vec<SourceFile> {
    files(folder, |path| {
        path.extension().is_some_and(|extension| extension == "rs")
    })
}

/// All files of the repository that are text.
pub(crate) fn text_files() -> Vec<SourceFile> {
    files("", |_| true)
}

fn files(folder: &str, wanted: impl Fn(&Path) -> bool) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if is_skipped(&path) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path)
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push(SourceFile {
                    path: relative(&path),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_skipped(path: &Path) -> bool {
    path.is_symlink()
        || path
            .file_name()
            .is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped))
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root()).unwrap_or(path).to_owned();
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn file(path: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        text: String::new(),
    }
}

#[test]
fn files_know_their_folder_and_module() {
    for (path, folder, module) in [
        ("src/lib.rs", "lib", &[][..]),
        ("src/error.rs", "error", &["error"]),
        ("src/exec/mod.rs", "exec", &["exec"]),
        (
            "src/exec/nodes/pardo.rs",
            "exec",
            &["exec", "nodes", "pardo"],
        ),
        ("src/bin/ferrobeam.rs", "bin", &["bin", "ferrobeam"]),
    ] {
        assert_eq!(file(path).folder(), folder);
        assert_eq!(file(path).module(), module);
    }
}

#[test]
fn the_walk_finds_this_file() {
    assert!(
        rust_files("tests")
            .iter()
            .any(|file| file.path == "tests/tidy/tree.rs")
    );
    assert!(text_files().iter().any(|file| file.path == "Cargo.toml"));
    assert!(
        text_files()
            .iter()
            .all(|file| !file.path.starts_with(".git/"))
    );
}
