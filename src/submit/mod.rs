//! Running pipelines on a runner: the client of its job service.
//!
//! The calls here block. They must not be made from asynchronous code.

mod artifacts;
mod client;
mod loopback;
mod metrics;
mod progress;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beam_proto::job::job_state;
use beam_proto::pipeline::Pipeline as PipelineProto;
use tokio::runtime::Runtime;

pub use metrics::{JobMetrics, MetricValue};

use self::client::JobClient;
use self::loopback::Loopback;
use self::progress::Progress;
use crate::error::{Context, Error, Result};
use crate::exec::Registry;
use crate::pipeline::{EnvironmentSpec, Pipeline, PipelineOptions, Workers};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Not begun, or on its way there.
    Starting,
    /// At work.
    Running,
    /// Asked to end, but not there yet.
    Ending,
    /// It did all that it had to do.
    Done,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// Another job took its place.
    Updated,
    /// It did all that had come in when it was asked to end.
    Drained,
}

impl JobState {
    /// Whether the job will not change any more.
    pub fn is_final(self) -> bool {
        match self {
            JobState::Starting | JobState::Running | JobState::Ending => false,
            JobState::Done
            | JobState::Failed
            | JobState::Cancelled
            | JobState::Updated
            | JobState::Drained => true,
        }
    }
}

impl From<job_state::Enum> for JobState {
    fn from(state: job_state::Enum) -> Self {
        match state {
            job_state::Enum::Running => JobState::Running,
            job_state::Enum::Draining | job_state::Enum::Cancelling => JobState::Ending,
            job_state::Enum::Done => JobState::Done,
            job_state::Enum::Failed => JobState::Failed,
            job_state::Enum::Cancelled => JobState::Cancelled,
            job_state::Enum::Updated => JobState::Updated,
            job_state::Enum::Drained => JobState::Drained,
            _ => JobState::Starting,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobState::Starting => "starting",
            JobState::Running => "running",
            JobState::Ending => "ending",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
            JobState::Updated => "updated",
            JobState::Drained => "drained",
        })
    }
}

impl Pipeline {
    /// Submits the pipeline to the job service of [`PipelineOptions::job_endpoint`] and starts it.
    ///
    /// With [`Workers::Loopback`] its functions run in this process, which must then know them all by `registry`, and
    /// live as long as the job.
    ///
    /// # Errors
    /// A pipeline that could not be built, a function that `registry` lacks, or a runner that cannot be reached or
    /// refuses the pipeline.
    pub fn run(
        &self,
        options: &PipelineOptions,
        registry: &Arc<Registry>,
    ) -> Result<PipelineResult> {
        let endpoint = options.job_endpoint.as_deref().ok_or_else(|| {
            Error::config("no job service is named; say --job_endpoint=host:port")
        })?;
        registry.check()?;
        let (environment, loopback) = match &options.workers {
            Workers::In(environment) => (environment.clone(), None),
            Workers::Loopback => {
                let loopback = Loopback::start(registry.clone())?;
                (
                    EnvironmentSpec::external(loopback.endpoint()),
                    Some(loopback),
                )
            }
        };
        let pipeline = self.build(&environment.to_proto())?.into_proto();
        if loopback.is_some() {
            loopback::check_functions(&pipeline, registry)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| {
                Error::transport("the client of the job service cannot start").because(e)
            })?;
        let mut client = runtime.block_on(JobClient::connect(endpoint))?;
        let names = names(&pipeline);
        let job = runtime
            .block_on(client.submit(pipeline, options))
            .at("job service", endpoint)?;
        Ok(PipelineResult {
            progress: Progress::default(),
            names,
            runtime,
            client,
            job,
            _loopback: loopback,
        })
    }
}

/// The full names of all transforms, by id.
fn names(pipeline: &PipelineProto) -> metrics::Names {
    let components = pipeline.components.iter();
    components
        .flat_map(|components| &components.transforms)
        .map(|(id, transform)| (id.clone(), transform.unique_name.clone()))
        .collect()
}

/// A job that was submitted. Dropping it ends the loopback workers, but not the job.
pub struct PipelineResult {
    progress: Progress,
    names: metrics::Names,
    runtime: Runtime,
    client: JobClient,
    job: String,
    _loopback: Option<Loopback>,
}

impl PipelineResult {
    /// The runner's id of the job.
    pub fn job_id(&self) -> &str {
        &self.job
    }

    /// How far the job is now.
    ///
    /// # Errors
    /// The runner cannot be reached, or does not know the job.
    pub fn state(&mut self) -> Result<JobState> {
        self.runtime.block_on(self.client.state(&self.job))
    }

    /// Waits until the job ends, for at most `timeout`, where one is given. Yields the state that it is in then.
    ///
    /// # Errors
    /// The job failed: the error has the runner's last messages. Or the runner cannot be reached any more.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<JobState> {
        let state = self.runtime.block_on(async {
            self.progress.open(&mut self.client, &self.job).await?;
            let follow = self.progress.follow();
            match timeout {
                None => follow.await,
                Some(limit) => match tokio::time::timeout(limit, follow).await {
                    Ok(state) => state,
                    Err(_) => Ok(None),
                },
            }
        })?;
        // The stream of states may end with the job before its last state was told.
        match state.map_or_else(|| self.state(), Ok)? {
            JobState::Failed => Err(self.progress.failure().at("job", &self.job)),
            state => Ok(state),
        }
    }

    /// Asks the runner to end the job.
    ///
    /// # Errors
    /// The runner cannot be reached, or does not know the job.
    pub fn cancel(&mut self) -> Result<JobState> {
        self.runtime.block_on(self.client.cancel(&self.job))
    }

    /// The metrics so far. Many runners only have them when the job has ended.
    ///
    /// # Errors
    /// The runner cannot be reached, or sends metrics that cannot be read.
    pub fn metrics(&mut self) -> Result<JobMetrics> {
        let results = self.runtime.block_on(self.client.metrics(&self.job))?;
        JobMetrics::read(results, &self.names).at("job", &self.job)
    }
}
