//! The functions of the load driver's scenarios, and the harness that runs them.
//!
//! ```text
//! bench_worker export DIR INPUTS    writes a scenario folder each, with the inputs of the scenarios in INPUTS
//! bench_worker worker --id=… --control_endpoint=… --logging_endpoint=… --provision_endpoint=…
//! ```
//!
//! `benches/README.md` says how to measure with it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{
    ApiServiceDescriptor, CombinePayload, FunctionSpec, PCollection, PTransform, ParDoPayload,
    StateSpec, WindowingStrategy,
};
use bytes::Bytes;
use ferrobeam::dofn::{FUNCTION_URN, FunctionPayload, Named, Sum};
use ferrobeam::element::{Coder, coder::urn};
use ferrobeam::exec::Registry;
use ferrobeam::harness::{Options, install_logging, worker};
use ferrobeam::model::{coders, windowing};
use ferrobeam::prelude::*;
use ferrobeam::window::WindowFn;
use prost::Message;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Passes pairs on.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.Identity/v1")]
struct Identity;

impl DoFn for Identity {
    type In = Kv<Vec<u8>, Vec<u8>>;
    type Io = Out<Kv<Vec<u8>, Vec<u8>>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, pair);
        Ok(())
    }
}

/// Passes large values on without copying them.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.Large/v1")]
struct Large;

impl DoFn for Large {
    type In = Kv<Vec<u8>, Bytes>;
    type Io = Out<Kv<Vec<u8>, Bytes>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        out.emit(cx, pair);
        Ok(())
    }
}

/// Keeps the values that begin with a zero byte: one in a hundred.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.FilterPercent/v1")]
struct FilterPercent;

impl DoFn for FilterPercent {
    type In = Kv<Vec<u8>, Vec<u8>>;
    type Io = Out<Kv<Vec<u8>, Vec<u8>>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        if pair.1.first() == Some(&0) {
            out.emit(cx, pair);
        }
        Ok(())
    }
}

/// Splits lines at spaces.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.SplitWords/v1")]
struct SplitWords;

impl DoFn for SplitWords {
    type In = String;
    type Io = Out<Kv<String, i64>>;

    fn process(&mut self, line: String, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result {
        for word in line.split(' ') {
            out.emit(cx, Kv(word.to_owned(), 1));
        }
        Ok(())
    }
}

/// Adds up the lengths of a key's values.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.SumLengths/v1")]
struct SumLengths;

impl DoFn for SumLengths {
    type In = Kv<Vec<u8>, Iter<Vec<u8>>>;
    type Io = Out<Kv<Vec<u8>, i64>>;

    fn process(
        &mut self,
        Kv(key, values): Self::In,
        cx: &mut Cx<'_>,
        out: &mut Self::Io,
    ) -> Result {
        let mut sum = 0;
        values.for_each(|value| {
            sum += value.len() as i64;
            Ok(())
        })?;
        out.emit(cx, Kv(key, sum));
        Ok(())
    }
}

/// Counts the elements of each key.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.CountKeys/v1")]
struct CountKeys;

#[derive(Ports)]
struct CountKeysIo {
    counts: Out<Kv<Vec<u8>, i64>>,
    count: ValueState<i64>,
}

impl DoFn for CountKeys {
    type In = Kv<Vec<u8>, Vec<u8>>;
    type Io = CountKeysIo;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, io: &mut CountKeysIo) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        io.count.write(count)?;
        io.counts.emit(cx, Kv(pair.0, count));
        Ok(())
    }
}

/// Collects the first 16 bytes of each value, and emits how many they are at every tenth of a key.
#[derive(serde::Serialize, serde::Deserialize, DoFn)]
#[beam(name = "bench.CollectTens/v1")]
struct CollectTens;

#[derive(Ports)]
struct CollectTensIo {
    sums: Out<Kv<Vec<u8>, i64>>,
    count: ValueState<i64>,
    buf: BagState<Vec<u8>>,
}

impl DoFn for CollectTens {
    type In = Kv<Vec<u8>, Vec<u8>>;
    type Io = CollectTensIo;

