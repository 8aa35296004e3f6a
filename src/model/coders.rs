//! Coders by id, as the protos keep them, and as trees, as we use them.

use std::collections::BTreeMap;

use beam_proto::pipeline::{self as proto, FunctionSpec};

use crate::element::{Coder, MAX_DEPTH};
use crate::error::{Error, Result};

/// The coder tree that `id` names.
///
/// # Errors
/// An id that `coders` lacks, or a tree so deep that it may be a circle.
pub fn resolve(coders: &BTreeMap<String, proto::Coder>, id: &str) -> Result<Coder> {
    // Trees can share parts, so that few ids make a huge tree: count what is built, too.
    let mut budget = 10_000;
    resolve_below(coders, id, 0, &mut budget)
}

fn resolve_below(
    coders: &BTreeMap<String, proto::Coder>,
    id: &str,
    depth: u16,
    budget: &mut u32,
) -> Result<Coder> {
    if depth > MAX_DEPTH || *budget == 0 {
        return Err(Error::descriptor(format!(
            "the coders below {id:?} nest too deep, or in a circle"
        )));
    }
    *budget -= 1;
    let coder = coders
        .get(id)
        .ok_or_else(|| Error::descriptor(format!("coder {id:?} is missing")))?;
    let spec = coder
        .spec
        .as_ref()
        .ok_or_else(|| Error::descriptor(format!("coder {id:?} has no spec")))?;
    let components = coder
        .component_coder_ids
        .iter()
        .map(|component| resolve_below(coders, component, depth + 1, budget))
        .collect::<Result<Vec<_>>>()?;
    Ok(Coder {
        components,
        ..Coder::foreign(spec.urn.clone(), spec.payload.clone())
    })
}

/// The proto of one coder whose components have these ids.
pub fn to_proto(coder: &Coder, component_coder_ids: Vec<String>) -> proto::Coder {
    proto::Coder {
        spec: Some(FunctionSpec {
            urn: coder.urn.to_string(),
            payload: coder.payload.clone(),
        }),
        component_coder_ids,
    }
}
