//! Following a job to its end.

use std::collections::VecDeque;
use std::time::Duration;

use beam_proto::job::job_message::MessageImportance;
use beam_proto::job::job_messages_response::Response;
use beam_proto::job::{JobMessage, JobMessagesResponse, JobStateEvent};
use tonic::{Status, Streaming};

use super::JobState;
use super::client::{JobClient, refused};
use crate::error::{Error, ErrorKind, Result};

/// How many messages of each kind are kept: the last ones say why a job ended.
const KEPT: usize = 20;

/// How long messages may come after the job's end.
const AFTERWORD: Duration = Duration::from_secs(2);

/// How long the runner may take to open the stream of states.
const OPENING: Duration = Duration::from_secs(60);

/// What is known of a job.
#[derive(Default)]
pub(super) struct Progress {
    streams: Option<Streams>,
    errors: VecDeque<String>,
    others: VecDeque<String>,
}

/// What a runner says of a job, as long as it goes on.
struct Streams {
    states: Streaming<JobStateEvent>,
    messages: Option<Streaming<JobMessagesResponse>>,
}

impl Progress {
    /// Opens the streams, if they are not open. They stay open until the job ends, whoever waits: Java's job servers
    /// (`JobInvocation`) let a job down whose listener has gone when its state changes.
    ///
    /// # Errors
    /// The runner does not answer, or does not know the job.
    pub(super) async fn open(&mut self, client: &mut JobClient, job: &str) -> Result<()> {
        if self.streams.is_some() {
            return Ok(());
        }
        let states = tokio::time::timeout(OPENING, client.states(job)).await;
        let states = states.map_err(|_| {
            Error::transport(format!(
                "the runner does not tell the job's states within {} s",
                OPENING.as_secs()
            ))
        })??;
        // Some runners have no messages. Those of an earlier stream come again.
        let messages = client.messages(job).await.ok();
        self.errors.clear();
        self.others.clear();
        self.streams = Some(Streams { states, messages });
        Ok(())
    }

    /// Waits for a final state and yields it; `None` where the stream ends before. Messages are kept meanwhile.
    ///
    /// It may be dropped and called again at any time.
    ///
    /// # Errors
    /// The stream breaks.
    pub(super) async fn follow(&mut self) -> Result<Option<JobState>> {
        while let Some(streams) = &mut self.streams {
            tokio::select! {
                state = streams.states.message() => {
                    let end = match state {
                        Ok(Some(event)) => match JobState::from(event.state()) {
                            state if state.is_final() => Ok(Some(state)),
                            _ => continue,
                        },
                        Ok(None) => Ok(None),
                        Err(status) => Err(refused("tell the job's states", &status)),
                    };
                    let messages = self.streams.take().and_then(|streams| streams.messages);
                    if let Ok(Some(_)) = end {
                        self.read_rest(messages).await;
                    }
                    return end;
                }
                message = next(&mut streams.messages) => match message {
                    Ok(Some(message)) => self.keep(message),
                    Ok(None) | Err(_) => streams.messages = None,
                },
            }
        }
        Ok(None)
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
