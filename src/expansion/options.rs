//! The pipeline options of the caller.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Struct, Value};

/// The options that a pipeline's author set, by name.
///
/// Clients write names as `beam:option:<name>:v1` and numbers sometimes as numbers, sometimes as text; both are read
/// alike. An option that is not set, or is set to its default, is mostly not sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallerOptions(BTreeMap<String, Value>);

impl CallerOptions {
    /// The options in the message that clients and runners send.
    pub fn from_struct(options: Option<&Struct>) -> Self {
        let fields = options.into_iter().flat_map(|o| &o.fields);
        CallerOptions(
            fields
                .map(|(name, value)| (short(name).to_owned(), value.clone()))
                .collect(),
        )
    }

    /// The names of all options that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn kind(&self, name: &str) -> Option<&Kind> {
        self.0.get(name)?.kind.as_ref()
    }

    /// A text. Numbers and booleans are written out; a list is none.
    pub fn text(&self, name: &str) -> Option<String> {
        text(self.kind(name)?)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.kind(name)? {
            // Only these are exact in a double.
            Kind::NumberValue(n) if n.fract() == 0.0 && n.abs() <= 2f64.powi(53) => Some(*n as i64),
            Kind::StringValue(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.kind(name)? {
            Kind::BoolValue(flag) => Some(*flag),
            Kind::StringValue(text) => text.to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// All values of an option that may be given several times. One value is a list of one.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.kind(name) {
            Some(Kind::ListValue(list)) => list
                .values
                .iter()
                .filter_map(|value| text(value.kind.as_ref()?))
                .collect(),
            Some(kind) => text(kind).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// `name` of `beam:option:name:v1`.
fn short(key: &str) -> &str {
    key.strip_prefix("beam:option:")
        .and_then(|rest| rest.rsplit_once(':'))
        .map_or(key, |(name, _version)| name)
}

fn text(kind: &Kind) -> Option<String> {
    match kind {
        Kind::StringValue(text) => Some(text.clone()),
        Kind::NumberValue(number) => Some(number.to_string()),
        Kind::BoolValue(flag) => Some(flag.to_string()),
        Kind::NullValue(_) | Kind::ListValue(_) | Kind::StructValue(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::ListValue;

    use super::*;

    fn options(fields: &[(&str, Kind)]) -> CallerOptions {
        CallerOptions::from_struct(Some(&Struct {
            fields: fields
                .iter()
                .map(|(name, kind)| {
                    let kind = Some(kind.clone());
                    ((*name).to_owned(), Value { kind })
                })
                .collect(),
        }))
    }

    fn string(text: &str) -> Kind {
        Kind::StringValue(text.into())
    }

    #[test]
    fn both_notations_of_a_number_read_alike() {
        let options = options(&[
            ("beam:option:a:v1", Kind::NumberValue(3.0)),
            ("beam:option:b:v1", string("3")),
            ("beam:option:c:v1", Kind::NumberValue(3.5)),
        ]);
        assert_eq!(options.integer("a"), Some(3));
        assert_eq!(options.integer("b"), Some(3));
        assert_eq!(options.integer("c"), None);
        assert_eq!(options.text("a").as_deref(), Some("3"));
        assert_eq!(options.integer("absent"), None);
    }

    #[test]
    fn texts_flags_and_lists() {
        let experiments = ListValue {
            values: ["a", "b=c"]
                .map(|text| Value {
                    kind: Some(string(text)),
                })
                .to_vec(),
        };
        let options = options(&[
            ("beam:option:my_flag:v1", string("7")),
            ("job_name", string("j")),
            ("beam:option:experiments:v1", Kind::ListValue(experiments)),
            ("beam:option:streaming:v1", string("True")),
            ("beam:option:off:v1", Kind::BoolValue(false)),
        ]);
        assert_eq!(options.text("my_flag").as_deref(), Some("7"));
        assert_eq!(options.text("job_name").as_deref(), Some("j"));
        assert_eq!(options.list("experiments"), ["a", "b=c"]);
        assert_eq!(options.list("job_name"), ["j"]);
        assert_eq!(options.flag("streaming"), Some(true));
        assert_eq!(options.flag("off"), Some(false));
        assert_eq!(options.text("experiments"), None);
        assert_eq!(options.names().count(), 5);
    }
}
