//! What people read: rustdoc, and the commands that README.md tells them to type.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::rust::check;
use super::{Count, PARTS};
use crate::project::Project;

/// Builds the documentation and looks at each command of README.md.
pub(super) fn run(project: &Project) -> Result<Count> {
    let mut rustdoc = project.cargo(&["doc", "--workspace", "--no-deps"]);
    rustdoc.env("RUSTDOCFLAGS", "--deny warnings");
    let mut count = check(rustdoc)?;

    let path = project.root.join("README.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let aliases = project.root.join(".cargo/config.toml");
    let aliases = fs::read_to_string(&aliases)
        .with_context(|| format!("could not read {}", aliases.display()))?;
    println!("-- commands of README.md");
    for (line, command) in commands(&text) {
        count += match possible(command, &project.root, &aliases) {
            Ok(()) => Count::passed(1),
            Err(error) => {
                println!("README.md:{line}: `{command}`: {error:#}");
                Count::failed(1)
            }
        };
    }
    Ok(count)
}

/// The commands in fenced blocks marked `sh`, with their line numbers. A comment ends a command.
fn commands(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut shell = false;
    markdown
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                shell = !shell && language.trim() == "sh";
                return None;
            }
            let command = line.split(" #").next().unwrap_or_default().trim();
            (shell && !command.is_empty() && !command.starts_with('#'))
                .then_some((index + 1, command))
        })
}

/// Whether what a command names exists in the repository.
fn possible(command: &str, root: &Path, aliases: &str) -> Result<()> {
    let words: Vec<&str> = command.split_whitespace().collect();
    if let ["cargo", subcommand, rest @ ..] = words.as_slice() {
        match *subcommand {
            "build" | "test" | "doc" | "bench" => {}
            "run" => target(rest, root)?,
            alias
                if aliases
                    .lines()
                    .any(|line| line.split('=').next().map(str::trim) == Some(alias)) => {}
            other => bail!("cargo has no `{other}` here"),
        }
        if *subcommand == "verify" {
            for name in rest {
                if !PARTS.iter().any(|part| part.name == *name) {
                    bail!("verify has no part `{name}`");
                }
            }
        }
    }
    for word in &words {
        let is_path = word.contains('/') && !word.contains("://") && !word.starts_with('/');
        if is_path && !root.join(word).exists() {
            bail!("there is no {word}");
        }
    }
    Ok(())
}

/// Whether the example or binary that `cargo run` names exists.
fn target(arguments: &[&str], root: &Path) -> Result<()> {
    let (folder, name) = match arguments {
        ["--example", name, ..] => ("examples", name),
        ["--bin", name, ..] => ("src/bin", name),
        _ => bail!("say which program runs, with --example or --bin"),
    };
    let folder = root.join(folder);
    let found =
        folder.join(format!("{name}.rs")).exists() || folder.join(name).join("main.rs").exists();
    if !found {
        bail!("there is no {name} in {}", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIASES: &str = "[alias]\nverify = \"run\"\n";

    fn verdict(command: &str) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        possible(command, root, ALIASES).map_err(|error| error.to_string())
    }

    #[test]
    fn only_shell_blocks_hold_commands() {
        let text = "a\n```sh\ncargo verify   # all\n# note\n\n```\n```rust\nlet a = 1;\n```\n```\nplain\n```\n";
        let found: Vec<_> = commands(text).collect();
        assert_eq!(found, [(3, "cargo verify")]);
    }

    #[test]
    fn commands_that_can_run_pass() {
        for command in [
            "cargo verify",
            "cargo verify unit docs",
            "cargo test",
            "cat src/main.rs",
        ] {
            assert_eq!(verdict(command), Ok(()), "{command}");
        }
    }

    #[test]
    fn commands_that_cannot_run_say_why() {
        for (command, reason) in [
            ("cargo verifi", "cargo has no `verifi` here"),
            ("cargo verify units", "verify has no part `units`"),
            (
                "cargo run",
                "say which program runs, with --example or --bin",
            ),
            ("python src/main.py", "there is no src/main.py"),
        ] {
            assert_eq!(verdict(command), Err(reason.to_owned()), "{command}");
        }
        assert!(verdict("cargo run --example nothing").is_err());
    }
}
