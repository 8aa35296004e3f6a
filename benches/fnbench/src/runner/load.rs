//! Bundles, one after the other or several at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use beam_proto::fnexec::elements::Data;
use beam_proto::fnexec::instruction_request::Request;
use beam_proto::fnexec::process_bundle_request::{CacheToken, cache_token};
use beam_proto::fnexec::{Elements, InstructionRequest, ProcessBundleRequest};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bundle::{Bundle, Returned};
use super::session::Session;
use crate::bundle_input::BundleInput;
use crate::lock;

/// How to make bundles.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) session: Arc<Session>,
    /// The transform that the input is for.
    pub(crate) source: Arc<str>,
    /// How many ends of output each bundle has.
    pub(crate) sinks: usize,
    /// Inputs of bundles, taken in turn.
    pub(crate) inputs: Arc<Vec<BundleInput>>,
    /// Whether user state may be cached across bundles.
    pub(crate) cache_tokens: bool,
    /// Whether the input is part of the instruction.
    pub(crate) embed: bool,
    /// How long one bundle may take.
    pub(crate) limit: Duration,
    /// Bundles that were made so far.
    pub(crate) made: Arc<AtomicU64>,
}

/// What bundles added up to.
#[derive(Default)]
pub(crate) struct Tally {
    /// Seconds from the instruction until the response and all ends of output were there, by bundle.
    pub(crate) latencies_s: Vec<f64>,
    pub(crate) elements: u64,
    pub(crate) in_bytes: u64,
    pub(crate) out_bytes: u64,
    pub(crate) out_messages: u64,
    pub(crate) response_bytes: u64,
    /// Seconds from the instruction until the response, of all bundles together.
    pub(crate) until_response_s: f64,
}

impl Load {
    /// Runs `count` bundles, `concurrency` at a time. The output of the first goes to `dump`.
    ///
    /// # Errors
    /// A bundle fails or takes too long.
    pub(crate) async fn run(
        &self,
        count: usize,
        concurrency: usize,
        dump: Option<PathBuf>,
    ) -> Result<Tally> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let next = Arc::new(AtomicUsize::new(0));
        let dump = dump.map(Arc::from);
        let mut lanes = JoinSet::new();
        for _ in 0..concurrency.clamp(1, count.max(1)) {
            let (load, tally, next) = (self.clone(), tally.clone(), next.clone());
            let dump: Option<Arc<Path>> = dump.clone();
            lanes.spawn(async move {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    if index >= count {
                        return Ok::<(), anyhow::Error>(());
                    }
                    let dump = dump.as_deref().filter(|_| index == 0);
                    load.bundle(index, &tally, dump).await?;
                }
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.context("a task of the driver failed")??;
        }
        Ok(std::mem::take(&mut *lock(&tally)))
    }

    async fn bundle(&self, index: usize, tally: &Mutex<Tally>, dump: Option<&Path>) -> Result<()> {
        let input = &self.inputs[index % self.inputs.len()];
        let number = self.made.fetch_add(1, Relaxed) + 1;
        let id = format!("bundle-{number}");
        let request = self.request(&id, input);
        let (bundle, returned) = Bundle::begin(self.sinks, dump.is_some());
        let bundle = Arc::new(bundle);
        self.session.begin(&id, bundle.clone());
        let work = async {
            self.session.instructions.send(request).await?;
            if !self.embed {
                self.feed(&id, input).await?;
            }
            returned.await.context("the bundle was dropped")?
        };
        let outcome = timeout(self.limit, work).await;
        let latency = bundle.elapsed();
        self.session.end(&id);
        let returned = outcome
            .with_context(|| format!("it did not end within {:?}", self.limit))
            .flatten()
            .with_context(|| format!("{id} failed"))?;
        if let (Some(path), Some(output)) = (dump, &returned.output) {
            std::fs::write(path, output.concat())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        lock(tally).add(input, &returned, latency);
        Ok(())
    }

    fn request(&self, id: &str, input: &BundleInput) -> InstructionRequest {
        let mut request = ProcessBundleRequest {
            process_bundle_descriptor_id: self.session.descriptor.id.clone(),
            ..ProcessBundleRequest::default()
        };
        if self.cache_tokens {
            request.cache_tokens.push(CacheToken {
                token: Bytes::from_static(b"token-0"),
                r#type: Some(cache_token::Type::UserState(cache_token::UserState {})),
            });
        }
        if self.embed {
            let chunks = input.chunks.iter().map(|chunk| self.data(id, chunk));
            let data = chunks.chain([self.end(id)]).collect();
            request.elements = Some(Elements {
                data,
                ..Elements::default()
            });
        }
        InstructionRequest {
            instruction_id: id.to_owned(),
            request: Some(Request::ProcessBundle(request)),
        }
    }

    /// Sends the input of a bundle. Its end travels with the last chunk.
    async fn feed(&self, id: &str, input: &BundleInput) -> Result<()> {
        let (last, others) = match input.chunks.split_last() {
            Some((last, others)) => (Some(last), others),
            None => (None, &[][..]),
        };
        for chunk in others {
            let mut elements = Elements::default();
            elements.data.push(self.data(id, chunk));
            self.session.input.send(elements).await?;
        }
        let mut elements = Elements::default();
        elements.data.extend(last.map(|chunk| self.data(id, chunk)));
        elements.data.push(self.end(id));
        self.session.input.send(elements).await
    }

    fn data(&self, id: &str, chunk: &Bytes) -> Data {
        Data {
            instruction_id: id.to_owned(),
            transform_id: self.source.to_string(),
            data: chunk.clone(),
            is_last: false,
        }
    }

    fn end(&self, id: &str) -> Data {
        Data {
            is_last: true,
            ..self.data(id, &Bytes::new())
        }
    }
}

impl Tally {
    fn add(&mut self, input: &BundleInput, returned: &Returned, latency: Duration) {
        self.latencies_s.push(latency.as_secs_f64());
        self.elements += input.elements;
        self.in_bytes += input.bytes;
        self.out_bytes += returned.out_bytes;
        self.out_messages += returned.out_messages;
        self.response_bytes += returned.response_bytes;
        self.until_response_s += returned.until_response.as_secs_f64();
    }
}
