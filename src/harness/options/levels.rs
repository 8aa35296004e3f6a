//! How much is logged.

use serde_json::Value;
use tracing::level_filters::LevelFilter;

/// The least severe level of log events that are kept, by target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLevels {
    default: LevelFilter,
    /// By target and everything in it; the most specific first.
    overrides: Vec<(String, LevelFilter)>,
}

impl LogLevels {
    /// One level for all targets.
    pub(crate) fn all(default: LevelFilter) -> Self {
        LogLevels {
            default,
            overrides: Vec::new(),
        }
    }

    /// Adds a level for one target, in the notation of Rust (`a::b`) or of other languages (`a.b`).
    pub(crate) fn add(&mut self, target: &str, level: LevelFilter) {
        let target = target.replace('.', "::");
        // The later word counts.
        self.overrides.retain(|(known, _)| *known != target);
        self.overrides.push((target, level));
        self.overrides
            .sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
    }

    /// The level of a target.
    pub(crate) fn of(&self, target: &str) -> LevelFilter {
        let covers = |outer: &str| {
            target
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let found = self.overrides.iter().find(|(outer, _)| covers(outer));
        found.map_or(self.default, |(_, level)| *level)
    }

    /// The level that lets through whatever some target's does.
    pub(crate) fn most(&self) -> LevelFilter {
        let levels = self.overrides.iter().map(|(_, level)| *level);
        levels.fold(self.default, LevelFilter::max)
    }
}

/// A level as other SDKs name or number it.
pub(crate) fn parse_level(value: &Value) -> Option<LevelFilter> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    if let Some(number) = number {
        // As Python numbers them.
        return Some(match number {
            0..=9 => LevelFilter::TRACE,
            10..=19 => LevelFilter::DEBUG,
            20..=29 => LevelFilter::INFO,
            30..=39 => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        });
    }
    Some(match value.as_str()?.trim().to_ascii_uppercase().as_str() {
        "OFF" => LevelFilter::OFF,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        "WARN" | "WARNING" => LevelFilter::WARN,
        "INFO" => LevelFilter::INFO,
        "DEBUG" => LevelFilter::DEBUG,
        "TRACE" | "ALL" | "NOTSET" => LevelFilter::TRACE,
        _ => return None,
    })
}

/// Targets and levels of an option that is a map, JSON of one, or a list of those. What is neither comes as an error.
pub(crate) fn parse_overrides(value: &Value) -> Vec<Result<(String, LevelFilter), String>> {
    let mut found = Vec::new();
    let parts = match value {
        Value::Array(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    for part in parts {
        let parsed = match part {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            other => other.clone(),
        };
        let Value::Object(map) = parsed else {
            found.push(Err(part.to_string()));
            continue;
        };
        found.extend(
            map.into_iter()
                .map(|(target, level)| match parse_level(&level) {
                    Some(parsed) => Ok((target, parsed)),
                    None => Err(format!("{target}: {level}")),
                }),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_closest_target_counts() {
        let mut levels = LogLevels::all(LevelFilter::WARN);
        levels.add("shop", LevelFilter::INFO);
        levels.add("shop.prices", LevelFilter::TRACE);
        levels.add("shop", LevelFilter::ERROR);
        assert_eq!(levels.of("other"), LevelFilter::WARN);
        assert_eq!(levels.of("shop"), LevelFilter::ERROR);
        assert_eq!(levels.of("shop::orders"), LevelFilter::ERROR);
        assert_eq!(levels.of("shopping"), LevelFilter::WARN);
        assert_eq!(levels.of("shop::prices::vat"), LevelFilter::TRACE);
        assert_eq!(levels.most(), LevelFilter::TRACE);
    }

    #[test]
    fn levels_have_names_and_numbers() {
        let parsed = |value| parse_level(&value);
        assert_eq!(parsed(json!("WARNING")), Some(LevelFilter::WARN));
        assert_eq!(parsed(json!("critical")), Some(LevelFilter::ERROR));
        assert_eq!(parsed(json!("OFF")), Some(LevelFilter::OFF));
        assert_eq!(parsed(json!(10)), Some(LevelFilter::DEBUG));
        assert_eq!(parsed(json!("20")), Some(LevelFilter::INFO));
        assert_eq!(parsed(json!("loud")), None);
        assert_eq!(parsed(json!([1])), None);
    }

    #[test]
    fn overrides_come_as_maps_or_as_json() {
        let expected = vec![
            Ok(("a.b".to_owned(), LevelFilter::DEBUG)),
            Err(r#"c: "loud""#.to_owned()),
        ];
        assert_eq!(
            parse_overrides(&json!({"a.b": "DEBUG", "c": "loud"})),
            expected
        );
        let text = json!(r#"{"a.b": "DEBUG", "c": "loud"}"#);
        assert_eq!(parse_overrides(&text), expected);
        assert_eq!(parse_overrides(&json!([text])), expected);
        assert_eq!(
            parse_overrides(&json!("nonsense")),
            [Err(r#""nonsense""#.to_owned())]
        );
    }
}
