//! How the input of a bundle is sent: cut, mixed and packed anyhow.

use std::collections::{BTreeMap, VecDeque};

use beam_proto::fnexec::Elements;
use beam_proto::fnexec::elements::Data;
use bytes::Bytes;

use super::Random;

/// One step of sending a bundle.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Ask the worker to process it.
    Announce,
    /// Send a message through a data service.
    Send(usize, Elements),
}

/// The steps of sending a bundle: its input in messages that are cut anywhere, and its announcement somewhere between
/// them.
///
/// `service` tells which data service a source belongs to.
pub(super) fn steps(
    random: &mut Random,
    id: &str,
    inputs: &BTreeMap<String, Vec<Bytes>>,
    service: impl Fn(&str) -> usize,
) -> VecDeque<Step> {
    let mut streams: Vec<VecDeque<Data>> = inputs
        .iter()
        .map(|(source, elements)| entries(random, id, source, elements))
        .collect();
    let mut steps: VecDeque<Step> = VecDeque::new();
    while !streams.is_empty() {
        let at = random.below(streams.len());
        let Some(data) = streams[at].pop_front() else {
            streams.swap_remove(at);
            continue;
        };
        let service = service(&data.transform_id);
        // Some entries share a message.
        if let Some(Step::Send(last, elements)) = steps.back_mut()
            && *last == service
            && random.percent(40)
        {
            elements.data.push(data);
        } else {
            let elements = Elements {
                data: vec![data],
                ..Elements::default()
            };
            steps.push_back(Step::Send(service, elements));
        }
    }
    let at = random.below(steps.len() + 1);
    steps.insert(at, Step::Announce);
    steps
}

/// The input of one source in entries.
fn entries(random: &mut Random, id: &str, source: &str, elements: &[Bytes]) -> VecDeque<Data> {
    let entry = |data: Bytes, is_last| Data {
        instruction_id: id.into(),
        transform_id: source.into(),
        data,
        is_last,
    };
    let whole: Bytes = elements.concat().into();
    let mut cuts: Vec<usize> = Vec::new();
    for _ in 0..random.below(elements.len().min(20) + 1) {
        cuts.push(random.below(whole.len() + 1));
    }
    cuts.sort_unstable();
    let mut entries = VecDeque::new();
    let mut start = 0;
    for end in cuts {
        // Two equal cuts make an entry of no bytes.
        entries.push_back(entry(whole.slice(start..end), false));
        start = end;
    }
    let rest = whole.slice(start..);
    if random.percent(30) {
        entries.push_back(entry(rest, true));
    } else {
        if !rest.is_empty() {
            entries.push_back(entry(rest, false));
        }
        entries.push_back(entry(Bytes::new(), true));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way() {
        let inputs: BTreeMap<String, Vec<Bytes>> = ["a", "b"]
            .map(|source| {
                let elements = (0..30u8).map(|n| Bytes::from(vec![n; usize::from(n % 5)]));
                (source.to_owned(), elements.collect())
            })
            .into();
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut seen: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut ended = Vec::new();
            let mut announced = 0;
            for step in steps(&mut random, "i", &inputs, |_| 0) {
                let Step::Send(_, elements) = step else {
                    announced += 1;
                    continue;
                };
                for data in elements.data {
                    assert!(!ended.contains(&data.transform_id));
                    let stream = seen.entry(data.transform_id.clone()).or_default();
                    stream.extend_from_slice(&data.data);
                    if data.is_last {
                        ended.push(data.transform_id);
                    }
                }
            }
            assert_eq!(announced, 1);
            assert_eq!(ended.len(), 2);
            for (source, elements) in &inputs {
                assert_eq!(seen[source], elements.concat(), "seed {seed}");
            }
        }
    }
}
