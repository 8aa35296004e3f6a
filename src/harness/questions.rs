//! Questions about bundles that run: how far they are, and whether they can be split.

use beam_proto::fnexec::{ProcessBundleSplitRequest, ProcessBundleSplitResponse};

use super::bundles::Bundles;
use super::instructions::Running;
use super::jobs::{Job, NoThread};
use super::wire::Rope;
use super::{response, splits};

/// What the runner wants to know of a bundle.
pub(crate) enum Question {
    /// How far it is.
    Progress,
    /// Where it can be split; and it is.
    Split(ProcessBundleSplitRequest),
}

/// A question whose answer needs user code: trackers of splittable functions know how far they are.
pub(crate) struct QuestionRequest {
    instruction: String,
    running: Running,
    question: Question,
}

impl Bundles {
    /// Answers a question about a bundle, of which nothing is known if it does not run. What needs no user code is
    /// answered at once; the rest on a thread that may wait. Must not wait for anything.
    pub(crate) fn ask(
        &self,
        instruction: String,
        running: Option<Running>,
        question: Question,
    ) -> Option<Rope> {
        let Some(running) = running else {
            return Some(match question {
                Question::Progress => response::progress(&instruction, None, self.short_ids_only),
                Question::Split(_) => {
                    response::split(&instruction, ProcessBundleSplitResponse::default())
                }
            });
        };
        let request = QuestionRequest {
            instruction,
            running,
            question,
        };
        if request.running.metrics.hands.is_empty() {
            return Some(self.answer(&request));
        }
        match self.jobs.submit(Job::Answer(request)) {
            Ok(()) => None,
            Err(NoThread { job, error }) => match *job {
                Job::Answer(request) => {
                    let error = format!("the worker cannot start a thread: {error}");
                    Some(response::failed(&request.instruction, error))
                }
                _ => None,
            },
        }
    }

    fn answer(&self, request: &QuestionRequest) -> Rope {
        let QuestionRequest {
            instruction,
            running,
            question,
        } = request;
        let (gate, ticket) = (&running.metrics.gate, running.ticket);
        match question {
            Question::Progress => {
                let answer =
                    |running| response::progress(instruction, running, self.short_ids_only);
                let told = gate.pass(ticket, || answer(Some(running)));
                told.unwrap_or_else(|| answer(None))
            }
            Question::Split(wanted) => {
                let split = gate.pass(ticket, || splits::split(wanted, running));
                response::split(instruction, split.unwrap_or_default())
            }
        }
    }

    /// Answers on a thread that may wait.
    pub(super) fn answer_from_job(&self, request: &QuestionRequest) {
        let running = &request.running;
        if let Question::Split(wanted) = &request.question {
            // The bundle cannot end before this answer is on its way: what was cut off must not come after the bundle's.
            let pushed = running.metrics.gate.pass(running.ticket, || {
                let split = splits::split(wanted, running);
                let answer = response::split(&request.instruction, split);
                let _ = self.answers.push(answer);
            });
            if pushed.is_some() {
                return;
            }
        }
        let _ = self.answers.push(self.answer(request));
    }
}
