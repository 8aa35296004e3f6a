//! What an event says.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{Debug, Write};

use beam_proto::fnexec::LogEntry;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tracing::field::{Field, Visit};

/// The most of one field's text that is kept as data, in bytes. The message has all of it.
const MAX_VALUE: usize = 16 << 10;

/// Whole numbers beyond this are not exact as floating-point numbers, which is all that the data can hold.
const EXACT: u64 = 1 << 53;

/// The fields of an event: as text behind the message, and as data of their types.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    text: String,
    data: BTreeMap<String, Value>,
    /// The causes of errors.
    trace: String,
    source: Source,
}

/// Where a record of the crate `log` comes from: it tells by fields.
#[derive(Default)]
struct Source {
    target: Option<String>,
    file: Option<String>,
    line: Option<u64>,
}

impl Fields {
    /// The target of a record of `log`.
    pub(super) fn target(&self) -> Option<&str> {
        self.source.target.as_deref()
    }

    /// The place of a record of `log`.
    pub(super) fn location(&self) -> Option<String> {
        match (&self.source.file, self.source.line) {
            (Some(file), Some(line)) => Some(format!("{file}:{line}")),
            _ => None,
        }
    }

    /// Moves everything into an entry.
    pub(super) fn fill(self, entry: &mut LogEntry) {
        entry.message = self.message + &self.text;
        entry.trace = self.trace;
        if !self.data.is_empty() {
            entry.custom_data = Some(Struct { fields: self.data });
        }
    }

    fn put(&mut self, name: &str, kind: Kind, text: impl Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, " {name}={text:?}");
        let mut key = data_key(name);
        while self.data.contains_key(&key) {
            key.push('_');
        }
        self.data.insert(key, Value { kind: Some(kind) });
    }

    fn put_text(&mut self, name: &str, value: &str, text: impl Debug) {
        let end = value.floor_char_boundary(MAX_VALUE);
        self.put(name, Kind::StringValue(value[..end].into()), text);
    }
}

/// A field's name as a key of an entry's data, which may have letters, `_` and `-` only.
fn data_key(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphabetic() || c == '-';
    name.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            name => self.put_text(name, &format!("{value:?}"), value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "log.target" => self.source.target = Some(value.into()),
            "log.file" => self.source.file = Some(value.into()),
            "log.module_path" => {}
            name => self.put_text(name, value, value),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), Kind::NumberValue(value), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if value.unsigned_abs() <= EXACT {
            self.put(field.name(), Kind::NumberValue(value as f64), value);
        } else {
            self.put_text(field.name(), &value.to_string(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "log.line" => self.source.line = Some(value),
            name if value <= EXACT => self.put(name, Kind::NumberValue(value as f64), value),
            name => self.put_text(name, &value.to_string(), value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Kind::BoolValue(value), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let text = value.to_string();
        self.put_text(field.name(), &text, &text);
        if !self.trace.is_empty() {
            self.trace.push('\n');
        }
        self.trace.push_str(&text);
        push_causes(&mut self.trace, value.source());
    }
}

/// Appends the causes of an error, each on a line.
pub(in crate::harness) fn push_causes(trace: &mut String, first: Option<&(dyn Error + 'static)>) {
    let mut cause = first;
    while let Some(error) = cause {
        let _ = write!(trace, "\ncaused by: {error}");
        cause = error.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_letters_and_strokes_only() {
        assert_eq!(data_key("http.status_code-2ä"), "http_status_code-__");
    }
}
