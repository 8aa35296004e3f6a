//! How the input of a bundle is sent: cut, mixed and packed anyhow.

use std::collections::VecDeque;

use beam_proto::fnexec::Elements;
use beam_proto::fnexec::elements::{Data, Timers};
use bytes::Bytes;

use super::Random;
use super::timers::Family;

/// One step of sending a bundle.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Ask the worker to process it.
    Announce,
    /// Send a message through a data service.
    Send(usize, Elements),
}

/// One stream of a bundle's input.
pub(super) struct Stream<'a> {
    transform: &'a str,
    /// If these are timers.
    family: Option<&'a str>,
    /// The number of the data service.
    service: usize,
}

impl<'a> Stream<'a> {
    /// The elements of a source.
    pub(super) fn source(source: &'a str, service: usize) -> Self {
        Stream {
            transform: source,
            family: None,
            service,
        }
    }

    /// The timers of a family.
    pub(super) fn timers((transform, family): &'a Family, service: usize) -> Self {
        Stream {
            transform,
            family: Some(family),
            service,
        }
    }

    /// Adds an entry to a message.
    fn put(&self, id: &str, (data, is_last): Entry, elements: &mut Elements) {
        let (instruction_id, transform_id) = (id.to_owned(), self.transform.to_owned());
        match self.family {
            None => elements.data.push(Data {
                instruction_id,
                transform_id,
                data,
                is_last,
            }),
            Some(family) => elements.timers.push(Timers {
                instruction_id,
                transform_id,
                timer_family_id: family.into(),
                timers: data,
                is_last,
            }),
        }
    }
}

/// Some bytes, and whether they are the last of their stream.
type Entry = (Bytes, bool);

/// The steps of sending a bundle: its input in messages that are cut anywhere, and its announcement somewhere between
/// them.
pub(super) fn steps(
    random: &mut Random,
    id: &str,
    inputs: &[(Stream<'_>, &[Bytes])],
) -> VecDeque<Step> {
    let mut streams: Vec<(&Stream<'_>, VecDeque<Entry>)> = inputs
        .iter()
        .map(|(stream, elements)| (stream, entries(random, elements)))
        .collect();
    let mut steps: VecDeque<Step> = VecDeque::new();
    while !streams.is_empty() {
        let at = random.below(streams.len());
        let (stream, entries) = &mut streams[at];
        let Some(entry) = entries.pop_front() else {
            streams.swap_remove(at);
            continue;
        };
        // Some entries share a message.
        if let Some(Step::Send(last, elements)) = steps.back_mut()
            && *last == stream.service
            && random.percent(40)
        {
            stream.put(id, entry, elements);
        } else {
            let mut elements = Elements::default();
            stream.put(id, entry, &mut elements);
            steps.push_back(Step::Send(stream.service, elements));
        }
    }
    let at = random.below(steps.len() + 1);
    steps.insert(at, Step::Announce);
    steps
}

/// One stream in entries.
fn entries(random: &mut Random, elements: &[Bytes]) -> VecDeque<Entry> {
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
        entries.push_back((whole.slice(start..end), false));
        start = end;
    }
    let rest = whole.slice(start..);
    if random.percent(30) {
        entries.push_back((rest, true));
    } else {
        if !rest.is_empty() {
            entries.push_back((rest, false));
        }
        entries.push_back((Bytes::new(), true));
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            let streams: Vec<_> = inputs
                .iter()
                .map(|(source, elements)| (Stream::source(source, 0), elements.as_slice()))
                .collect();
            for step in steps(&mut random, "i", &streams) {
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
