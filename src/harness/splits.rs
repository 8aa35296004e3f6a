//! Splits of bundles that run, and what bundles leave for later.

use std::collections::BTreeMap;

use beam_proto::fnexec::process_bundle_split_response::ChannelSplit;
use beam_proto::fnexec::{
    BundleApplication, DelayedBundleApplication, ProcessBundleSplitRequest,
    ProcessBundleSplitResponse,
};
use beam_proto::pipeline::is_bounded;

use super::instructions::Running;
use crate::element::Timestamp;
use crate::exec::{DesiredSplit, Residual, Root};
use crate::model::descriptor::PlanSpec;

/// Splits a bundle, if it can be split; the answer says where.
pub(crate) fn split(
    request: &ProcessBundleSplitRequest,
    running: &Running,
) -> ProcessBundleSplitResponse {
    let mut response = ProcessBundleSplitResponse::default();
    let spec = &running.facts.spec;
    for (source, (_, node, _)) in spec.sources().enumerate() {
        let Some(desired) = request.desired_splits.get(&node.id) else {
            continue;
        };
        let desired = DesiredSplit {
            fraction: desired.fraction_of_remainder,
            estimated_elements: desired.estimated_input_elements,
            allowed: desired.allowed_split_points.clone(),
        };
        let Some(split) = running.metrics.split(source, &desired) else {
            continue;
        };
        response.channel_splits.push(ChannelSplit {
            transform_id: node.id.clone(),
            last_primary_element: split.channel.last_primary,
            first_residual_element: split.channel.first_residual,
        });
        let primaries = split.primaries.iter();
        response
            .primary_roots
            .extend(primaries.map(|root| application(spec, root)));
        let residuals = split.residuals.iter();
        let residuals = residuals.map(|root| DelayedBundleApplication {
            application: Some(application(spec, root)),
            requested_time_delay: None,
        });
        response.residual_roots.extend(residuals);
    }
    response
}

/// Work that a bundle left for later by itself.
pub(crate) fn delayed(spec: &PlanSpec, residual: &Residual) -> DelayedBundleApplication {
    let delay = residual.delay;
    let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
    DelayedBundleApplication {
        application: Some(application(spec, &residual.root)),
        requested_time_delay: (!delay.is_zero()).then(|| prost_types::Duration {
            seconds,
            nanos: delay.subsec_nanos().cast_signed(),
        }),
    }
}

fn application(spec: &PlanSpec, root: &Root) -> BundleApplication {
    let node = &spec.nodes[root.node];
    let input = node.inputs.first().map(|(tag, _)| tag.clone());
    let watermark = timestamp(root.watermark);
    let outputs = node.outputs.iter();
    let output_watermarks: BTreeMap<_, _> =
        outputs.map(|(tag, _)| (tag.clone(), watermark)).collect();
    let is_bounded = if root.is_bounded {
        is_bounded::Enum::Bounded
    } else {
        is_bounded::Enum::Unbounded
    };
    BundleApplication {
        transform_id: node.id.clone(),
        input_id: input.unwrap_or_default(),
        element: root.element.clone(),
        output_watermarks,
        is_bounded: is_bounded.into(),
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.millis();
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_rounded_towards_the_past() {
        let proto = |millis| timestamp(Timestamp::from_millis(millis));
        assert_eq!((proto(-1).seconds, proto(-1).nanos), (-1, 999_000_000));
        assert_eq!((proto(1500).seconds, proto(1500).nanos), (1, 500_000_000));
        let least = timestamp(Timestamp::MIN);
        assert_eq!(
            (least.seconds, least.nanos),
            (-9_223_372_036_855, 225_000_000)
        );
    }
}
