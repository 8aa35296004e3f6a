//! Metrics of the whole process, which belong to no bundle.

use std::collections::BTreeMap;

use beam_proto::fnexec::HarnessMonitoringInfosResponse;
use beam_proto::urns::MonitoringInfoSpec;
use beam_proto::urns::monitoring_infos::{API_REQUEST_COUNT, API_REQUEST_LATENCIES};
use prost::Message;

use super::metrics::{MetricKind, ShortIds, put_sum};
use crate::dofn::ApiCounts;
use crate::model::metrics::histogram_to_proto;

/// All of them, cumulative since the process began.
pub(crate) fn harness_infos(ids: &ShortIds) -> HarnessMonitoringInfosResponse {
    let counts = ApiCounts::so_far();
    let mut monitoring_data = BTreeMap::new();
    let mut put = |spec: &MonitoringInfoSpec, labels, payload: Vec<u8>| {
        let kind = MetricKind {
            urn: spec.urn,
            value_type: spec.type_urn,
            labels,
        };
        monitoring_data.insert(ids.name(kind).short_id, payload.into());
    };
    for (labels, count) in counts.counts {
        let mut payload = Vec::new();
        put_sum(count, &mut payload);
        put(&API_REQUEST_COUNT, labels, payload);
    }
    for (labels, latencies) in counts.latencies {
        let payload = histogram_to_proto(latencies).encode_to_vec();
        put(&API_REQUEST_LATENCIES, labels, payload);
    }
    HarnessMonitoringInfosResponse { monitoring_data }
}
