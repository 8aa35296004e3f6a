//! Reads options that the worker knows; what it cannot read, it warns of.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::levels::{parse_level, parse_overrides};
use crate::dofn::OptionValues;

/// Reads options and experiments by name.
pub(super) struct Reader<'a> {
    options: &'a OptionValues,
    /// Experiments, with their values if they have some.
    experiments: BTreeMap<String, Value>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a OptionValues) -> Self {
        let mut reader = Reader {
            options,
            experiments: BTreeMap::new(),
            warnings: Vec::new(),
        };
        if let Some(experiments) = options.get("experiments") {
            reader.read_experiments(experiments);
        }
        reader
    }

    /// A list, or one text with commas.
    fn read_experiments(&mut self, experiments: &Value) {
        let mut add = |text: &str| {
            let (name, value) = match text.trim().split_once('=') {
                Some((name, value)) => (name, Value::from(value)),
                None => (text.trim(), Value::from(true)),
            };
            if !name.is_empty() {
                self.experiments.insert(name.into(), value);
            }
        };
        match experiments {
            Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
                Ok(list) => list.iter().for_each(|text| add(text)),
                Err(_) => text.split(',').for_each(add),
            },
            Value::Array(list) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).for_each(add);
            }
            other => self.warn("experiments", other, "a list of texts"),
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    fn warn(&mut self, name: &str, value: &Value, wanted: &str) {
        self.warnings.push(format!(
            "the pipeline option {name} is ignored: its value is {value}, but should be {wanted}"
        ));
    }

    /// Reads a value with `parse`, which knows what is `wanted`.
    fn read<T>(
        &mut self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self
            .options
            .get(name)
            .or_else(|| self.experiments.get(name))?
            .clone();
        let parsed = parse(&value);
        if parsed.is_none() {
            self.warn(name, &value, wanted);
        }
        parsed
    }

    /// A whole number, also one that came as text.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.read(name, &wanted, |value| {
            let number = u64::try_from(whole(value)?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// A whole number of things in memory.
    pub(super) fn size(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<usize> {
        let number = self.number(name, range)?;
        usize::try_from(number).ok()
    }

    /// A whole number that may be negative.
    pub(super) fn signed(&mut self, name: &str) -> Option<i64> {
        self.read(name, "a whole number", whole)
    }

    /// Whether something is said to be so.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let flag = self.read(name, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            _ => None,
        });
        flag.unwrap_or(false)
    }

    /// Whether an experiment is named.
    pub(super) fn experiment(&self, name: &str) -> bool {
        self.experiments.contains_key(name)
    }

    /// A time in the notation of Go, such as `1h30m`; negative ones are none.
    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        let wanted = "a time such as 5m or 1h30m";
        self.read(name, wanted, |value| parse_duration(value.as_str()?))
    }

    pub(super) fn level(&mut self, name: &str) -> Option<LevelFilter> {
        let wanted = "a level such as INFO or DEBUG";
        self.read(name, wanted, parse_level)
    }

    /// Levels by target.
    pub(super) fn overrides(&mut self, name: &str) -> Vec<(String, LevelFilter)> {
        let Some(value) = self.options.get(name) else {
            return Vec::new();
        };
        let mut overrides = Vec::new();
        for part in parse_overrides(value) {
            match part {
                Ok(found) => overrides.push(found),
                Err(part) => {
                    let wanted = r#"like {"shop::prices": "DEBUG"}"#;
                    self.warn(name, &Value::from(part), wanted);
                }
            }
        }
        overrides
    }
}

/// A whole number, also one that came as text.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Numbers with units, one after the other. Negative times are zero.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, next) = rest.split_at(end.unwrap_or(rest.len()));
        seconds += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = next;
    }
    if text.is_empty() || text == "-" {
        return None;
    }
    let seconds = if negative { 0.0 } else { seconds };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_go() {
        let parsed = |text| parse_duration(text).map(|time| time.as_millis());
        assert_eq!(parsed("5m"), Some(300_000));
        assert_eq!(parsed("1h30m"), Some(5_400_000));
        assert_eq!(parsed("1m30.5s"), Some(90_500));
        assert_eq!(parsed("250ms"), Some(250));
        assert_eq!(parsed("0"), Some(0));
        assert_eq!(parsed("-1m"), Some(0));
        for bad in ["", "5", "m", "5x", "1h30", "-", "1.2.3s", "9e9h"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
