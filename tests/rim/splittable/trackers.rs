//! Trackers of users, and splits that fail.

use super::*;

/// Claims a whole number of things, and does as it is told when it is split.
struct Touchy {
    left: i64,
}

/// A restriction at which [`Touchy`] panics when it is split.
const PANICS: i64 = 1000;

impl Tracker for Touchy {
    type Restriction = i64;
    type Position = ();

    fn new(left: i64) -> Self {
        Touchy { left }
    }

    fn restriction(&self) -> i64 {
        self.left
    }

    fn claim(&mut self, (): ()) -> Result<bool> {
        let claimed = self.left > 0;
        self.left -= i64::from(claimed);
        Ok(claimed)
    }

    fn split(&mut self, _: f64) -> Option<i64> {
        assert!(self.left < PANICS - 1, "told to panic");
        let residual = std::mem::take(&mut self.left);
        (residual > 0).then_some(residual)
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn work(&self) -> Work {
        Work {
            completed: 0.0,
            remaining: self.left as f64,
        }
    }
}

/// Waits at a gate with its first thing in hand.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.Touching/v1")]
struct Touching {
    gate: String,
    /// A restriction of which the size cannot be told.
    sizeless: i64,
}

impl Splittable for Touching {
    type In = i64;
    type Tracker = Touchy;
    type Watermark = Held;
    type Io = Out<i64>;

    fn initial(&self, count: &i64) -> Result<i64> {
        Ok(*count)
    }

    fn size(&self, _: &i64, count: &i64) -> Result<f64> {
        if *count == self.sizeless {
            return Err(Error::user("nobody knows the size"));
        }
        Ok(*count as f64)
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<i64>,
    ) -> Result<Resume> {
        let mut count = 0;
        while claims.claim(()) {
            if count == 0 {
                Gate::named(&self.gate).pass()?;
            }
            out.emit(cx, count);
            count += 1;
        }
        Ok(Resume::Done)
    }
}

/// Splits a bundle of so many things with the first in hand, and yields what comes of the split and of the bundle.
fn touched(name: &str, count: i64, sizeless: i64) -> (Split, Result<Vec<i64>, String>) {
    let mut registry = registry();
    registry.add_splittable::<Touching>();
    let runner = FakeRunner::start(registry);
    let gate = format!("{name}, splittable");
    let mut stage = Descriptor::new(name);
    let parts = work::<Touching>(&mut stage, WindowFn::Global);
    let function = Touching {
        gate: gate.clone(),
        sizeless,
    };
    let out = stage.process("process", &function, &parts, &[]);
    stage.sink("sink", &out["output"]);
    let bundle = runner.bundle(&stage).start();
    let element: Parts<Touching> = Kv(Kv(0, Kv(count, 0)), count as f64);
    bundle.send("source", in_global_window([element]).concat());
    Gate::named(&gate).expect(1);
    let split = bundle.split_whole("source", 0.0, 1, &[]);
    Gate::named(&gate).open();
    bundle.end_all();
    let outcome = bundle.wait();
    let result = match &outcome.error {
        Some(error) => Err(error.clone()),
        None => Ok(outcome.values("sink")),
    };
    runner.close();
    (split, result)
}

#[test]
fn trackers_of_users_are_cut_like_ours() {
    let (split, values) = touched("touched", 5, -1);
    assert_eq!(split.channel, Some((-1, 1)));
    let (_, Kv(Kv(_, Kv(left, _)), size)) =
        read::<Touching>(&split.residuals[0], &WindowFn::Global);
    assert_eq!((left, size), (4, 4.0));
    assert_eq!(values, Ok(vec![0]));
}

#[test]
fn a_split_that_fails_fails_its_bundle_and_no_other() {
    let (split, values) = touched("panicking", PANICS, -1);
    assert_eq!((split.primaries, split.residuals), (vec![], vec![]));
    let error = values.unwrap_err();
    assert!(
        error.contains("Touchy panicked while it was split"),
        "{error}"
    );
    // What was cut off already cannot be given to anybody.
    let (split, values) = touched("sizeless", 5, 4);
    assert_eq!((split.primaries, split.residuals), (vec![], vec![]));
    let error = values.unwrap_err();
    assert!(error.contains("nobody knows the size"), "{error}");
}
