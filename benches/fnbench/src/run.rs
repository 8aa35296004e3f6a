//! One run: a fresh worker, warm-up, the measured bundles, and the worker's end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use beam_proto::fnexec::{ProcessBundleDescriptor, ProvisionInfo};
use bytes::Bytes;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tokio::time::sleep;

use crate::args::{Assignment, RunArgs, Settings};
use crate::bundle_input::{BundleInput, Templates};
use crate::descriptor::{self, service};
use crate::harness::{Harness, Variables, Worker};
use crate::machine::wait_quiet;
use crate::measurement::{Measurement, Snapshot, megabytes};
use crate::process::{Usage, reset_peak};
use crate::runner::{
    Endpoints, Listeners, Load, Network, RunnerPages, Session, Setup, StateStore, WorkerLog,
};
use crate::scenario::{Case, Count, Scenario};

/// How long a worker may take to open its control stream.
const CONNECT: Duration = Duration::from_secs(120);

/// How long a worker may rest after a cold start before its idle memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// The id that workers are started with.
const WORKER_ID: &str = "worker-1";

/// A worker and a case, with everything that can be prepared before the worker starts.
pub(crate) struct Job {
    harness: Harness,
    scenario: Scenario,
    case: Case,
    variables: Variables,
    descriptor: ProcessBundleDescriptor,
    inputs: Arc<Vec<BundleInput>>,
    pages: RunnerPages,
}

impl Job {
    /// Reads the files of a case and encodes its input.
    ///
    /// # Errors
    /// A file is missing or wrong.
    pub(crate) fn prepare(
        mut harness: Harness,
        scenario: Scenario,
        case: Case,
        settings: &Settings,
    ) -> Result<Self> {
        let variables = variables(&settings.set)?;
        // One sink has many modes, and each is a worker of its own in tables.
        if let Some(mode) = variables.get("mode") {
            harness.name = format!("{}-{mode}", harness.name);
        }
        let descriptor = descriptor::load(&scenario)?;
        let source = &scenario.source;
        let templates = Templates::read(&scenario.file(&source.templates))?;
        let chunk_bytes = settings.chunk_kb as usize * 1024;
        let counts = case.elements_per_bundle.each().iter();
        let inputs = counts
            .map(|count| templates.bundle(*count, &source.patch, chunk_bytes))
            .collect::<Result<Vec<_>>>()?;
        anyhow::ensure!(!inputs.is_empty(), "the case has no bundles");
        let mut pages = RunnerPages::new();
        for state in &scenario.state {
            let templates = Templates::read(&scenario.file(&state.templates))?;
            let page_bytes = state.page_bytes.unwrap_or(settings.page_kb as usize * 1024);
            let input = templates.bundle(state.count, &[], page_bytes)?;
            pages.insert(Bytes::from(state.runner_key.clone()), input.chunks);
        }
        Ok(Job {
            harness,
            scenario,
            case,
            variables,
            descriptor,
            inputs: Arc::new(inputs),
            pages,
        })
    }

