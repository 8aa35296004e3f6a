//! Calls of the job service.

use std::time::Duration;

use beam_proto::job::job_service_client::JobServiceClient;
use beam_proto::job::{
    CancelJobRequest, GetJobMetricsRequest, GetJobStateRequest, JobMessagesRequest,
    JobMessagesResponse, JobStateEvent, MetricResults, PrepareJobRequest, RunJobRequest,
};
use beam_proto::pipeline::Pipeline;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::{JobState, artifacts};
use crate::error::{Error, Result};
use crate::pipeline::PipelineOptions;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one job service.
pub(super) struct JobClient {
    jobs: JobServiceClient<Channel>,
}

/// A connection to `host:port`.
///
/// # Errors
/// Nobody answers there.
pub(super) async fn connect(what: &str, endpoint: &str) -> Result<Channel> {
    let cannot = |e: tonic::transport::Error| {
        Error::transport(format!("the {what} at {endpoint} cannot be reached")).because(e)
    };
    Endpoint::from_shared(format!("http://{endpoint}"))
        .map_err(cannot)?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .map_err(cannot)
}

/// A call that the runner did not answer as it should.
#[cold]
pub(super) fn refused(what: &str, status: &Status) -> Error {
    // Java's job servers have no message for what they did not expect.
    let why = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    Error::transport(format!("the runner refused to {what}: {why}"))
}

/// How often the state of a job is asked for, if the runner stumbles over the question.
const ASKS_FOR_STATE: u32 = 4;

/// How long to wait before asking again; twice as long each time.
const BEFORE_ASKING_AGAIN: Duration = Duration::from_millis(50);

/// Whether a call may succeed if it is made again: the runner does not say that the call is wrong.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unknown | Code::Internal | Code::Unavailable
    )
}

impl JobClient {
    /// A client of the job service at `endpoint`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(super) async fn connect(endpoint: &str) -> Result<Self> {
        let channel = connect("job service", endpoint).await?;
        Ok(JobClient {
            jobs: JobServiceClient::new(channel).max_decoding_message_size(usize::MAX),
        })
    }

    /// Prepares and starts a job, and yields its id.
    ///
    /// # Errors
    /// The runner refuses it.
    pub(super) async fn submit(
        &mut self,
        pipeline: Pipeline,
        options: &PipelineOptions,
    ) -> Result<String> {
        let request = PrepareJobRequest {
            pipeline: Some(pipeline),
            pipeline_options: Some(options.to_struct()),
            job_name: options.job_name.clone(),
        };
        let prepared = self.jobs.prepare(request).await;
        let prepared = prepared
            .map_err(|status| refused("take the pipeline", &status))?
            .into_inner();
        let staging = prepared.artifact_staging_endpoint;
        if let Some(endpoint) = staging.map(|d| d.url).filter(|url| !url.is_empty()) {
            artifacts::offer(&endpoint, prepared.staging_session_token).await?;
        }
        let request = RunJobRequest {
            preparation_id: prepared.preparation_id,
            retrieval_token: String::new(),
        };
        let run = self.jobs.run(request).await;
        let run = run.map_err(|status| refused("run the job", &status))?;
        Ok(run.into_inner().job_id)
    }

    /// The state that the job is in. Asking changes nothing, so that a runner which stumbles is asked again.
    pub(super) async fn state(&mut self, job: &str) -> Result<JobState> {
        let mut asks = 1;
        loop {
            let request = GetJobStateRequest { job_id: job.into() };
            match self.jobs.get_state(request).await {
                Ok(answer) => return Ok(answer.into_inner().state().into()),
                Err(status) if asks < ASKS_FOR_STATE && is_passing(&status) => {
                    tokio::time::sleep(BEFORE_ASKING_AGAIN * (1 << asks)).await;
                    asks += 1;
                }
                Err(status) => return Err(refused("tell the job's state", &status)),
            }
        }
    }

    /// The states that the job is in and comes to.
    pub(super) async fn states(&mut self, job: &str) -> Result<Streaming<JobStateEvent>> {
        let request = GetJobStateRequest { job_id: job.into() };
        let answer = self.jobs.get_state_stream(request).await;
        let answer = answer.map_err(|status| refused("tell the job's states", &status))?;
        Ok(answer.into_inner())
    }

    /// What the job has to say.
    pub(super) async fn messages(&mut self, job: &str) -> Result<Streaming<JobMessagesResponse>> {
        let request = JobMessagesRequest { job_id: job.into() };
        let answer = self.jobs.get_message_stream(request).await;
        let answer = answer.map_err(|status| refused("tell the job's messages", &status))?;
        Ok(answer.into_inner())
    }

    pub(super) async fn cancel(&mut self, job: &str) -> Result<JobState> {
        let request = CancelJobRequest { job_id: job.into() };
        let answer = self.jobs.cancel(request).await;
        let answer = answer.map_err(|status| refused("cancel the job", &status))?;
        Ok(answer.into_inner().state().into())
    }

    pub(super) async fn metrics(&mut self, job: &str) -> Result<MetricResults> {
        let request = GetJobMetricsRequest { job_id: job.into() };
        let answer = self.jobs.get_job_metrics(request).await;
        let answer = answer.map_err(|status| refused("tell the job's metrics", &status))?;
        Ok(answer.into_inner().metrics.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
