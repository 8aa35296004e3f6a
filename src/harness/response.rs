//! Answers about bundles, encoded on the thread that has the facts.

use std::sync::Arc;

use beam_proto::fnexec::{
    FinalizeBundleResponse, InstructionResponse, ProcessBundleProgressResponse,
    ProcessBundleSplitResponse, instruction_response,
};
use beam_proto::urns::monitoring_infos::{WORK_COMPLETED, WORK_REMAINING};
use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::instructions::Running;
use super::metrics::{
    DISTRIBUTION, MetricKind, MetricName, SUM, ShortIds, put_doubles, put_spread, put_sum,
    put_user, user_kind,
};
use super::splits;
use super::wire::Rope;
use crate::dofn::Work;
use crate::exec::{Phase, PlanMetrics, Residual};
use crate::model::descriptor::PlanSpec;

/// What answers about a plan's bundles need besides its counters: names, worked out once.
pub(crate) struct PlanFacts {
    pub(crate) spec: Arc<PlanSpec>,
    user: Vec<MetricName>,
    /// By collection: element count and sampled size.
    collections: Vec<(MetricName, MetricName)>,
    /// By node: start, process, finish, total.
    times: Vec<[MetricName; 4]>,
    /// By source: read index, and the node.
    sources: Vec<(MetricName, usize)>,
    /// By source, and behind them by splittable function: work completed and remaining.
    work: Vec<[MetricName; 2]>,
}

const PHASES: [Phase; 3] = [Phase::Start, Phase::Process, Phase::Finish];

impl PlanFacts {
    pub(crate) fn new(spec: Arc<PlanSpec>, metrics: &PlanMetrics, ids: &ShortIds) -> Self {
        let user = metrics.user.iter().map(|(id, cell)| {
            let (urn, value_type) = user_kind(cell);
            let labels = [
                ("PTRANSFORM", &*id.transform),
                ("NAMESPACE", &id.namespace),
                ("NAME", &id.name),
            ];
            ids.name(MetricKind::new(urn, value_type, &labels))
        });
        let collections = spec.collections.iter().map(|collection| {
            let labels = [("PCOLLECTION", collection.id.as_str())];
            (
                ids.name(MetricKind::new(
                    "beam:metric:element_count:v1",
                    SUM,
                    &labels,
                )),
                ids.name(MetricKind::new(
                    "beam:metric:sampled_byte_size:v1",
                    DISTRIBUTION,
                    &labels,
                )),
            )
        });
        let times = spec.nodes.iter().map(|node| {
            let labels = [("PTRANSFORM", node.id.as_str())];
            [
                "beam:metric:pardo_execution_time:start_bundle_msecs:v1",
                "beam:metric:pardo_execution_time:process_bundle_msecs:v1",
                "beam:metric:pardo_execution_time:finish_bundle_msecs:v1",
                "beam:metric:ptransform_execution_time:total_msecs:v1",
            ]
            .map(|urn| ids.name(MetricKind::new(urn, SUM, &labels)))
        });
        let sources = spec.sources().map(|(index, node, _)| {
            let labels = [("PTRANSFORM", node.id.as_str())];
            (
                ids.name(MetricKind::new(
                    "beam:metric:data_channel:read_index:v1",
                    SUM,
                    &labels,
                )),
                index,
            )
        });
        let splittable = metrics.hands.iter().map(|hand| &spec.nodes[hand.node()]);
        let workers = spec.sources().map(|(_, node, _)| node).chain(splittable);
        let work = workers.map(|node| {
            let labels = [("PTRANSFORM", node.id.as_str())];
            [WORK_COMPLETED, WORK_REMAINING]
                .map(|info| ids.name(MetricKind::new(info.urn, info.type_urn, &labels)))
        });
        PlanFacts {
            work: work.collect(),
            user: user.collect(),
            collections: collections.collect(),
            times: times.collect(),
            sources: sources.collect(),
            spec: spec.clone(),
        }
    }

    /// Whether input comes from this data service.
    pub(crate) fn reads_from(&self, endpoint: &str) -> bool {
        let mut sources = self.spec.sources();
        sources.any(|(_, _, port)| port.endpoint == endpoint)
            || self.spec.timer_endpoint.as_deref() == Some(endpoint)
    }

