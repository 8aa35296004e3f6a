//! What the worker of this version can do, as pipelines promise it.

use beam_proto::urns::{protocols, transforms};

use crate::element::coder::urn;

/// What a pipeline promises about its worker, sorted.
///
/// Runners choose coders and protocols by it, so nothing may stand here that does not work. Clients share one worker
/// between environments only if their bytes are equal, hence the fixed order.
pub const fn capabilities() -> &'static [&'static str] {
    CAPABILITIES
}

#[rustfmt::skip]
const CAPABILITIES: &[&str] = &[
    urn::BOOL,                  // plain values: `element::standard`
    urn::BYTES,
    urn::CUSTOM_WINDOW,         // stepped over: windows of other SDKs pass through
    urn::DOUBLE,
    urn::GLOBAL_WINDOW,
    urn::INTERVAL_WINDOW,
    urn::ITERABLE,              // counted, and in blocks
    urn::KV,
    urn::LENGTH_PREFIX,
    urn::NULLABLE,
    urn::PARAM_WINDOWED_VALUE,  // sources whose elements share one header
    urn::ROW,                   // `element::row`; Python's runners wrap it nevertheless
    urn::SHARDED_KEY,
    urn::STATE_BACKED_ITERABLE, // tails are fetched page by page
    urn::STRING_UTF8,
    urn::TIMER,
    urn::VARINT,
    urn::WINDOWED_VALUE,
    protocols::CONTROL_REQUEST_ELEMENTS_EMBEDDING, // input may stand in the request
    protocols::DATA_SAMPLING,                // answers instruction `sample_data`
    protocols::ELEMENT_METADATA,             // carried from inputs to outputs
    protocols::HARNESS_MONITORING_INFOS,     // answers instruction `harness_monitoring_infos`
    protocols::MULTI_CORE_BUNDLE_PROCESSING, // one process runs bundles on all cores
    protocols::MULTIMAP_STATE,               // sets, maps and multimaps by map key
    protocols::NAMED_DATA_STREAMS,           // one stream for each name
    protocols::ORDERED_LIST_STATE,           // values by time, read and cleared by ranges
    protocols::PROGRESS_REPORTING,           // short ids of metrics
    protocols::SDK_CONSUMING_RECEIVED_DATA,  // says in progress whether it waits for data
    protocols::STATE_CACHING,                // by the runner's tokens
    protocols::WORKER_STATUS,                // opens the status stream
    transforms::TRUNCATE_SIZED_RESTRICTION,  // runs it: pipelines with splittable functions can be drained
    concat!("beam:version:sdk_base:ferrobeam:", env!("CARGO_PKG_VERSION")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_has_nothing_twice() {
        assert!(capabilities().windows(2).all(|pair| pair[0] < pair[1]));
    }
}
