//! What a client asks for, parsed and checked once.

use std::sync::{Arc, Once};

use beam_proto::expansion::ExpansionRequest;
use beam_proto::pipeline::{Components, PTransform};
use beam_proto::urns::expansion_methods::{JAVA_CLASS_LOOKUP, SCHEMA_TRANSFORM};
use bytes::Bytes;
use prost::Message;

use super::CallerOptions;
use crate::element::{DynRow, Input, Nesting, Row, Schema};
use crate::error::{Error, Result};

/// An `ExpansionRequest` whose references all lead somewhere.
///
/// Coders, environments and window functions of the client may be unknown here: they stay opaque until a transform
/// uses one.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The transform to expand, as sent.
    pub(super) root: PTransform,
    /// What every new id must begin with.
    pub(super) namespace: String,
    /// What the client sent along, as sent.
    pub(super) components: Components,
    /// What the client's pipeline requires of its runner already.
    pub(super) requirements: Vec<String>,
    /// The pipeline options that the client sent.
    pub(super) options: CallerOptions,
    /// The transform's name and configuration.
    pub(super) wanted: Wanted,
}

/// Which transform a client wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// The schema transform with an identifier.
    Schema {
        /// Its identifier.
        identifier: String,
        /// Its configuration.
        config: EncodedRow,
    },
    /// The transform of a URN.
    Urn {
        /// Its URN.
        urn: String,
        /// Whatever its URN says that this is.
        payload: Bytes,
    },
}

impl Wanted {
    /// Identifier or URN.
    pub(super) fn name(&self) -> &str {
        match self {
            Wanted::Schema { identifier, .. } => identifier,
            Wanted::Urn { urn, .. } => urn,
        }
    }
}

/// A row and the schema that describes it, both encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncodedRow {
    /// A `Schema` message.
    pub schema: Bytes,
    /// A row of that schema, as `beam:coder:row:v1` writes it.
    pub row: Bytes,
}

/// The fields of `SchemaTransformPayload`. The schema stays encoded, because its depth is bounded where it is parsed.
#[derive(Clone, PartialEq, Message)]
struct SchemaTransformPayload {
    #[prost(string, tag = "1")]
    identifier: String,
    #[prost(bytes = "bytes", tag = "2")]
    configuration_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    configuration_row: Bytes,
}

/// The fields of `ExternalConfigurationPayload`, with the schema encoded.
#[derive(Clone, PartialEq, Message)]
struct ExternalConfigurationPayload {
    #[prost(bytes = "bytes", tag = "1")]
    schema: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

impl EncodedRow {
    /// The row in an `ExternalConfigurationPayload`: how clients configure transforms of plain URNs.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn of_external_payload(payload: Bytes) -> Result<Self> {
        let message = ExternalConfigurationPayload::decode(payload).map_err(|e| {
            Error::config("the payload is not an ExternalConfigurationPayload").because(e)
        })?;
        Ok(EncodedRow {
            schema: message.schema,
            row: message.payload,
        })
    }

    /// The row as a struct: fields match by name, and values are converted where they keep their meaning.
    ///
    /// # Errors
    /// A schema that breaks the rules, bytes that do not follow it, or a row that does not fit. The error names the
    /// field.
    pub fn read<C: Row>(&self) -> Result<C> {
        let schema = Arc::new(Schema::from_proto(&self.schema)?);
        if self.row.is_empty() && schema.fields().is_empty() {
            // There is nothing to say, and some clients then say nothing.
            return C::from_row(DynRow::new(schema, Vec::new())?);
        }
        if schema.null_bits_matter() {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| tracing::warn!("{}", schema.null_bits_in_words()));
        }
        let mut input = Input::new(&self.row);
        let row = DynRow::decode(&schema, &mut input, Nesting::Outer)?;
        if !input.is_empty() {
            return Err(Error::decode(format!(
                "{} bytes are left over after the configuration's row",
                input.remaining()
            )));
        }
        C::from_row(row)
    }
}

impl Request {
    /// Parses and checks a request.
    ///
    /// # Errors
    /// A request that names no transform, or refers to components that it does not contain.
    pub(super) fn parse(request: ExpansionRequest) -> Result<Self> {
        let root = request
            .transform
            .ok_or_else(|| Error::config("the request has no transform to expand"))?;
        let components = request.components.unwrap_or_default();
        let wanted = wanted(&root)?;
        check_inputs(&root, &components)?;
        Ok(Request {
            root,
            namespace: request.namespace,
            components,
            requirements: request.requirements,
            options: CallerOptions::from_struct(request.pipeline_options.as_ref()),
            wanted,
        })
    }

    /// The root's inputs, tags and collection ids. A map has no order: lists arrive with the tags `0`, `1`, …, so
    /// numbers come first and in their order.
    pub(super) fn inputs(&self) -> Vec<(&str, &str)> {
        let mut inputs: Vec<(&str, &str)> = self
            .root
            .inputs
            .iter()
            .map(|(tag, id)| (tag.as_str(), id.as_str()))
            .collect();
        inputs.sort_by_key(|(tag, _)| (tag.parse::<u64>().unwrap_or(u64::MAX), *tag));
        inputs
    }
}