    /// Calls `put` with the name and payload of each metric that has a value.
    fn each(&self, metrics: &PlanMetrics, done: bool, mut put: impl FnMut(&MetricName, &[u8])) {
        let mut payload = Vec::new();
        let mut emit = |name: &MetricName, fill: &mut dyn FnMut(&mut Vec<u8>) -> bool| {
            payload.clear();
            if fill(&mut payload) {
                put(name, &payload);
            }
        };
        for (name, (_, cell)) in self.user.iter().zip(metrics.user.iter()) {
            emit(name, &mut |payload| put_user(cell, payload));
        }
        for ((count, size), meter) in self.collections.iter().zip(&metrics.collections) {
            let elements = meter.count.load(std::sync::atomic::Ordering::Relaxed);
            if elements > 0 {
                emit(count, &mut |payload| put_sum(elements as i64, payload));
                emit(size, &mut |payload| put_spread(meter.sizes.get(), payload));
            }
        }
        for (names, times) in self.times.iter().zip(metrics.times.iter()) {
            let millis = PHASES.map(|phase| times.get(phase) as i64);
            // Time in timers has no metric of its own.
            let total = millis.iter().sum::<i64>() + times.get(Phase::Timers) as i64;
            if total > 0 {
                for (name, millis) in names.iter().zip(millis.into_iter().chain([total])) {
                    emit(name, &mut |payload| put_sum(millis, payload));
                }
            }
        }
        for ((name, _), source) in self.sources.iter().zip(&metrics.sources) {
            // While the bundle runs, this is the index of the element in hand; afterwards, the number of all.
            let read = if done { source.begun() } else { source.index() };
            if read >= 0 {
                emit(name, &mut |payload| {
                    put_sum(read, payload);
                    true
                });
            }
        }
        let sources = metrics.sources.iter().map(|source| source.work());
        let hands = metrics.hands.iter().map(|hand| hand.work());
        let work = self.work.iter().zip(sources.chain(hands));
        for ([completed, remaining], work) in work.filter(|_| !done) {
            let Some(work): Option<Work> = work else {
                continue;
            };
            for (name, amount) in [(completed, work.completed), (remaining, work.remaining)] {
                emit(name, &mut |payload| {
                    put_doubles(&[amount], payload);
                    true
                });
            }
        }
    }
}

/// The fields `monitoring_infos` and `monitoring_data`, which all answers about bundles number alike.
fn put_metrics(
    facts: &PlanFacts,
    metrics: &PlanMetrics,
    done: bool,
    short_ids_only: bool,
    out: &mut Vec<u8>,
) {
    let mut infos = Vec::new();
    facts.each(metrics, done, |name, payload| {
        if !short_ids_only {
            let payload_len = key_len(3) + encoded_len_varint(payload.len() as u64) + payload.len();
            encode_key(3, WireType::LengthDelimited, &mut infos);
            encode_varint((name.encoded.len() + payload_len) as u64, &mut infos);
            infos.extend_from_slice(&name.encoded);
            put_bytes(3, payload, &mut infos);
        }
        let id = name.short_id.as_bytes();
        let entry = 2 + id.len() + 1 + encoded_len_varint(payload.len() as u64) + payload.len();
        encode_key(5, WireType::LengthDelimited, out);
        encode_varint(entry as u64, out);
        put_bytes(1, id, out);
        put_bytes(2, payload, out);
    });
    out.extend_from_slice(&infos);
}

fn put_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Wraps the body of an answer into an `InstructionResponse`.
fn respond(instruction: &str, tag: u32, body: Vec<u8>) -> Rope {
    let head = head(instruction, tag, body.len());
    Rope::new(vec![head, body.into()])
}

/// What stands before the body of an answer.
fn head(instruction: &str, tag: u32, body_len: usize) -> Bytes {
    let mut head = Vec::with_capacity(instruction.len() + 16);
    put_bytes(1, instruction.as_bytes(), &mut head);
    encode_key(tag, WireType::LengthDelimited, &mut head);
    encode_varint(body_len as u64, &mut head);
    head.into()
}

const PROCESS_BUNDLE: u32 = 1001;
const PROCESS_BUNDLE_PROGRESS: u32 = 1002;

/// What the answer to a bundle says besides metrics.
#[derive(Default)]
pub(crate) struct Success {
    /// Work that is left for later.
    pub(crate) left: Vec<Residual>,
    /// Whether something is left to do once the bundle is committed.
    pub(crate) requires_finalization: bool,
    /// The whole output, if it stands in the answer.
    pub(crate) elements: Option<ElementsMessage>,
}

