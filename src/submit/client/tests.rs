use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use beam_proto::job::job_service_server::{JobService, JobServiceServer};
use beam_proto::job::job_state::Enum as State;
use beam_proto::job::{
    CancelJobResponse, DescribePipelineOptionsRequest, DescribePipelineOptionsResponse,
    DrainJobRequest, DrainJobResponse, GetJobMetricsResponse, GetJobPipelineRequest,
    GetJobPipelineResponse, GetJobsRequest, GetJobsResponse, PrepareJobResponse, RunJobResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response};

use super::*;

/// A job service that answers questions about the state badly for a while.
struct Stumbling {
    code: Code,
    asked: Arc<AtomicU32>,
}

type Answers<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not asked for"))
}

#[tonic::async_trait]
impl JobService for Stumbling {
    type GetStateStreamStream = Answers<JobStateEvent>;
    type GetMessageStreamStream = Answers<JobMessagesResponse>;

    async fn get_state(
        &self,
        _: Request<GetJobStateRequest>,
    ) -> Result<Response<JobStateEvent>, Status> {
        if self.asked.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Status::new(self.code, ""));
        }
        Ok(Response::new(JobStateEvent {
            state: State::Done.into(),
            timestamp: None,
        }))
    }

    async fn prepare(
        &self,
        _: Request<PrepareJobRequest>,
    ) -> Result<Response<PrepareJobResponse>, Status> {
        not_here()
    }

    async fn run(&self, _: Request<RunJobRequest>) -> Result<Response<RunJobResponse>, Status> {
        not_here()
    }

    async fn get_jobs(
        &self,
        _: Request<GetJobsRequest>,
    ) -> Result<Response<GetJobsResponse>, Status> {
        not_here()
    }

    async fn get_pipeline(
        &self,
        _: Request<GetJobPipelineRequest>,
    ) -> Result<Response<GetJobPipelineResponse>, Status> {
        not_here()
    }

    async fn cancel(
        &self,
        _: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        not_here()
    }

    async fn drain(
        &self,
        _: Request<DrainJobRequest>,
    ) -> Result<Response<DrainJobResponse>, Status> {
        not_here()
    }

    async fn get_state_stream(
        &self,
        _: Request<GetJobStateRequest>,
    ) -> Result<Response<Self::GetStateStreamStream>, Status> {
        not_here()
    }

    async fn get_message_stream(
        &self,
        _: Request<JobMessagesRequest>,
    ) -> Result<Response<Self::GetMessageStreamStream>, Status> {
        not_here()
    }

    async fn get_job_metrics(
        &self,
        _: Request<GetJobMetricsRequest>,
    ) -> Result<Response<GetJobMetricsResponse>, Status> {
        not_here()
    }

    async fn describe_pipeline_options(
        &self,
        _: Request<DescribePipelineOptionsRequest>,
    ) -> Result<Response<DescribePipelineOptionsResponse>, Status> {
        not_here()
    }
}

/// The state that a client is told by a service which stumbles with this code, and how often it asked.
async fn state_despite(code: Code) -> (Result<JobState>, u32) {
    let asked = Arc::new(AtomicU32::new(0));
    let service = Stumbling {
        code,
        asked: asked.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = listener.local_addr().expect("bound").to_string();
    let server = Server::builder()
        .add_service(JobServiceServer::new(service))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let mut client = JobClient::connect(&endpoint).await.expect("it listens");
    let state = client.state("job").await;
    server.abort();
    (state, asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_runner_that_stumbles_is_asked_again() {
    for code in [Code::Internal, Code::Unknown, Code::Unavailable] {
        let (state, asked) = state_despite(code).await;
        assert_eq!((state.expect("it recovers"), asked), (JobState::Done, 3));
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_never_without_words() {
    let (state, asked) = state_despite(Code::NotFound).await;
    let error = state.expect_err("there is no such job").to_string();
    assert_eq!(asked, 1);
    assert!(
        error.starts_with("the runner refused to tell the job's state: ")
            && error.contains(Code::NotFound.description()),
        "{error}"
    );
}
