//! The command line, parsed by hand: three programs start this binary with flags of their own making, and it must do
//! something sensible with all of them.
//!
//! Beam's clients start a service as `BIN PORT --filesToStage=… --alsoStartLoopbackWorker`, runners start a worker as
//! `BIN --id=… --provision_endpoint=…` without any command, sometimes with quotes around values, and Python's runner
//! starts one with nothing but environment variables. None of it may fail on a flag that a later Beam adds. A parser
//! made for command lines of one's own has to be talked out of all its rules for that.

use crate::error::{Error, Result};

/// Words and flags, in any order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Args {
    words: Vec<String>,
    flags: Vec<(String, Option<String>)>,
}

impl Args {
    /// Sorts arguments into words and flags. A flag that `takes_value` may have its value after a space; others have
    /// one only after `=`.
    pub(super) fn parse(
        args: impl IntoIterator<Item = String>,
        takes_value: impl Fn(&str) -> bool,
    ) -> Self {
        let mut parsed = Args::default();
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
                parsed.words.push(arg);
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if takes_value(flag) => (flag, args.next_if(|next| !next.starts_with("--"))),
                None => (flag, None),
            };
            parsed
                .flags
                .push((name.to_owned(), value.map(|v| unquoted(&v).to_owned())));
        }
        parsed
    }

    /// Whether the flag is given, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag == name)
    }

    /// Takes the flag's value; the last one, if it is given several times.
    ///
    /// # Errors
    /// The flag has no value.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>> {
        Ok(self.take_all(name)?.pop())
    }

    /// Takes all values of a flag.
    ///
    /// # Errors
    /// The flag has no value.
    pub(super) fn take_all(&mut self, name: &str) -> Result<Vec<String>> {
        let mut values = Vec::new();
        for (_, value) in self.flags.extract_if(.., |(flag, _)| flag == name) {
            values.push(value.ok_or_else(|| {
                Error::config(format!("the flag --{name} needs a value: --{name}=…"))
            })?);
        }
        Ok(values)
    }

    /// Takes a flag without value.
    pub(super) fn take_switch(&mut self, name: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|(flag, _)| flag != name);
        self.flags.len() < before
    }

    /// The first word that was not taken.
    pub(super) fn word(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    /// Takes the first word.
    pub(super) fn take_word(&mut self) -> Option<String> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    /// What nobody took, as it may be said in a warning.
    pub(super) fn left_over(self) -> Vec<String> {
        let flags = self.flags.into_iter().map(|(name, _)| format!("--{name}"));
        self.words.into_iter().chain(flags).collect()
    }
}

/// A value without the quotes that some runners leave around it.
fn unquoted(value: &str) -> &str {
    ['\'', '"']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Args {
        Args::parse(line.iter().map(|s| (*s).to_owned()), |f| f == "port")
    }

    #[test]
    fn flags_have_values_after_equals_or_space() {
        let mut args = parse(&["serve", "--port", "1", "--image=x=y", "--port=2"]);
        assert_eq!(args.word(), Some("serve"));
        assert_eq!(args.take("port").expect("values"), Some("2".into()));
        assert_eq!(args.take("image").expect("a value"), Some("x=y".into()));
        assert_eq!(args.take("absent").expect("nothing"), None);
        assert_eq!(args.left_over(), ["serve"]);
    }

    #[test]
    fn a_flag_does_not_swallow_what_is_not_its_value() {
        let mut args = parse(&["--unknown", "8097", "--port", "--other"]);
        assert_eq!(args.take_word().as_deref(), Some("8097"));
        let error = args.take("port").expect_err("no value").to_string();
        assert_eq!(error, "the flag --port needs a value: --port=…");
        assert!(args.has("other") && args.take_switch("other") && !args.take_switch("other"));
        assert_eq!(args.left_over(), ["--unknown"]);
    }

    #[test]
    fn quotes_round_a_value_are_dropped() {
        for (given, value) in [
            ("--id='job-1[x]_e'", "job-1[x]_e"),
            ("--id=\"a\"", "a"),
            ("--id='a", "'a"),
            ("--id='", "'"),
            ("--id=", ""),
        ] {
            let mut args = parse(&[given]);
            assert_eq!(args.take("id").expect("a value").as_deref(), Some(value));
        }
    }
}