/// The answer to a bundle that ended well.
pub(crate) fn processed(
    instruction: &str,
    facts: &PlanFacts,
    metrics: &PlanMetrics,
    short_ids_only: bool,
    success: Success,
) -> Rope {
    let mut body = Vec::new();
    put_metrics(facts, metrics, true, short_ids_only, &mut body);
    for residual in &success.left {
        let residual = splits::delayed(&facts.spec, residual).encode_to_vec();
        put_bytes(2, &residual, &mut body);
    }
    if success.requires_finalization {
        encode_key(4, WireType::Varint, &mut body);
        encode_varint(1, &mut body);
    }
    let Some(elements) = success.elements else {
        return respond(instruction, PROCESS_BUNDLE, body);
    };
    let pieces = elements.into_pieces();
    let len: usize = pieces.iter().map(Bytes::len).sum();
    encode_key(6, WireType::LengthDelimited, &mut body);
    encode_varint(len as u64, &mut body);
    let head = head(instruction, PROCESS_BUNDLE, body.len() + len);
    Rope::new([head, body.into()].into_iter().chain(pieces).collect())
}

/// The answer to a request for progress.
pub(crate) fn progress(instruction: &str, running: Option<&Running>, short_ids_only: bool) -> Rope {
    let Some(running) = running else {
        return answer(
            instruction,
            instruction_response::Response::ProcessBundleProgress(
                ProcessBundleProgressResponse::default(),
            ),
        );
    };
    let mut body = Vec::new();
    put_metrics(
        &running.facts,
        &running.metrics,
        false,
        short_ids_only,
        &mut body,
    );
    encode_key(6, WireType::Varint, &mut body);
    encode_varint(u64::from(!running.inbox.is_waiting()), &mut body);
    respond(instruction, PROCESS_BUNDLE_PROGRESS, body)
}

/// The answer to a request to split.
pub(crate) fn split(instruction: &str, split: ProcessBundleSplitResponse) -> Rope {
    answer(
        instruction,
        instruction_response::Response::ProcessBundleSplit(split),
    )
}

/// The answer to a request to finalize a bundle that has nothing left to do.
pub(crate) fn finalized(instruction: &str) -> Rope {
    let response = FinalizeBundleResponse::default();
    answer(
        instruction,
        instruction_response::Response::FinalizeBundle(response),
    )
}

/// An answer of any kind.
pub(crate) fn answer(instruction: &str, response: instruction_response::Response) -> Rope {
    Rope::of(&InstructionResponse {
        instruction_id: instruction.into(),
        error: String::new(),
        response: Some(response),
    })
}

/// An answer that says what went wrong.
pub(crate) fn failed(instruction: &str, error: String) -> Rope {
    Rope::of(&InstructionResponse {
        instruction_id: instruction.into(),
        error,
        response: None,
    })
}

/// One `Elements` message with the entries that are put into it.
#[derive(Default)]
pub(crate) struct ElementsMessage {
    pieces: Vec<Bytes>,
    head: Vec<u8>,
}

impl ElementsMessage {
    /// Adds a stretch of the output of a sink, or of a family of timers; or its end.
    pub(crate) fn put(
        &mut self,
        instruction: &str,
        transform: &str,
        family: Option<&str>,
        data: Bytes,
        last: bool,
    ) {
        let field = |len: usize| 1 + encoded_len_varint(len as u64) + len;
        let mut len = field(instruction.len()) + field(transform.len());
        // Timers have one field more than data, which stands before the bytes.
        let shift = u32::from(family.is_some());
        len += family.map_or(0, |family| field(family.len()));
        if !data.is_empty() {
            len += field(data.len());
        }
        if last {
            len += 2;
        }
        encode_key(1 + shift, WireType::LengthDelimited, &mut self.head);
        encode_varint(len as u64, &mut self.head);
        put_bytes(1, instruction.as_bytes(), &mut self.head);
        put_bytes(2, transform.as_bytes(), &mut self.head);
        if let Some(family) = family {
            put_bytes(3, family.as_bytes(), &mut self.head);
        }
        if last {
            encode_key(4 + shift, WireType::Varint, &mut self.head);
            encode_varint(1, &mut self.head);
        }
        if !data.is_empty() {
            encode_key(3 + shift, WireType::LengthDelimited, &mut self.head);
            encode_varint(data.len() as u64, &mut self.head);
            self.pieces.push(std::mem::take(&mut self.head).into());
            self.pieces.push(data);
        }
    }

    pub(crate) fn into_rope(self) -> Rope {
        Rope::new(self.into_pieces())
    }

    fn into_pieces(mut self) -> Vec<Bytes> {
        if !self.head.is_empty() {
            self.pieces.push(self.head.into());
        }
        self.pieces
    }
}
