//! Following a job to its end.

use std::collections::VecDeque;
use std::time::Duration;

use beam_proto::job::job_message::MessageImportance;
use beam_proto::job::job_messages_response::Response;
use beam_proto::job::{JobMessage, JobMessagesResponse};
use tonic::{Status, Streaming};

use super::JobState;
use super::client::{JobClient, refused};
use crate::error::{Error, ErrorKind, Result};

/// How many messages of each kind are kept: the last ones say why a job ended.
const KEPT: usize = 20;

/// How long messages may come after the job's end.
const AFTERWORD: Duration = Duration::from_secs(2);

/// What is known of a job.
#[derive(Default)]
pub(super) struct Progress {
    errors: VecDeque<String>,
    others: VecDeque<String>,
}

impl Progress {
    /// Waits for a final state and yields it. Messages are kept meanwhile.
    ///
    /// It may be dropped and called again at any time.
    pub(super) async fn follow(&mut self, client: &mut JobClient, job: &str) -> Result<JobState> {
        let mut states = client.states(job).await?;
        // The same messages come again.
        self.errors.clear();
        self.others.clear();
        // Some runners have no messages.
        let mut messages = client.messages(job).await.ok();
        loop {
            tokio::select! {
                state = states.message() => {
                    let state = state.map_err(|status| refused("tell the job's states", &status))?;
                    let Some(event) = state else {
                        // The stream may end with the job before its last state was told.
                        return client.state(job).await;
                    };
                    let state = JobState::from(event.state());
                    if state.is_final() {
                        self.read_rest(messages).await;
                        return Ok(state);
                    }
                }
                message = next(&mut messages) => match message {
                    Ok(Some(message)) => self.keep(message),
                    Ok(None) | Err(_) => messages = None,
                },
            }
        }
    }

    async fn read_rest(&mut self, mut messages: Option<Streaming<JobMessagesResponse>>) {
        let rest = async {
            while messages.is_some() {
                match next(&mut messages).await {
                    Ok(Some(message)) => self.keep(message),
                    Ok(None) | Err(_) => messages = None,
                }
            }
        };
        // Runners that leave the stream open have said all they had to.
        let _ = tokio::time::timeout(AFTERWORD, rest).await;
    }

    fn keep(&mut self, response: JobMessagesResponse) {
        let Some(Response::MessageResponse(message)) = response.response else {
            return;
        };
        let kept = match message.importance() {
            MessageImportance::JobMessageError | MessageImportance::JobMessageWarning => {
                &mut self.errors
            }
            _ => &mut self.others,
        };
        if kept.len() == KEPT {
            kept.pop_front();
        }
        let JobMessage { message_text, .. } = message;
        kept.push_back(message_text);
    }

    /// Why the job failed, as far as the runner said.
    #[cold]
    pub(super) fn failure(&self) -> Error {
        let said = if self.errors.is_empty() {
            &self.others
        } else {
            &self.errors
        };
        let said: Vec<&str> = said.iter().map(|text| text.trim()).collect();
        let why = match said.as_slice() {
            [] => "the runner does not say why; look into its log".to_owned(),
            said => said.join("\n"),
        };
        Error::new(ErrorKind::User, format!("the job failed: {why}"))
    }
}

/// The next message; never, where there are none.
async fn next(
    messages: &mut Option<Streaming<JobMessagesResponse>>,
) -> Result<Option<JobMessagesResponse>, Status> {
    match messages {
        Some(messages) => messages.message().await,
        None => std::future::pending().await,
    }
}
