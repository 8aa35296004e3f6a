//! What a service offers, as other SDKs ask for it.

use std::sync::Arc;

use beam_proto::expansion::{DiscoverSchemaTransformResponse, SchemaTransformConfig};
use beam_proto::pipeline;
use prost::Message;

use super::{Catalogue, lint};
use crate::element::Schema;
use crate::error::{Error, Result};

/// A schema transform, as clients see it.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its identifier.
    pub identifier: &'static str,
    /// What it does, in Markdown.
    pub description: &'static str,
    /// The fields of its configuration.
    pub config: Arc<Schema>,
    /// The names of its inputs.
    pub inputs: Vec<&'static str>,
    /// The names of its outputs.
    pub outputs: Vec<&'static str>,
}

impl Listing {
    /// Whether Python's `ExternalTransformProvider` and YAML find the transform without being told a pattern.
    pub fn is_found_by_default(&self) -> bool {
        lint::is_common(self.identifier)
    }
}

/// All schema transforms. One whose schema cannot be sent is an error of the whole response, because clients remember
/// a response for as long as they live.
pub(super) fn response(catalogue: &Catalogue) -> DiscoverSchemaTransformResponse {
    let configs: Result<_> = catalogue
        .listings()
        .map(|listing| Ok((listing.identifier.to_owned(), config(listing)?)))
        .collect();
    match configs {
        Ok(schema_transform_configs) => DiscoverSchemaTransformResponse {
            schema_transform_configs,
            error: String::new(),
        },
        Err(error) => DiscoverSchemaTransformResponse {
            error: error.to_string(),
            ..DiscoverSchemaTransformResponse::default()
        },
    }
}

fn config(listing: &Listing) -> Result<SchemaTransformConfig> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let schema = pipeline::Schema::decode(&listing.config.to_proto()[..]).map_err(|e| {
        Error::config("the configuration's schema cannot be sent")
            .at("transform", listing.identifier)
            .because(e)
    })?;
    Ok(SchemaTransformConfig {
        config_schema: Some(schema),
        input_pcollection_names: owned(&listing.inputs),
        output_pcollection_names: owned(&listing.outputs),
        description: listing.description.into(),
    })
}
