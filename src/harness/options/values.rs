//! The JSON forms of pipeline options.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as ProtoValue};
use serde_json::Value;

use crate::dofn::OptionValues;

/// Pipeline options from either form: names as URNs, or below `options` as older SDKs send them. Names as URNs win.
pub(crate) fn option_values(options: Struct) -> OptionValues {
    let (mut older, mut flat) = (Vec::new(), Vec::new());
    for (name, value) in options.fields {
        match (name.as_str(), value.kind) {
            ("options", Some(Kind::StructValue(nested))) => older.extend(
                nested
                    .fields
                    .into_iter()
                    .map(|(name, value)| (name, json(value))),
            ),
            // It describes options for displays, in the older form only.
            ("display_data", _) => {}
            (name, kind) => flat.push((plain_name(name).to_owned(), json(ProtoValue { kind }))),
        }
    }
    older.into_iter().chain(flat).collect()
}

/// The name in `beam:option:<name>:v1`; others as they are.
fn plain_name(name: &str) -> &str {
    let versioned = name.strip_prefix("beam:option:");
    let named = versioned.and_then(|rest| rest.rsplit_once(':'));
    named.map_or(name, |(name, _version)| name)
}

/// Nesting is bounded by what the decoder of the message allows.
fn json(value: ProtoValue) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::NumberValue(number)) => json_number(number),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(nested)) => {
            let fields = nested.fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, json(value))).collect())
        }
    }
}

/// The wire has floating-point numbers only; whole ones were integers where they came from.
fn json_number(number: f64) -> Value {
    const EXACT: f64 = (1u64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        (number as i64).into()
    } else {
        number.into()
    }
}

/// The other way round, for runners.
pub(crate) fn to_struct(fields: serde_json::Map<String, Value>) -> Struct {
    let fields = fields.into_iter();
    Struct {
        fields: fields
            .map(|(name, value)| (name, to_proto(value)))
            .collect(),
    }
}

fn to_proto(value: Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(to_proto).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    ProtoValue { kind: Some(kind) }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The options that a runner makes of JSON.
    pub(crate) fn from_json(value: Value) -> OptionValues {
        let Value::Object(fields) = value else {
            panic!("options are an object");
        };
        option_values(to_struct(fields))
    }

    #[test]
    fn both_forms_are_read_and_names_as_urns_win() {
        let values = from_json(json!({
            "options": {"maxRows": 1, "jobName": "older", "nothing": null},
            "display_data": [{"key": "maxRows"}],
            "beam:option:job_name:v1": "flat",
            "beam:option:a:b:v1": true,
            "plain": {"x": [1.5, "y"]},
        }));
        assert_eq!(values.get("max_rows"), Some(&json!(1)));
        assert_eq!(values.get("jobName"), Some(&json!("flat")));
        assert_eq!(values.get("a:b"), Some(&json!(true)));
        assert_eq!(values.get("plain"), Some(&json!({"x": [1.5, "y"]})));
        assert_eq!(values.get("nothing"), None);
        assert_eq!(values.get("display_data"), None);
    }

    #[test]
    fn whole_numbers_are_integers_again() {
        let values = from_json(json!({"a": 3.0, "b": -2.5, "c": 1e300}));
        assert_eq!(values.parse::<u8>("a").expect("whole"), Some(3));
        assert_eq!(values.get("b"), Some(&json!(-2.5)));
        assert_eq!(values.parse::<f64>("c").expect("large"), Some(1e300));
    }
}
