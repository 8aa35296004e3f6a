//! What a pipeline tells a runner and its users beside what to do: resource hints, annotations and display data.

use beam_proto::pipeline::{DisplayData, LabelledPayload, labelled_payload};
use beam_proto::urns::{display_data, resource_hints};
use bytes::Bytes;
use prost::Message;
use serde_json::Value;

use super::Pipeline;
use crate::dofn::{FunctionPayload, namespace};

/// What the workers of a pipeline need. A runner may do as it likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceHint {
    /// So many bytes of memory (`beam:resources:min_ram_bytes:v1`).
    MinRam(u64),
    /// So many cores (`beam:resources:cpu_count:v1`).
    Cpus(u32),
    /// An accelerator, in words that the runner knows (`beam:resources:accelerator:v1`).
    Accelerator(String),
    /// So many bundles at once, at most (`beam:resources:max_active_bundles_per_worker:v1`).
    MaxActiveBundles(u32),
}

impl ResourceHint {
    pub(super) fn to_proto(&self) -> (String, Bytes) {
        let (urn, text) = match self {
            ResourceHint::MinRam(bytes) => (resource_hints::MIN_RAM_BYTES, bytes.to_string()),
            ResourceHint::Cpus(cores) => (resource_hints::CPU_COUNT, cores.to_string()),
            ResourceHint::Accelerator(kind) => (resource_hints::ACCELERATOR, kind.clone()),
            ResourceHint::MaxActiveBundles(bundles) => (
                resource_hints::MAX_ACTIVE_BUNDLES_PER_WORKER,
                bundles.to_string(),
            ),
        };
        (urn.into(), Bytes::from(text))
    }
}

impl Pipeline {
    /// Says what the workers need. A later hint of the same kind replaces an earlier one.
    pub fn hint(&self, hint: &ResourceHint) {
        let (urn, value) = hint.to_proto();
        self.graph(|graph| graph.hints.insert(urn, value));
    }

    /// Places what `place` places, and gives each of these transforms an annotation, which runners pass on to tools.
    pub fn annotated<R>(
        &self,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        place: impl FnOnce(&Pipeline) -> R,
    ) -> R {
        let (key, value) = (key.into(), Bytes::from(value.into()));
        let outer = self.graph(|graph| graph.annotations.insert(key.clone(), value));
        let result = place(self);
        self.graph(|graph| match outer {
            Some(value) => graph.annotations.insert(key, value),
            None => graph.annotations.remove(&key),
        });
        result
    }
}

/// What runners show of a function: its name, and the plain fields of its configuration.
pub(super) fn of_function(function: &FunctionPayload) -> Vec<DisplayData> {
    let scope = namespace(&function.name);
    let name = labelled_payload::Value::StringValue(function.name.clone());
    let mut items = vec![item(scope, "fn", name)];
    if let Value::Object(fields) = &function.config {
        for (key, value) in fields {
            let value = match value {
                Value::Bool(flag) => labelled_payload::Value::BoolValue(*flag),
                Value::String(text) => labelled_payload::Value::StringValue(text.clone()),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => labelled_payload::Value::IntValue(whole),
                    (None, Some(real)) => labelled_payload::Value::DoubleValue(real),
                    (None, None) => continue,
                },
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            items.push(item(scope, key, value));
        }
    }
    items
}

/// The longest text that is shown.
const LONGEST: usize = 200;

fn item(namespace: &str, key: &str, mut value: labelled_payload::Value) -> DisplayData {
    if let labelled_payload::Value::StringValue(text) = &mut value
        && let Some((end, _)) = text.char_indices().nth(LONGEST)
    {
        text.truncate(end);
        text.push('…');
    }
    let payload = LabelledPayload {
        label: key.into(),
        key: key.into(),
        namespace: namespace.into(),
        value: Some(value),
    };
    DisplayData {
        urn: display_data::LABELLED.into(),
        payload: Bytes::from(payload.encode_to_vec()),
    }
}
