//! Samples of what travels through collections, for people who look into a running pipeline.
//!
//! Everything here is bounded: samples of one collection in number and in bytes, those of a worker in bytes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Samples of one collection that are kept, and failures beside them.
const KEPT: usize = 10;

/// The largest element that is kept: a part of one could not be decoded.
const LARGEST: usize = 1 << 20;

/// All samples of a worker, in bytes.
const BUDGET: usize = 16 << 20;

/// The most of an error's text that is kept, in bytes.
const LONGEST_ERROR: usize = 16 << 10;

/// A full bucket takes one in so many elements, in place of its oldest.
pub(super) const SELDOM: u64 = 1000;

/// One element of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The element in the coder that the descriptor names, nested.
    pub element: Bytes,
    /// When it was taken, in milliseconds since 1970.
    pub millis: i64,
    /// Why it could not be processed, if that is why it is kept.
    pub failure: Option<Failure>,
}

/// What happened to an element that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The bundle.
    pub instruction: String,
    /// The transform's id; empty where none ran.
    pub transform: String,
    /// The error's text.
    pub error: String,
}

/// The samples of a worker.
pub struct Samples {
    elements: bool,
    pub(super) failures: bool,
    bytes: Arc<AtomicUsize>,
    buckets: Mutex<BTreeMap<String, Arc<Bucket>>>,
}

impl Samples {
    /// No samples yet. Says whether some `elements` of each collection are to be kept, and whether those are that could
    /// not be processed.
    pub fn new(elements: bool, failures: bool) -> Arc<Self> {
        Arc::new(Samples {
            elements,
            failures,
            bytes: Arc::default(),
            buckets: Mutex::default(),
        })
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Bucket>>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where samples of a collection go. Stages that share a collection share its samples.
    pub(super) fn bucket(&self, collection: &str) -> Arc<Bucket> {
        let mut buckets = self.buckets();
        if let Some(bucket) = buckets.get(collection) {
            return bucket.clone();
        }
        let bucket = Arc::new(Bucket {
            hungry: AtomicBool::new(self.elements),
            elements: self.elements,
            budget: self.bytes.clone(),
            kept: Mutex::default(),
        });
        buckets.insert(collection.to_owned(), bucket.clone());
        bucket
    }

    /// Takes the samples of some collections out, or those of all where none is named: by collection, failures last.
    pub fn take(&self, collections: &[String]) -> BTreeMap<String, Vec<Sample>> {
        let wanted = |id: &String| collections.is_empty() || collections.contains(id);
        let buckets: Vec<_> = self
            .buckets()
            .iter()
            .filter(|(id, _)| wanted(id))
            .map(|(id, bucket)| (id.clone(), bucket.clone()))
            .collect();
        let taken = buckets.into_iter().map(|(id, bucket)| (id, bucket.take()));
        taken.filter(|(_, samples)| !samples.is_empty()).collect()
    }
}

/// The samples of one collection.
pub(super) struct Bucket {
    /// Whether the next element is wanted, whichever it is.
    hungry: AtomicBool,
    elements: bool,
    budget: Arc<AtomicUsize>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    elements: VecDeque<Sample>,
    failures: VecDeque<Sample>,
}

impl Bucket {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the element with this number is to be kept.
    pub(super) fn wants(&self, number: u64) -> bool {
        self.hungry.load(Relaxed) || (self.elements && number.is_multiple_of(SELDOM))
    }

    /// Keeps a sample, if there is room for it.
    pub(super) fn add(&self, sample: Sample) {
        let mut kept = self.kept();
        let failed = sample.failure.is_some();
        let samples = if failed {
            &mut kept.failures
        } else {
            &mut kept.elements
        };
        if samples.len() >= KEPT
            && let Some(oldest) = samples.pop_front()
        {
            self.budget.fetch_sub(size(&oldest), Relaxed);
        }
        let size = size(&sample);
        // Two threads may both find room; the budget is then passed by one sample.
        if sample.element.len() <= LARGEST && self.budget.load(Relaxed) + size <= BUDGET {
            self.budget.fetch_add(size, Relaxed);
            samples.push_back(sample);
        }
        if !failed {
            let hungry = self.elements && samples.len() < KEPT;
            self.hungry.store(hungry, Relaxed);
        }
    }

