//! Rust source as words and signs, without comments, literals and lifetimes: as much of a lexer as the rules need.

/// A word, a number, `::`, or one other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from one.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Cuts source text into tokens. Text that is no Rust gives some tokens, never a failure.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        chars: source.chars().collect(),
        at: 0,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

/// Whether a channel without a limit is made at this token.
pub(crate) fn makes_unbounded_channel(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    match text(at) {
        "unbounded_channel" => true,
        "unbounded" => matches!(text(at + 1), "(" | "::"),
        // Tokio's bounded `mpsc::channel` takes a capacity, the standard library's unbounded one takes nothing.
        // A oneshot channel holds one value.
        "channel" if at >= 2 && text(at - 2) == "oneshot" => false,
        "channel" => {
            let mut next = at + 1;
            if text(next) == "::" && text(next + 1) == "<" {
                next += tokens[next..]
                    .iter()
                    .take_while(|token| token.text != "(")
                    .count();
            }
            text(next) == "("
                && text(next + 1) == ")"
                && at > 0
                && matches!(text(at - 1), "::" | "=")
        }
        _ => false,
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self) -> Option<char> {
        let char = self.chars.get(self.at).copied()?;
        self.at += 1;
        self.line += usize::from(char == '\n');
        Some(char)
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let line = self.line;
            let char = self.chars.get(self.at).copied()?;
            match (char, self.peek(1)) {
                ('/', '/') => while self.peek(0) != '\n' && self.advance().is_some() {},
                ('/', '*') => self.skip_block_comment(),
                ('"', _) => self.skip_string(),
                ('\'', _) => self.skip_char_or_lifetime(),
                (':', ':') => {
                    self.at += 2;
                    let text = "::".to_owned();
                    return Some(Token { line, text });
                }
                _ if is_word(char) => {
                    if let Some(text) = self.word() {
                        return Some(Token { line, text });
                    }
                }
                _ => {
                    self.advance();
                    if !char.is_whitespace() {
                        let text = char.to_string();
                        return Some(Token { line, text });
                    }
                }
            }
        }
    }

    /// A word, or nothing if it was the prefix of a literal.
    fn word(&mut self) -> Option<String> {
        let mut word = String::new();
        while is_word(self.peek(0)) {
            word.extend(self.advance());
        }
        let hashes = self.chars[self.at..]
            .iter()
            .take_while(|char| **char == '#')
            .count();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        if raw && self.peek(hashes) == '"' {
            self.at += hashes;
            self.skip_raw_string(hashes);
        } else if word == "r" && hashes == 1 && is_word(self.peek(1)) {
            self.at += 1;
            return self.word();
        } else if matches!(word.as_str(), "b" | "c") && self.peek(0) == '"' {
            self.skip_string();
        } else if word == "b" && self.peek(0) == '\'' {
            self.skip_char_or_lifetime();
        } else {
            return Some(word);
        }
        None
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', '/') => {
                    depth -= 1;
                    self.at += 2;
                }
                _ if self.advance().is_none() => return,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.advance();
        while let Some(char) = self.advance() {
            match char {
                '\\' => drop(self.advance()),
                '"' => return,
                _ => {}
            }
        }
    }

    fn skip_raw_string(&mut self, hashes: usize) {
        self.advance();
        while let Some(char) = self.advance() {
            if char == '"' && (0..hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += hashes;
                return;
            }
        }
    }

    fn skip_char_or_lifetime(&mut self) {
        self.advance();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.advance().is_some_and(|char| char != '\'') {}
        } else if self.peek(1) == '\'' {
            self.advance();
            self.advance();
        } else {
            while is_word(self.peek(0)) {
                self.advance();
            }
        }
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn words(source: &str) -> Vec<String> {
    tokens(source).into_iter().map(|token| token.text).collect()
}

#[test]
fn comments_are_no_code() {
    assert_eq!(words("a // b\n/* c /* d */ e */ f //! g"), ["a", "f"]);
}

#[test]
fn literals_are_no_code() {
    assert_eq!(words(r#"a "b \" c" d"#), ["a", "d"]);
    assert_eq!(
        words(r###"a r#"b " c"# d br"e" f b"g" h c"i" j"###),
        ["a", "d", "f", "h", "j"]
    );
    assert_eq!(
        words(r"a '\'' b '\u{1F600}' c b'x' d '/' e"),
        ["a", "b", "c", "d", "e"]
    );
}

#[test]
fn lifetimes_are_no_literals() {
    assert_eq!(words("&'a str, 'b: x"), ["&", "str", ",", ":", "x"]);
}

#[test]
fn words_and_signs_are_told_apart() {
    assert_eq!(
        words("r#type::b1!(2_u8)"),
        ["type", "::", "b1", "!", "(", "2_u8", ")"]
    );
}

#[test]
fn lines_are_counted_through_literals() {
    let found = tokens("a\n\"b\n\\\n\"\n/*\n*/ c");
    let lines: Vec<_> = found
        .iter()
        .map(|token| (token.text.as_str(), token.line))
        .collect();
    assert_eq!(lines, [("a", 1), ("c", 6)]);
}

#[test]
fn broken_source_ends() {
    for source in ["\"a", "/* a", "r#\"a", "'", "'\\", "b'", "a ::"] {
        assert!(tokens(source).len() <= 2, "{source}");
    }
}

#[test]
fn unbounded_channels_are_recognised() {
    let makes = |source: &str| {
        let tokens = tokens(source);
        (0..tokens.len()).any(|at| makes_unbounded_channel(&tokens, at))
    };
    for source in [
        "let (a, b) = mpsc::unbounded_channel();",
        "use tokio::sync::mpsc::unbounded_channel;",
        "let (a, b) = mpsc::channel();",
        "let (a, b) = std::sync::mpsc::channel::<Vec<u8>>();",
        "let (a, b) = channel();",
        "let (a, b) = crossbeam_channel::unbounded::<u8>();",
    ] {
        assert!(makes(source), "{source}");
    }
    for source in [
        "let (a, b) = mpsc::channel(16);",
        "let (a, b) = mpsc::channel::<u8>(limit());",
        "let (a, b) = mpsc::sync_channel(1);",
        "let (a, b) = oneshot::channel();",
        "self.channel()",
        "fn channel() {}",
        "if unbounded { }",
        "// mpsc::unbounded_channel()",
    ] {
        assert!(!makes(source), "{source}");
    }
}
