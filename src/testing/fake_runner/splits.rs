//! Splits and what they give back, checked against the rules.

use std::collections::BTreeMap;
use std::time::Duration;

use beam_proto::fnexec::{
    BundleApplication, DelayedBundleApplication, ProcessBundleSplitRequest,
    ProcessBundleSplitResponse,
};
use beam_proto::pipeline::is_bounded;
use bytes::Bytes;

use super::ledger::Bundle;
use super::stage::Stage;
use crate::element::Timestamp;

/// An element of a splittable function with work on it, as the worker gave it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The transform that it is for.
    pub transform: String,
    /// The transform's name for its input.
    pub input: String,
    /// The element with its header.
    pub element: Bytes,
    /// By output of the transform: no output for the element will be older than this.
    pub watermarks: BTreeMap<String, Timestamp>,
    /// Whether the work comes to an end by itself.
    pub is_bounded: bool,
    /// How long to wait with it.
    pub delay: Duration,
}

/// Where a bundle was split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// The last element that is all the bundle's, and the first that is not at all, if the input was cut.
    pub channel: Option<(i64, i64)>,
    /// What the bundle keeps of the element between them.
    pub primaries: Vec<Root>,
    /// What it does not.
    pub residuals: Vec<Root>,
}

impl Split {
    pub(super) fn of(response: ProcessBundleSplitResponse, source: &str) -> Self {
        let mut cuts = response.channel_splits.into_iter();
        let cut = cuts.find(|cut| cut.transform_id == source);
        let residuals = response.residual_roots.into_iter();
        Split {
            channel: cut.map(|cut| (cut.last_primary_element, cut.first_residual_element)),
            primaries: response.primary_roots.into_iter().map(Root::of).collect(),
            residuals: residuals.map(Root::delayed).collect(),
        }
    }
}

impl Root {
    fn of(application: BundleApplication) -> Self {
        let watermarks = application.output_watermarks.into_iter();
        let watermarks = watermarks.map(|(tag, at)| {
            let millis = at.seconds * 1000 + i64::from(at.nanos / 1_000_000);
            (tag, Timestamp::from_millis(millis))
        });
        Root {
            is_bounded: application.is_bounded == i32::from(is_bounded::Enum::Bounded),
            transform: application.transform_id,
            input: application.input_id,
            element: application.element,
            watermarks: watermarks.collect(),
            delay: Duration::ZERO,
        }
    }

    pub(super) fn delayed(delayed: DelayedBundleApplication) -> Self {
        let delay = delayed.requested_time_delay.unwrap_or_default();
        Root {
            delay: Duration::new(
                u64::try_from(delay.seconds).unwrap_or(0),
                u32::try_from(delay.nanos).unwrap_or(0),
            ),
            ..Root::of(delayed.application.unwrap_or_default())
        }
    }
}

/// What is wrong with an element that a worker gave back.
pub(super) fn root_faults(stage: &Stage, application: &BundleApplication) -> Vec<String> {
    let id = &application.transform_id;
    let Some(process) = stage.splittables.get(id) else {
        return vec![format!("{id:?} is no splittable function of the stage")];
    };
    let mut faults = Vec::new();
    if application.input_id != process.input {
        faults.push(format!(
            "the input of {id:?} is not {:?}",
            application.input_id
        ));
    }
    if !application.output_watermarks.keys().eq(&process.outputs) {
        faults.push(format!(
            "there are watermarks of {:?}, but the outputs of {id:?} are {:?}",
            application.output_watermarks.keys(),
            process.outputs
        ));
    }
    if application.is_bounded == i32::from(is_bounded::Enum::Unspecified) {
        faults.push(format!("nobody knows whether work for {id:?} ends"));
    }
    if let Some(shape) = &process.shape {
        let count = shape.check(&application.element);
        if count != Ok(1) {
            faults.push(format!("one element is wanted of {id:?}: {count:?}"));
        }
    }
    faults
}

/// What is wrong with a split; records the new ends of the bundle, and what it gave back.
pub(super) fn split_faults(
    stage: Option<&Stage>,
    request: &ProcessBundleSplitRequest,
    split: &ProcessBundleSplitResponse,
    bundle: &mut Bundle,
) -> Vec<String> {
    let mut faults = Vec::new();
    if bundle.answer.is_some() && !split.residual_roots.is_empty() {
        faults.push("an element is cut of a bundle that has ended".into());
    }
    let residuals = split.residual_roots.iter();
    let residuals = residuals.filter_map(|delayed| delayed.application.as_ref());
    let roots: Vec<_> = split.primary_roots.iter().chain(residuals).collect();
    if let Some(stage) = stage {
        faults.extend(roots.iter().flat_map(|root| root_faults(stage, root)));
    }
    if split.primary_roots.is_empty() != split.residual_roots.is_empty() {
        faults.push("an element is cut in one part".into());
    }
    // The source whose element was cut.
    let cut_within = roots.iter().find_map(|root| {
        let process = stage?.splittables.get(&root.transform_id)?;
        process.source.clone()
    });
    for cut in &split.channel_splits {
        let (last, first) = (cut.last_primary_element, cut.first_residual_element);
        let Some(desired) = request.desired_splits.get(&cut.transform_id) else {
            faults.push(format!("{:?} was split unasked", cut.transform_id));
            continue;
        };
        let is_within = cut_within.as_ref() == Some(&cut.transform_id);
        let between = i64::from(is_within);
        if first != last + 1 + between || first < 0 || last < -1 {
            faults.push(format!(
                "elements are lost or doubled between {last} and {first}"
            ));
        }
        let allowed = &desired.allowed_split_points;
        let mut parts_at = (first - between)..=first;
        if !allowed.is_empty() && !parts_at.all(|k| allowed.contains(&k)) {
            faults.push(format!("{first} is not among the places {allowed:?}"));
        }
        let before = bundle.stops.insert(cut.transform_id.clone(), first);
        if before.is_some_and(|before| first > before || (first == before && !is_within)) {
            faults.push(format!(
                "the bundle ended before {before:?} already, now before {first}"
            ));
        }
    }
    let mut cuts = split.channel_splits.iter();
    if let Some(source) = cut_within
        && !cuts.any(|cut| cut.transform_id == source)
    {
        faults.push(format!(
            "an element of {source:?} was cut, but not {source:?}"
        ));
    }
    let residuals = split.residual_roots.iter().cloned().map(Root::delayed);
    bundle.residuals.extend(residuals);
    faults
}