fn wanted(root: &PTransform) -> Result<Wanted> {
    let spec = root
        .spec
        .as_ref()
        .filter(|spec| !spec.urn.is_empty())
        .ok_or_else(|| Error::config("the transform to expand has no URN"))?;
    match spec.urn.as_str() {
        SCHEMA_TRANSFORM => {
            let payload = SchemaTransformPayload::decode(spec.payload.clone()).map_err(|e| {
                Error::config("the payload is not a SchemaTransformPayload").because(e)
            })?;
            Ok(Wanted::Schema {
                identifier: payload.identifier,
                config: EncodedRow {
                    schema: payload.configuration_schema,
                    row: payload.configuration_row,
                },
            })
        }
        JAVA_CLASS_LOOKUP => Err(Error::config(
            "this service has no Java classes; ask for one of its transforms by URN or identifier",
        )),
        _ => Ok(Wanted::Urn {
            urn: spec.urn.clone(),
            payload: spec.payload.clone(),
        }),
    }
}

fn check_inputs(root: &PTransform, components: &Components) -> Result<()> {
    for (tag, id) in &root.inputs {
        let missing = |what: &str, id: &str| {
            Error::config(format!(
                "input {tag:?} needs the {what} {id:?}, which the request does not contain"
            ))
        };
        let collection = components
            .pcollections
            .get(id)
            .ok_or_else(|| missing("collection", id))?;
        if !components.coders.contains_key(&collection.coder_id) {
            return Err(missing("coder", &collection.coder_id));
        }
        let windowing = &collection.windowing_strategy_id;
        if !components.windowing_strategies.contains_key(windowing) {
            return Err(missing("windowing strategy", windowing));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use beam_proto::pipeline::FunctionSpec;

    use super::*;

    fn request(urn: &str, payload: &[u8], inputs: &[(&str, &str)]) -> ExpansionRequest {
        ExpansionRequest {
            transform: Some(PTransform {
                spec: Some(FunctionSpec {
                    urn: urn.into(),
                    payload: Bytes::copy_from_slice(payload),
                }),
                inputs: inputs
                    .iter()
                    .map(|(tag, id)| ((*tag).to_owned(), (*id).to_owned()))
                    .collect(),
                ..PTransform::default()
            }),
            ..ExpansionRequest::default()
        }
    }

    fn refused(request: ExpansionRequest) -> String {
        Request::parse(request)
            .expect_err("a bad request")
            .to_string()
    }

    #[test]
    fn schema_transforms_are_named_by_their_identifier() {
        let payload = [
            b"\x0a\x03a:b".as_slice(),
            b"\x12\x02\x12\x00",
            b"\x1a\x02\x00\x00",
        ]
        .concat();
        let parsed = Request::parse(request(SCHEMA_TRANSFORM, &payload, &[])).expect("valid");
        assert_eq!(parsed.wanted.name(), "a:b");
        let Wanted::Schema { config, .. } = parsed.wanted else {
            panic!("not a schema transform");
        };
        assert_eq!(&config.schema[..], b"\x12\x00");
        assert_eq!(&config.row[..], b"\x00\x00");
    }

    #[test]
    fn plain_urns_keep_their_payload() {
        let parsed = Request::parse(request("x:y", b"anything", &[])).expect("valid");
        assert_eq!(
            parsed.wanted,
            Wanted::Urn {
                urn: "x:y".into(),
                payload: Bytes::from_static(b"anything")
            }
        );
    }

    #[test]
    fn requests_without_sense_are_refused() {
        assert_eq!(
            refused(ExpansionRequest::default()),
            "the request has no transform to expand"
        );
        assert_eq!(
            refused(request("", b"", &[])),
            "the transform to expand has no URN"
        );
        assert!(
            refused(request(SCHEMA_TRANSFORM, b"\xff", &[])).contains("SchemaTransformPayload")
        );
        assert!(refused(request(JAVA_CLASS_LOOKUP, b"", &[])).contains("Java classes"));
        let error = refused(request("x", b"", &[("in", "pc")]));
        assert_eq!(
            error,
            r#"input "in" needs the collection "pc", which the request does not contain"#
        );
    }

    #[test]
    fn numbered_inputs_come_in_their_order() {
        let tags = ["10", "b", "2", "0", "a"];
        let request = Request {
            root: PTransform {
                inputs: tags.iter().map(|t| ((*t).into(), "pc".into())).collect(),
                ..PTransform::default()
            },
            namespace: String::new(),
            components: Components::default(),
            requirements: Vec::new(),
            options: CallerOptions::default(),
            wanted: Wanted::Urn {
                urn: "x".into(),
                payload: Bytes::new(),
            },
        };
        let order: Vec<&str> = request.inputs().into_iter().map(|(tag, _)| tag).collect();
        assert_eq!(order, ["0", "2", "10", "a", "b"]);
        assert_eq!(BTreeMap::from_iter(request.inputs()).len(), 5);
    }
}
