//! Values of metrics that travel as messages.

use beam_proto::pipeline::histogram_value::BucketOptions as ProtoBuckets;
use beam_proto::pipeline::histogram_value::bucket_options::{Base2Exponent, BucketType, Linear};
use beam_proto::pipeline::{
    BoundedTrie as ProtoTrie, BoundedTrieNode as ProtoNode, HistogramValue as ProtoHistogram,
};

use crate::dofn::{BoundedTrieData, BucketOptions, HistogramData, TrieNode};
use crate::error::{Error, Result};

/// A set of paths as it is sent.
pub fn trie_to_proto(data: &BoundedTrieData) -> ProtoTrie {
    let mut proto = ProtoTrie {
        bound: i32::try_from(data.bound()).unwrap_or(i32::MAX),
        ..ProtoTrie::default()
    };
    match data.paths().as_slice() {
        [only] if !only.truncated => proto.singleton = only.segments.clone(),
        _ => proto.root = Some(node_to_proto(data.root())),
    }
    proto
}

fn node_to_proto(node: &TrieNode) -> ProtoNode {
    let children = node.children.iter();
    ProtoNode {
        truncated: node.truncated,
        children: children
            .map(|(name, child)| (name.clone(), node_to_proto(child)))
            .collect(),
    }
}

/// A set of paths as it was sent.
pub fn trie_from_proto(proto: ProtoTrie) -> BoundedTrieData {
    let bound = usize::try_from(proto.bound).unwrap_or(0);
    // Zero stands for nothing said.
    let bound = if bound == 0 { usize::MAX } else { bound };
    let root = proto.root.map(node_from_proto).unwrap_or_default();
    let mut data = BoundedTrieData::new(root, bound);
    let path: Vec<_> = proto.singleton.iter().map(String::as_str).collect();
    data.add(&path);
    data
}

fn node_from_proto(proto: ProtoNode) -> TrieNode {
    let children = proto.children.into_iter();
    let children = children.map(|(name, child)| (name, node_from_proto(child)));
    TrieNode {
        truncated: proto.truncated,
        children: if proto.truncated {
            Default::default()
        } else {
            children.collect()
        },
    }
}

/// A histogram as it is sent.
pub fn histogram_to_proto(data: HistogramData) -> ProtoHistogram {
    let number = |count: usize| Some(i32::try_from(count).unwrap_or(i32::MAX));
    let buckets = match data.buckets {
        BucketOptions::Linear {
            start,
            width,
            count,
        } => BucketType::Linear(Linear {
            number_of_buckets: number(count),
            width: Some(width),
            start: Some(start),
        }),
        BucketOptions::Exponential { scale, count } => BucketType::Exponential(Base2Exponent {
            number_of_buckets: number(count),
            scale: Some(scale),
        }),
    };
    ProtoHistogram {
        count: Some(data.count),
        bucket_options: Some(ProtoBuckets {
            bucket_type: Some(buckets),
        }),
        bucket_counts: data.counts,
    }
}

/// A histogram as it was sent.
///
/// # Errors
/// Its buckets are missing, or their counts do not fit them.
pub fn histogram_from_proto(proto: ProtoHistogram) -> Result<HistogramData> {
    let mut counts = proto.bucket_counts;
    let number = |given: Option<i32>| usize::try_from(given.unwrap_or_default()).unwrap_or(0);
    let buckets = proto.bucket_options.and_then(|options| options.bucket_type);
    let buckets = match buckets {
        Some(BucketType::Linear(linear)) => BucketOptions::Linear {
            start: linear.start.unwrap_or_default(),
            width: linear.width.unwrap_or_default(),
            count: number(linear.number_of_buckets),
        },
        Some(BucketType::Exponential(exponential)) => BucketOptions::Exponential {
            scale: exponential.scale.unwrap_or_default(),
            count: number(exponential.number_of_buckets),
        },
        None => {
            return Err(Error::decode(
                "a histogram does not say where its buckets lie",
            ));
        }
    };
    // Some writers leave out empty buckets at the end. What is not there is not made up beyond what a function may have.
    let expected = buckets.count();
    if counts.len() > expected || expected > counts.len() + MOST_LEFT_OUT {
        let given = counts.len();
        return Err(Error::decode(format!(
            "a histogram of {expected} buckets has counts of {given}"
        )));
    }
    counts.resize(expected, 0);
    Ok(HistogramData {
        buckets,
        count: proto.count.unwrap_or_else(|| counts.iter().sum()),
        counts,
    })
}

const MOST_LEFT_OUT: usize = 10_000;

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn one_path_is_sent_as_such_and_more_as_a_tree() {
        let mut data = BoundedTrieData::default();
        data.add(&["a", "b"]);
        let proto = trie_to_proto(&data);
        assert_eq!(proto.encode_to_vec(), b"\x08\x64\x1a\x01a\x1a\x01b");
        assert_eq!(trie_from_proto(proto), data);
        data.add(&["c"]);
        let proto = trie_to_proto(&data);
        assert!(proto.singleton.is_empty());
        assert_eq!(trie_from_proto(proto), data);
    }

    #[test]
    fn histograms_come_back_as_they_were_sent() {
        let linear = BucketOptions::Linear {
            start: -1.0,
            width: 2.0,
            count: 3,
        };
        for buckets in [linear, BucketOptions::Exponential { scale: 1, count: 3 }] {
            let data = HistogramData {
                buckets,
                count: 7,
                counts: vec![1, 0, 2],
            };
            let proto = histogram_to_proto(data.clone());
            assert_eq!(histogram_from_proto(proto).expect("valid"), data);
        }
    }

    #[test]
    fn histograms_that_contradict_themselves_are_refused() {
        let data = HistogramData {
            buckets: BucketOptions::Exponential { scale: 0, count: 2 },
            count: 3,
            counts: vec![1],
        };
        let mut proto = histogram_to_proto(data);
        let read = histogram_from_proto(proto.clone()).expect("the last bucket is empty");
        assert_eq!(read.counts, [1, 0]);
        proto.bucket_counts = vec![1, 2, 3];
        assert!(histogram_from_proto(proto.clone()).is_err());
        proto.bucket_options = None;
        assert!(histogram_from_proto(proto).is_err());
    }
}