    fn process(
        &mut self,
        Kv(key, mut value): Self::In,
        cx: &mut Cx<'_>,
        io: &mut CollectTensIo,
    ) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        value.truncate(16);
        io.buf.add(&value)?;
        if count < 10 {
            return io.count.write(count);
        }
        let mut sum = 0;
        for collected in &io.buf.read()? {
            sum += collected?.len() as i64;
        }
        io.buf.clear()?;
        io.count.clear()?;
        io.sums.emit(cx, Kv(key, sum));
        Ok(())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add::<Identity>()
        .add::<Large>()
        .add::<FilterPercent>()
        .add::<SplitWords>()
        .add::<SumLengths>()
        .add::<CountKeys>()
        .add::<CollectTens>();
    registry
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["export", dir, inputs] => export(Path::new(dir), Path::new(inputs)),
        ["worker", ..] => work(&args[1..]),
        _ => Err(Error::config(
            "usage: bench_worker export DIR INPUTS | bench_worker worker --id=…",
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(flags: &[String]) -> Result {
    install_logging();
    let flag = |name: &str| {
        let prefix = format!("--{name}=");
        flags
            .iter()
            .find_map(|flag| flag.strip_prefix(&prefix))
            .map(str::to_owned)
    };
    let options = Options {
        id: flag("id").unwrap_or_default(),
        provision_endpoint: flag("provision_endpoint"),
        control_endpoint: flag("control_endpoint"),
        logging_endpoint: flag("logging_endpoint"),
        ..Options::default()
    };
    worker::run(options, Arc::new(registry()))
}

/// Writes the scenarios: descriptors of ours, inputs and cases of the scenarios in `inputs`.
fn export(dir: &Path, inputs: &Path) -> Result {
    let pairs = || Coder::kv(bytes(), bytes());
    let grouped = || Coder::kv(bytes(), Coder::iterable(bytes()));
    let sums = || Coder::kv(bytes(), varint());
    let mut identity = Stage::new("SRC/Read", pairs());
    identity.par_do("BENCH", &Identity, pairs())?;
    let mut large = Stage::new("SRC/Read", pairs());
    large.par_do("BENCH", &Large, pairs())?;
    let mut chain = Stage::new("SRC/Read", pairs());
    for i in 0..10 {
        chain.par_do(&format!("BENCH{i}"), &Identity, pairs())?;
    }
    chain.par_do("BENCHFilter", &FilterPercent, pairs())?;
    let words = || Coder::kv(Coder::standard(urn::STRING_UTF8, []), varint());
    let mut wordcount = Stage::new("SRC/Read", Coder::standard(urn::STRING_UTF8, []));
    wordcount.par_do("BENCHSplit", &SplitWords, words())?;
    wordcount.precombine("Count", &Sum::<i64>::new(), words())?;
    let mut gbk_inline = Stage::new("GBK/Read", grouped());
    gbk_inline.par_do("BENCH", &SumLengths, sums())?;
    let mut gbk_state = Stage::new("GBK/Read", grouped());
    gbk_state.par_do("BENCH", &SumLengths, sums())?;
    let mut state_value = Stage::new("SRC/Read", pairs());
    state_value.par_do_keeping("BENCH", &CountKeys, ("counts", sums()), &["count"])?;
    let mut state_bag = Stage::new("SRC/Read", pairs());
    let cells = ["count", "buf"];
    state_bag.par_do_keeping("BENCH", &CollectTens, ("sums", sums()), &cells)?;
    for (name, stage) in [
        ("identity", identity),
        ("chain10", chain),
        ("wordcount", wordcount),
        ("gbk_inline", gbk_inline),
        ("gbk_state", gbk_state),
        ("big", large),
        ("state_value", state_value),
        ("state_bag", state_bag),
    ] {
        let (from, to) = (inputs.join(name), dir.join(name));
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(&from)? {
            let file = entry?.file_name();
            if file != "descriptor.pb" {
                std::fs::copy(from.join(&file), to.join(&file))?;
            }
        }
        std::fs::write(
            to.join("descriptor.pb"),
            stage.finish(name)?.encode_to_vec(),
        )?;
    }
    Ok(())
}

fn bytes() -> Coder {
    Coder::standard(urn::BYTES, [])
}

fn varint() -> Coder {
    Coder::standard(urn::VARINT, [])
}

/// A fused stage: a source, functions one after the other, a sink.
struct Stage {
    descriptor: ProcessBundleDescriptor,
    last: String,
}

impl Stage {
    fn new(source: &str, coder: Coder) -> Self {
        let mut descriptor = ProcessBundleDescriptor::default();
        let window_coder_id = add_coder(&mut descriptor, &WindowFn::Global.coder());
        let window_fn = Some(windowing::to_proto(&WindowFn::Global));
        let strategy = WindowingStrategy {
            window_fn,
            window_coder_id,
            ..WindowingStrategy::default()
        };
        descriptor
            .windowing_strategies
            .insert("global".into(), strategy);
        let mut stage = Stage {
            descriptor,
            last: String::new(),
        };
        let payload = stage.port(&coder);
        stage.add(source, "beam:runner:source:v1", payload, ("output", coder));
        stage
    }

    fn port(&mut self, coder: &Coder) -> Vec<u8> {
        let windowed = Coder::standard(
            urn::WINDOWED_VALUE,
            [coder.clone(), WindowFn::Global.coder()],
        );
        let coder_id = add_coder(&mut self.descriptor, &windowed);
        let api_service_descriptor = Some(endpoint());
        RemoteGrpcPort {
            api_service_descriptor,
            coder_id,
        }
        .encode_to_vec()
    }

    fn par_do<N: Named>(&mut self, id: &str, function: &N, out: Coder) -> Result {
        let payload = ParDoPayload {
            do_fn: Some(spec(function)?),
            ..ParDoPayload::default()
        };
        self.add(
            id,
            "beam:transform:pardo:v1",
            payload.encode_to_vec(),
            ("output", out),
        );
        Ok(())
    }

    /// A function with state that the runner keeps as lists.
    fn par_do_keeping<N: Named>(
        &mut self,
        id: &str,
        function: &N,
        out: (&str, Coder),
        cells: &[&str],
    ) -> Result {
        let cell = StateSpec {
            protocol: Some(FunctionSpec {
                urn: "beam:user_state:bag:v1".into(),
                ..FunctionSpec::default()
            }),
            ..StateSpec::default()
        };
        let cells = cells.iter().map(|tag| ((*tag).to_owned(), cell.clone()));
        let payload = ParDoPayload {
            do_fn: Some(spec(function)?),
            state_specs: cells.collect(),
            ..ParDoPayload::default()
        };
        self.add(id, "beam:transform:pardo:v1", payload.encode_to_vec(), out);
        Ok(())
    }

    fn precombine<N: Named>(&mut self, id: &str, function: &N, out: Coder) -> Result {
        let accumulator_coder_id = add_coder(&mut self.descriptor, out.component(1)?);
        let payload = CombinePayload {
            combine_fn: Some(spec(function)?),
            accumulator_coder_id,
        };
        self.add(
            id,
            "beam:transform:combine_per_key_precombine:v1",
            payload.encode_to_vec(),
            ("output", out),
        );
        Ok(())
    }

    fn add(&mut self, id: &str, urn: &str, payload: Vec<u8>, (tag, out): (&str, Coder)) {
        let mut transform = self.transform(id, urn, payload);
        let collection = format!("{id}.out");
        transform.outputs.insert(tag.into(), collection.clone());
        self.descriptor.transforms.insert(id.into(), transform);
        let pcollection = PCollection {
            unique_name: collection.clone(),
            coder_id: add_coder(&mut self.descriptor, &out),
            windowing_strategy_id: "global".into(),
            ..PCollection::default()
        };
        self.descriptor
            .pcollections
            .insert(collection.clone(), pcollection);
        self.last = collection;
    }

    fn transform(&self, id: &str, urn: &str, payload: Vec<u8>) -> PTransform {
        let spec = Some(FunctionSpec {
            urn: urn.into(),
            payload: payload.into(),
        });
        let mut transform = PTransform {
            unique_name: id.into(),
            spec,
            ..PTransform::default()
        };
        if !self.last.is_empty() {
            transform.inputs.insert("input".into(), self.last.clone());
        }
        transform
    }

    fn finish(mut self, id: &str) -> Result<ProcessBundleDescriptor> {
        let coder = coders::resolve(
            &self.descriptor.coders,
            &self.descriptor.pcollections[&self.last].coder_id,
        )?;
        let payload = self.port(&coder);
        let sink = self.transform("SNK/Write", "beam:runner:sink:v1", payload);
        self.descriptor.transforms.insert("SNK/Write".into(), sink);
        self.descriptor.state_api_service_descriptor = Some(endpoint());
        self.descriptor.id = id.into();
        Ok(self.descriptor)
    }
}

/// The driver puts its own addresses in.
fn endpoint() -> ApiServiceDescriptor {
    ApiServiceDescriptor {
        url: "driver".into(),
        authentication: None,
    }
}

fn spec<N: Named>(function: &N) -> Result<FunctionSpec> {
    let payload = FunctionPayload::of(function)?.to_bytes().into();
    Ok(FunctionSpec {
        urn: FUNCTION_URN.into(),
        payload,
    })
}

fn add_coder(descriptor: &mut ProcessBundleDescriptor, coder: &Coder) -> String {
    let components = coder
        .components
        .iter()
        .map(|component| add_coder(descriptor, component))
        .collect();
    let id = coder.to_string();
    descriptor
        .coders
        .insert(id.clone(), coders::to_proto(coder, components));
    id
}