    /// Runs the case once. The output of the first measured bundle goes to `dump`.
    ///
    /// # Errors
    /// The worker does not start, ends early, or fails a bundle.
    pub(crate) async fn run(
        &self,
        settings: &Settings,
        number: usize,
        dump: Option<&Path>,
    ) -> Result<Measurement> {
        let tag = format!(
            "{}-{}-{}-{number}",
            self.harness.name, self.scenario.name, self.case.name
        );
        let log = |extension: &str| settings.log_dir.join(format!("{tag}.{extension}"));
        std::fs::create_dir_all(&settings.log_dir)
            .with_context(|| format!("cannot make {}", settings.log_dir.display()))?;
        let (listeners, endpoints) = Listeners::bind().await?;
        let session = self.session(settings, &endpoints, log("fnlog"))?;
        let network = Network {
            window: settings.window_mb << 20,
            frame: settings.frame_kb << 10,
        };
        let _servers = listeners.serve(&session, network);
        let variables = self.variables(&endpoints);
        let started = Instant::now();
        let pins = settings.pin_harness.as_deref();
        let mut worker = self.harness.start(&variables, log("out"), pins)?;
        let root = worker.root();
        let progress = settings.progress_ms.map(|ms| {
            let session = session.clone();
            let every = Duration::from_millis(ms.max(1));
            tokio::spawn(async move { session.poll_progress(every).await })
        });

        let mut measurement = Measurement {
            harness: self.harness.name.clone(),
            scenario: self.scenario.name.clone(),
            case: self.case.name.clone(),
            label: settings.label.clone(),
            run: number,
            concurrency: self.case.concurrency,
            ..Measurement::default()
        };
        let load = self.load(&session, settings);
        let work = self.measure(&load, settings, root, started, dump, &mut measurement);
        let outcome = tokio::select! {
            outcome = work => outcome,
            error = worker.early_end() => Err(error),
        };
        if let Some(progress) = progress {
            progress.abort();
        }
        session.close();
        outcome.with_context(|| format!("output of the worker is {}", log("out").display()))?;
        self.finish(worker, &session, &mut measurement).await;
        measurement.clean = measurement.foreign_cores <= settings.max_foreign;
        if let Some(out) = &settings.out {
            measurement.append_to(out)?;
        }
        Ok(measurement)
    }

    fn session(
        &self,
        settings: &Settings,
        endpoints: &Endpoints,
        log: PathBuf,
    ) -> Result<Arc<Session>> {
        let mut descriptor = self.descriptor.clone();
        descriptor::connect(&mut descriptor, endpoints)?;
        let provision = ProvisionInfo {
            pipeline_options: Some(to_struct(&self.harness.pipeline_options)),
            control_endpoint: Some(service(&endpoints.control)),
            logging_endpoint: Some(service(&endpoints.logging)),
            artifact_endpoint: Some(service(&endpoints.control)),
            runner_capabilities: settings.capability.clone(),
            ..ProvisionInfo::default()
        };
        let page_bytes = settings.page_kb as usize * 1024;
        Ok(Session::new(Setup {
            descriptor,
            provision,
            state: StateStore::new(self.pages.clone(), page_bytes),
            log: WorkerLog::create(&log, settings.quiet)?,
            data_ahead: settings.queue,
        }))
    }

    fn load(&self, session: &Arc<Session>, settings: &Settings) -> Load {
        Load {
            session: session.clone(),
            source: self.scenario.source.transform_id.as_str().into(),
            sinks: descriptor::sinks(&self.descriptor),
            inputs: self.inputs.clone(),
            cache_tokens: self.case.cache_tokens,
            embed: settings.embed,
            limit: Duration::from_secs(settings.timeout_s),
            made: Arc::default(),
        }
    }

