//! What a service offers.

use std::collections::BTreeMap;

use beam_proto::expansion::{ExpansionRequest, ExpansionResponse};
use beam_proto::pipeline::Environment;

use super::discover::Listing;
use crate::error::{Error, Result};

/// The transforms that a binary offers to other SDKs.
#[derive(Default)]
pub struct Catalogue {
    listings: BTreeMap<&'static str, Listing>,
}

impl Catalogue {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// TODO
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.listings.keys().copied()
    }

    /// Schema transforms.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.values()
    }

    /// Expand.
    pub fn expand(
        &self,
        _request: ExpansionRequest,
        _environment: &Environment,
    ) -> Result<ExpansionResponse> {
        Err(Error::config("later"))
    }
}
