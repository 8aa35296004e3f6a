//! What functions measure, and what they are told, in jobs.

use std::sync::Arc;

use ferrobeam::dofn::Linear;
use ferrobeam::pipeline::{Pipeline, PipelineOptions};
use ferrobeam::prelude::*;
use ferrobeam::submit::{JobMetrics, JobState};
use serde::{Deserialize, Serialize};

use crate::functions::{registry, show};
use crate::{LIMIT, runner};

/// Measures numbers in all ways, and multiplies them by an option.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Observe/v1")]
struct Observe;

#[derive(Ports)]
struct ObserveIo {
    out: Out<i64>,
    #[port(name = "odd name: ä/%")]
    odd: Counter,
    sizes: Distribution,
    names: StringSet,
    paths: BoundedTrie,
    values: Histogram<Linear<0, 10, 3>>,
    options: Options,
}

impl DoFn for Observe {
    type In = i64;
    type Io = ObserveIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut ObserveIo) -> Result {
        io.odd.inc();
        io.sizes.add(n);
        io.names.add((n % 2).to_string());
        io.paths.add(&["numbers", &n.to_string()]);
        io.values.add(n as f64);
        let factor: i64 = io.options.parse("my_factor")?.unwrap_or(1);
        io.out.emit(cx, n * factor);
        Ok(())
    }
}

#[test]
fn metrics_of_all_kinds_and_an_option_of_our_own() {
    let mut registry = registry();
    registry.add::<Observe>();
    let args = [
        format!("--job_endpoint={}", runner::endpoint()),
        "--my_factor=10".to_owned(),
    ];
    let options = PipelineOptions::from_args(args).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let pipeline = Pipeline::new();
    let path = folder.path().join("lines");
    let numbers = pipeline.create("Numbers", [1i64, 2, 3, 35]);
    let products = numbers.par_do("Observe", Observe).out;
    let lines = products.steps("Show", show());
    lines.write_lines("Write", path.to_str().unwrap());
    let mut job = pipeline.run(&options, &Arc::new(registry)).unwrap();
    assert_eq!(job.wait(Some(LIMIT)).unwrap(), JobState::Done);
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["10", "20", "30", "350"]);
    check(&job.metrics().unwrap());
}

fn check(metrics: &JobMetrics) {
    let of = "test.Observe";
    assert_eq!(metrics.counter(of, "odd name: ä/%"), Some(4));
    let sizes = metrics.distribution(of, "sizes").unwrap();
    assert_eq!(
        (sizes.count, sizes.sum, sizes.min, sizes.max),
        (4, 41, 1, 35)
    );
    // Not every runner keeps the rest; what one keeps must be right.
    let kept = [
        metrics.string_set(of, "names").is_some(),
        metrics.bounded_trie(of, "paths").is_some(),
        metrics.histogram(of, "values").is_some(),
    ];
    match runner::name().as_str() {
        "python" => assert_eq!(kept, [true, true, true]),
        "prism" => assert_eq!(kept, [true, false, false]),
        _ => {}
    }
    if let Some(names) = metrics.string_set(of, "names") {
        assert_eq!(Vec::from_iter(names), ["0", "1"]);
    }
    if let Some(paths) = metrics.bounded_trie(of, "paths") {
        let paths: Vec<_> = paths.paths().iter().map(|p| p.segments.join("/")).collect();
        assert_eq!(paths, ["numbers/1", "numbers/2", "numbers/3", "numbers/35"]);
    }
    // Flink's server answers with a histogram of nothing, whatever the worker has said.
    if runner::name() != "flink"
        && let Some(values) = metrics.histogram(of, "values")
    {
        assert_eq!((values.count, values.counts), (4, vec![3, 0, 0]));
    }
}
