use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use beam_proto::job::job_service_server::{JobService, JobServiceServer};
use beam_proto::job::job_state::Enum as State;
use beam_proto::job::{
    CancelJobResponse, DescribePipelineOptionsRequest, DescribePipelineOptionsResponse,
    DrainJobRequest, DrainJobResponse, GetJobMetricsResponse, GetJobPipelineRequest,
    GetJobPipelineResponse, GetJobsRequest, GetJobsResponse, PrepareJobResponse, RunJobResponse,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response};

use super::*;
use crate::submit::progress::Progress;

/// A job service that answers questions about the state badly for a while, and has one stream of states.
struct Stumbling {
    code: Code,
    asked: Arc<AtomicU32>,
    states: Mutex<Option<Receiver<Result<JobStateEvent, Status>>>>,
}

fn event(state: State) -> JobStateEvent {
    JobStateEvent {
        state: state.into(),
        timestamp: None,
    }
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
        Ok(Response::new(event(State::Done)))
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
        match self.states.lock().expect("nobody panics").take() {
            Some(states) => Ok(Response::new(Box::pin(ReceiverStream::new(states)))),
            None => not_here(),
        }
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

/// A client of a service that runs until it is aborted.
async fn client_of(service: Stumbling) -> (JobClient, tokio::task::AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = listener.local_addr().expect("bound").to_string();
    let server = Server::builder()
        .add_service(JobServiceServer::new(service))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server).abort_handle();
    let client = JobClient::connect(&endpoint).await.expect("it listens");
    (client, server)
}

/// The state that a client is told by a service which stumbles with this code, and how often it asked.
async fn state_despite(code: Code) -> (Result<JobState>, u32) {
    let asked = Arc::new(AtomicU32::new(0));
    let service = Stumbling {
        code,
        asked: asked.clone(),
        states: Mutex::default(),
    };
    let (mut client, server) = client_of(service).await;
    let state = client.state("job").await;
    server.abort();
    (state, asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_stream_of_states_outlives_those_who_wait() {
    let (tell, states) = channel(1);
    let (mut client, server) = client_of(Stumbling {
        code: Code::Internal,
        asked: Arc::default(),
        states: Mutex::new(Some(states)),
    })
    .await;
    let mut progress = Progress::default();
    tell.send(Ok(event(State::Running)))
        .await
        .expect("it listens");
    for _ in 0..3 {
        progress
            .open(&mut client, "job")
            .await
            .expect("opened once");
        let waited = tokio::time::timeout(Duration::ZERO, progress.follow()).await;
        waited.expect_err("the job goes on");
        assert!(!tell.is_closed());
    }
    tell.send(Ok(event(State::Done))).await.expect("it listens");
    let state = progress.follow().await.expect("the stream is whole");
    assert_eq!(state, Some(JobState::Done));
    server.abort();
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
