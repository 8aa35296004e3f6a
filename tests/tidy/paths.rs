//! The paths that a file names, with `use` trees spelled out and `self`, `super` and `crate` resolved.

use std::fmt;

use crate::lex::Token;

/// A path of two or more segments. The first is `crate`, or a crate or name in scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

impl Path {
    /// The name directly under this crate's root, for a path that leads there.
    pub(crate) fn below_crate(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [root, name, ..] if root == "crate" || root == "ferrobeam" => Some(name),
            _ => None,
        }
    }

    pub(crate) fn starts_with(&self, prefix: &[&str]) -> bool {
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(a, b)| a == b)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.segments.join("::"))
    }
}

/// All paths in the tokens of a file that defines `module`.
pub(crate) fn paths(tokens: &[Token], module: &[String]) -> Vec<Path> {
    let mut reader = Reader {
        tokens,
        at: 0,
        module: module.to_vec(),
        braces: Vec::new(),
        found: Vec::new(),
    };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module at this place, inline modules included.
    module: Vec<String>,
    /// For each open brace, whether it opened an inline module.
    braces: Vec<bool>,
    found: Vec<Path>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn step(&mut self) {
        match self.text(self.at) {
            "{" => {
                let is_module = self.at >= 2 && self.text(self.at - 2) == "mod";
                if is_module {
                    self.module.push(self.text(self.at - 1).to_owned());
                }
                self.braces.push(is_module);
                self.at += 1;
            }
            "}" => {
                if self.braces.pop() == Some(true) {
                    self.module.pop();
                }
                self.at += 1;
            }
            word if is_name(word) && self.text(self.at + 1) == "::" => self.tree(Vec::new()),
            _ => self.at += 1,
        }
    }

    /// Reads a path or a `use` tree whose beginning is known. Ends behind what belongs to it.
    fn tree(&mut self, mut segments: Vec<String>) {
        let line = self.tokens[self.at].line;
        loop {
            match self.text(self.at) {
                "{" => {
                    self.at += 1;
                    return self.group(&segments);
                }
                "*" => {
                    segments.push("*".to_owned());
                    self.at += 1;
                    break;
                }
                word if is_name(word) => {
                    segments.push(word.to_owned());
                    self.at += 1;
                }
                // Generic arguments, whose own paths are read next.
                _ => break,
            }
            if self.text(self.at) != "::" {
                break;
            }
            self.at += 1;
        }
        if segments.len() > 1 {
            let segments = self.resolve(segments);
            self.found.push(Path { line, segments });
        }
    }

    fn group(&mut self, prefix: &[String]) {
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                "}" => {
                    self.at += 1;
                    return;
                }
                "as" => self.at += 2,
                word if is_name(word) || word == "*" || word == "{" => self.tree(prefix.to_vec()),
                _ => self.at += 1,
            }
        }
    }

    /// Replaces leading `self` and `super` by where they lead; a `self` at the end of a `use` tree names its parent.
    fn resolve(&self, mut segments: Vec<String>) -> Vec<String> {
        if segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let leading = segments
            .iter()
            .take_while(|name| ["self", "super"].contains(&name.as_str()));
        let leading = leading.count();
        if leading == 0 {
            return segments;
        }
        let up = segments[..leading]
            .iter()
            .filter(|name| *name == "super")
            .count();
        let kept = self.module.len().saturating_sub(up);
        let mut resolved = vec!["crate".to_owned()];
        resolved.extend_from_slice(&self.module[..kept]);
        resolved.extend(segments.drain(leading..));
        resolved
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

fn found(source: &str, module: &[&str]) -> Vec<String> {
    let module: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
    let paths = paths(&crate::lex::tokens(source), &module);
    paths.iter().map(Path::to_string).collect()
}

#[test]
fn plain_paths_are_found_anywhere() {
    let source = "use crate::error::Error; fn f(a: &crate::element::Kv<u8, std::time::Instant>) { ::tokio::spawn(a) }";
    let expected = [
        "crate::error::Error",
        "crate::element::Kv",
        "std::time::Instant",
        "tokio::spawn",
    ];
    assert_eq!(found(source, &["exec"]), expected);
}

#[test]
fn use_trees_are_spelled_out() {
    let source = "pub use crate::{error::{self, Error as E, Result}, window::*,\n model};";
    let expected = [
        "crate::error",
        "crate::error::Error",
        "crate::error::Result",
        "crate::window::*",
        "crate::model",
    ];
    assert_eq!(found(source, &["exec"]), expected);
    let source = "use {std::env, super::dofn::Cx};";
    assert_eq!(found(source, &["exec"]), ["std::env", "crate::dofn::Cx"]);
}

#[test]
fn super_leads_to_the_parent() {
    let module = ["exec", "nodes", "pardo"];
    let source =
        "use super::edge; use super::super::super::dofn::Cx; use self::inner::A; use super::*;";
    let expected = [
        "crate::exec::nodes::edge",
        "crate::dofn::Cx",
        "crate::exec::nodes::pardo::inner::A",
        "crate::exec::nodes::*",
    ];
    assert_eq!(found(source, &module), expected);
}

#[test]
fn inline_modules_count() {
    let source = "fn f() {} mod tests { use super::*; use super::super::harness::A; fn g() { } } use super::B;";
    let expected = ["crate::exec::*", "crate::harness::A", "crate::B"];
    assert_eq!(found(source, &["exec"]), expected);
}

#[test]
fn generic_arguments_do_not_end_the_search() {
    assert_eq!(
        found("Vec::<crate::model::Spec>::new()", &["exec"]),
        ["crate::model::Spec"]
    );
}

#[test]
fn visibility_is_no_import() {
    assert!(
        found(
            "pub(crate) fn a() {} pub(super) struct B; impl C { fn d(&self) {} }",
            &["exec"]
        )
        .is_empty()
    );
}

#[test]
fn paths_know_where_they_lead() {
    let tokens = crate::lex::tokens("crate::model::A\nferrobeam::exec\nstd::env::var");
    let paths = paths(&tokens, &[]);
    let below: Vec<_> = paths.iter().map(Path::below_crate).collect();
    assert_eq!(below, [Some("model"), Some("exec"), None]);
    assert_eq!(paths[1].line, 2);
    assert!(paths[2].starts_with(&["std", "env"]) && !paths[2].starts_with(&["std", "time"]));
}
