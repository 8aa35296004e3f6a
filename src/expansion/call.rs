//! One request, as the transform that it asks for sees it.

use std::cell::RefCell;

use bytes::Bytes;

use super::CallerOptions;
use super::collections::Collection;
use super::request::{EncodedRow, Request, Wanted};
use crate::element::{Element, Raw, Row};
use crate::error::{Error, Result};
use crate::pipeline::{PCollection, Pipeline};

/// A request that is being expanded: its inputs, its configuration, and the pipeline to build in.
///
/// The pipeline is that of the caller. What a transform places in it gets names and ids of its own.
pub struct Call<'a> {
    request: &'a Request,
    pipeline: Pipeline,
    /// The row that the transform was configured with, once it asked for that.
    config: RefCell<Option<EncodedRow>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let pipeline = Pipeline::within(
            &request.namespace,
            &request.root.unique_name,
            request.components.clone(),
        );
        Call {
            request,
            pipeline,
            config: RefCell::new(None),
        }
    }

    /// The pipeline to build in.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The label that the pipeline's author gave the transform, with those around it.
    pub fn label(&self) -> &str {
        &self.request.root.unique_name
    }

    /// The options of the caller's pipeline.
    pub fn options(&self) -> &CallerOptions {
        &self.request.options
    }

    /// The bytes that a plain URN came with; none for schema transforms.
    pub fn payload(&self) -> Bytes {
        match &self.request.wanted {
            Wanted::Schema { .. } => Bytes::new(),
            Wanted::Urn { payload, .. } => payload.clone(),
        }
    }

    /// The configuration: the row of a schema transform, or that in the `ExternalConfigurationPayload` of a plain URN.
    /// Fields match by name.
    ///
    /// # Errors
    /// A payload that holds no row, or a row that does not fit. The error names the field.
    pub fn config<C: Row>(&self) -> Result<C> {
        let row = match &self.request.wanted {
            Wanted::Schema { config, .. } => config.clone(),
            Wanted::Urn { payload, .. } => EncodedRow::of_external_payload(payload.clone())?,
        };
        let config = row.read()?;
        *self.config.borrow_mut() = Some(row);
        Ok(config)
    }

    /// The tags of the inputs. Numbers come first, in their order, since lists of inputs arrive numbered.
    pub fn tags(&self) -> Vec<&str> {
        self.request
            .inputs()
            .into_iter()
            .map(|(tag, _)| tag)
            .collect()
    }

    /// The input of a tag, as elements of type `T`; [`Raw`] takes elements of any type.
    ///
    /// # Errors
    /// There is no such input, or its elements are of another type.
    pub fn input<T: Element>(&self, tag: &str) -> Result<PCollection<T>> {
        PCollection::of(tag, &self.raw_input(tag)?)
    }

    /// The only input, whatever its tag is: clients choose it as they like.
    ///
    /// # Errors
    /// There is none, there are several, or its elements are of another type.
    pub fn only_input<T: Element>(&self) -> Result<PCollection<T>> {
        match self.tags()[..] {
            [tag] => self.input(tag),
            ref tags => Err(Error::config(format!(
                "one input is wanted, but the pipeline has {tags:?}"
            ))),
        }
    }

    pub(super) fn raw_input(&self, tag: &str) -> Result<PCollection<Raw>> {
        let id = self.request.root.inputs.get(tag).ok_or_else(|| {
            Error::config(format!(
                "the input {tag:?} is wanted, but the pipeline has {:?}",
                self.tags()
            ))
        })?;
        self.pipeline.collection(id)
    }

    /// Whether the client uses a coder of this URN.
    pub(super) fn knows_coder(&self, urn: &str) -> bool {
        let mut coders = self.request.components.coders.values();
        coders.any(|coder| coder.spec.as_ref().is_some_and(|spec| spec.urn == urn))
    }

    /// The row that the transform was configured with, if it was configured with one.
    pub(super) fn into_config(self) -> Option<EncodedRow> {
        match &self.request.wanted {
            Wanted::Schema { config, .. } => Some(config.clone()),
            Wanted::Urn { .. } => self.config.into_inner(),
        }
    }
}