    fn take(&self) -> Vec<Sample> {
        let mut kept = self.kept();
        let Kept { elements, failures } = std::mem::take(&mut *kept);
        self.hungry.store(self.elements, Relaxed);
        drop(kept);
        let samples: Vec<_> = elements.into_iter().chain(failures).collect();
        let bytes = samples.iter().map(size).sum();
        self.budget.fetch_sub(bytes, Relaxed);
        samples
    }
}

fn size(sample: &Sample) -> usize {
    let failure = sample.failure.as_ref();
    sample.element.len()
        + failure.map_or(0, |f| {
            f.instruction.len() + f.transform.len() + f.error.len()
        })
}

/// What one plan needs to have its elements sampled.
#[derive(Clone)]
pub struct Tasting {
    pub(super) samples: Arc<Samples>,
    pub(super) suspect: Arc<Suspect>,
}

impl Tasting {
    /// For one plan of a worker.
    pub fn new(samples: Arc<Samples>) -> Self {
        Tasting {
            samples,
            suspect: Arc::default(),
        }
    }

    /// Keeps the element that the plan failed at, if it failed at one.
    pub fn failed(&self, millis: i64, mut failure: Failure) {
        let Some((bucket, element)) = self.suspect.lock().take() else {
            return;
        };
        failure
            .error
            .truncate(failure.error.floor_char_boundary(LONGEST_ERROR));
        bucket.add(Sample {
            element,
            millis,
            failure: Some(failure),
        });
    }
}

/// The element that was in hand when a plan failed. A plan fails once.
#[derive(Default)]
pub(super) struct Suspect(Mutex<Option<(Arc<Bucket>, Bytes)>>);

impl Suspect {
    fn lock(&self) -> MutexGuard<'_, Option<(Arc<Bucket>, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names an element. The innermost comes first, and stays.
    pub(super) fn name(&self, bucket: &Arc<Bucket>, element: &[u8]) {
        let mut suspect = self.lock();
        if suspect.is_none() && element.len() <= LARGEST {
            *suspect = Some((bucket.clone(), Bytes::copy_from_slice(element)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(element: &[u8]) -> Sample {
        Sample {
            element: Bytes::copy_from_slice(element),
            millis: 7,
            failure: None,
        }
    }

    fn failure() -> Failure {
        Failure {
            instruction: "i1".into(),
            transform: "t".into(),
            error: "é".repeat(LONGEST_ERROR),
        }
    }

    fn numbers(samples: &[Sample]) -> Vec<u8> {
        samples.iter().map(|sample| sample.element[0]).collect()
    }

    #[test]
    fn the_latest_ten_are_kept_and_reading_clears() {
        let samples = Samples::new(true, true);
        let bucket = samples.bucket("a");
        for n in 0..12 {
            assert_eq!(bucket.wants(u64::from(n) + 1), n < 10);
            bucket.add(sample(&[n]));
        }
        assert!(bucket.wants(SELDOM));
        let taken = samples.take(&[]);
        assert_eq!(numbers(&taken["a"]), (2..12).collect::<Vec<_>>());
        assert_eq!(samples.take(&[]), BTreeMap::new());
        assert!(bucket.wants(13), "what was read makes room");
        assert_eq!(samples.bytes.load(Relaxed), 0);
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let samples = Samples::new(true, true);
        samples.bucket("a").add(sample(b"1"));
        samples.bucket("b").add(sample(b"2"));
        let taken = samples.take(&["b".into(), "unknown".into()]);
        assert_eq!(taken.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(samples.take(&[]).keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn bytes_are_bounded() {
        let samples = Samples::new(true, true);
        let bucket = samples.bucket("a");
        bucket.add(sample(&vec![0; LARGEST + 1]));
        assert_eq!(samples.take(&[]), BTreeMap::new());
        for n in 0..4 {
            let bucket = samples.bucket(&format!("bucket {n}"));
            (0..KEPT).for_each(|_| bucket.add(sample(&vec![0; LARGEST])));
        }
        let kept: usize = samples.take(&[]).values().map(Vec::len).sum();
        assert_eq!(kept, BUDGET / LARGEST);
        assert_eq!(samples.bytes.load(Relaxed), 0);
    }

    #[test]
    fn failures_stand_apart() {
        let samples = Samples::new(false, true);
        let tasting = Tasting::new(samples.clone());
        let bucket = samples.bucket("a");
        assert!(!bucket.wants(1) && !bucket.wants(SELDOM));
        tasting.suspect.name(&bucket, b"inner");
        tasting.suspect.name(&samples.bucket("b"), b"outer");
        tasting.failed(7, failure());
        let taken = samples.take(&[]);
        assert_eq!(taken.len(), 1);
        let [kept] = &taken["a"][..] else {
            panic!("{taken:?}")
        };
        assert_eq!(kept.element, "inner");
        let failure = kept.failure.as_ref().expect("a failure");
        assert_eq!(failure.instruction, "i1");
        assert_eq!(failure.error.len(), LONGEST_ERROR);
        // A plan that failed without an element in hand leaves nothing.
        tasting.failed(7, self::failure());
        assert_eq!(samples.take(&[]), BTreeMap::new());
    }
}