    fn variables(&self, endpoints: &Endpoints) -> Variables {
        let own = [
            ("control", endpoints.control.as_str()),
            ("provision", &endpoints.control),
            ("data", &endpoints.data),
            ("state", &endpoints.state),
            ("logging", &endpoints.logging),
            ("worker_id", WORKER_ID),
            ("scenario", &self.scenario.name),
            ("case", &self.case.name),
        ];
        let mut variables = self.variables.clone();
        for (name, value) in own {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let folder = self.scenario.folder.display().to_string();
        variables.insert("scenario_dir".to_owned(), folder);
        variables
    }

    async fn measure(
        &self,
        load: &Load,
        settings: &Settings,
        root: nix::unistd::Pid,
        started: Instant,
        dump: Option<&Path>,
        measurement: &mut Measurement,
    ) -> Result<()> {
        let (case, session) = (&self.case, &load.session);
        session.wait_connected(CONNECT).await?;
        measurement.spawn_to_connect_ms = milliseconds(started.elapsed());
        measurement.rss_connect_mb = megabytes(Usage::of_tree(root).rss_kb);
        // A case without warm-up is about the cold start.
        let is_cold = case.warmup_bundles == 0;
        let settle = if is_cold {
            Duration::ZERO
        } else {
            Duration::from_millis(settings.settle_ms)
        };
        sleep(settle).await;
        let first = load.run(1, 1, None).await?;
        measurement.spawn_to_first_response_ms =
            milliseconds(started.elapsed().saturating_sub(settle));
        let first = first.latencies_s.first().copied();
        measurement.first_bundle_ms = first.unwrap_or_default() * 1e3;
        let usage = Usage::of_tree(root);
        measurement.startup_cpu_s = usage.cpu_s;
        measurement.rss_first_mb = megabytes(usage.rss_kb);
        if is_cold {
            sleep(REST).await;
        }
        measurement.rss_idle_mb = megabytes(Usage::of_tree(root).rss_kb);
        if case.warmup_bundles > 1 {
            load.run(case.warmup_bundles - 1, case.concurrency, None)
                .await?;
        }
        reset_peak(root);
        let before = Snapshot::take(root, session.state.counts());
        let tally = load
            .run(case.bundles, case.concurrency, dump.map(Path::to_owned))
            .await?;
        let after = Snapshot::take(root, session.state.counts());
        measurement.measured(tally, self.scenario.units_per_element(), &before, &after);
        Ok(())
    }

    async fn finish(&self, worker: Worker, session: &Session, measurement: &mut Measurement) {
        let asked = Instant::now();
        measurement.shutdown = worker.end().await.as_str().to_owned();
        measurement.shutdown_ms = milliseconds(asked.elapsed());
        measurement.log_entries = session.log.entries();
        measurement.pbd_requests = session.descriptor_requests();
    }
}

/// Runs one case until there are enough clean runs.
///
/// # Errors
/// A file is missing or wrong, or the worker fails.
pub async fn run(args: &RunArgs) -> Result<()> {
    let harness = Harness::load(&args.harness)?;
    let scenario = Scenario::load(&args.scenario)?;
    let mut case = scenario.case(&args.case)?.clone();
    if let Some(elements) = args.elements {
        case.elements_per_bundle = Count::Same(elements);
    }
    case.bundles = args.bundles.unwrap_or(case.bundles);
    case.warmup_bundles = args.warmup.unwrap_or(case.warmup_bundles);
    case.concurrency = args.concurrency.unwrap_or(case.concurrency);
    let job = Job::prepare(harness, scenario, case, &args.settings)?;
    let tries = args.max_tries.unwrap_or(args.runs).max(args.runs);
    let mut clean = 0;
    for number in 0..tries {
        if clean >= args.runs {
            break;
        }
        wait_quiet(Duration::from_secs(args.wait_quiet_s)).await;
        let dump = args.dump_output.as_deref();
        let measurement = job.run(&args.settings, number, dump).await?;
        clean += usize::from(measurement.clean);
        println!("{}", measurement.line());
        if args.json {
            println!("{}", serde_json::to_string(&measurement)?);
        }
    }
    Ok(())
}

/// What `--set` says, and where the programs of this build are.
fn variables(assignments: &[Assignment]) -> Result<Variables> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    let folder = program
        .parent()
        .ok_or_else(|| anyhow!("the running program is in no folder"))?;
    let mut variables = Variables::new();
    variables.insert("programs".to_owned(), folder.display().to_string());
    for Assignment { name, value } in assignments {
        variables.insert(name.clone(), value.clone());
    }
    Ok(variables)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn to_struct(object: &serde_json::Map<String, serde_json::Value>) -> Struct {
    let fields = object
        .iter()
        .map(|(name, value)| (name.clone(), to_value(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn to_value(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => Kind::StringValue(value.clone()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(to_value).collect(),
        }),
        Json::Object(object) => Kind::StructValue(to_struct(object)),
    };
    Value { kind: Some(kind) }
}
