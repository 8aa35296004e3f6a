//! Sampled elements, as the runner asks for them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use beam_proto::fnexec::sample_data_response::ElementList;
use beam_proto::fnexec::sampled_element::Exception;
use beam_proto::fnexec::{SampleDataRequest, SampleDataResponse, SampledElement};

use super::options::WorkerOptions;
use crate::exec::{Sample, Samples};

/// Which elements a worker keeps for people who look into a running pipeline. What is kept is users' data, so by default it
/// keeps none, and pays nothing for it. Experiments of a pipeline switch it on, too: `enable_data_sampling`,
/// `enable_always_on_exception_sampling`, `disable_always_on_exception_sampling`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sampling {
    /// Up to ten elements of each collection.
    pub elements: bool,
    /// Elements that could not be processed. Each element is encoded before a function gets it, which costs time.
    pub failures: bool,
}

impl Sampling {
    /// What the options of a pipeline make of it. Whoever samples elements samples failures, too, unless told not to.
    pub(crate) fn told(self, options: &WorkerOptions) -> Self {
        let failures = self.failures || options.data_sampling;
        Sampling {
            elements: self.elements || options.data_sampling,
            failures: options.exception_sampling.unwrap_or(failures),
        }
    }

    /// Where samples go.
    pub(crate) fn samples(self) -> Option<Arc<Samples>> {
        let Sampling { elements, failures } = self;
        (elements || failures).then(|| Samples::new(elements, failures))
    }
}

/// Hands out the samples that a runner asks for; each is handed out once.
pub(crate) fn answer(samples: Option<&Samples>, wanted: &SampleDataRequest) -> SampleDataResponse {
    let taken = samples.map(|samples| samples.take(&wanted.pcollection_ids));
    let lists = taken.into_iter().flatten().map(|(collection, samples)| {
        let elements = samples.into_iter().map(element).collect();
        (collection, ElementList { elements })
    });
    SampleDataResponse {
        element_samples: lists.collect(),
    }
}

fn element(sample: Sample) -> SampledElement {
    let since = Duration::from_millis(u64::try_from(sample.millis).unwrap_or(0));
    SampledElement {
        element: sample.element,
        sample_timestamp: Some((SystemTime::UNIX_EPOCH + since).into()),
        exception: sample.failure.map(|failure| Exception {
            instruction_id: failure.instruction,
            transform_id: failure.transform,
            error: failure.error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_switch_samples_on_and_off() {
        for (data, failures, expected) in [
            (false, None, (false, false)),
            (true, None, (true, true)),
            (true, Some(false), (true, false)),
            (false, Some(true), (false, true)),
        ] {
            let options = WorkerOptions {
                data_sampling: data,
                exception_sampling: failures,
                ..WorkerOptions::default()
            };
            let told = Sampling::default().told(&options);
            assert_eq!((told.elements, told.failures), expected);
        }
    }
}
