//! Watermarks of what is left.

use super::*;

/// A number each second of event time, for ever; a few in each bundle.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ticks<W> {
    #[serde(skip)]
    watermark: std::marker::PhantomData<fn() -> W>,
}

impl<W> Ticks<W> {
    fn new() -> Self {
        Ticks {
            watermark: std::marker::PhantomData,
        }
    }
}

macro_rules! ticks {
    ($($watermark:ident, $name:literal, $advance:expr;)*) => {$(
        impl ferrobeam::dofn::Named for Ticks<$watermark> {
            const NAME: &'static str = $name;
        }

        impl Splittable for Ticks<$watermark> {
            type In = i64;
            type Tracker = OffsetTracker;
            type Watermark = $watermark;
            type Io = Out<i64>;

            const IS_BOUNDED: bool = false;

            fn initial(&self, _: &i64) -> Result<OffsetRange> {
                Ok(OffsetRange::from(0))
            }

            fn process(
                &mut self,
                _: &i64,
                claims: &Claims<Self>,
                cx: &mut Cx<'_>,
                out: &mut Out<i64>,
            ) -> Result<Resume> {
                let start = claims.restriction().start;
                for next in start..start + 5 {
                    if !claims.claim(next) {
                        return Ok(Resume::Done);
                    }
                    let at = Timestamp::from_millis(next * 1000);
                    out.emit_at(cx, at, next);
                    let advance: fn(&Claims<Self>, Timestamp) = $advance;
                    advance(claims, at);
                }
                Ok(Resume::After(Duration::from_millis(10)))
            }
        }
    )*};
}

ticks! {
    Manual, "sdf.ManualTicks/v1", |claims, at| claims.advance_watermark(at + Duration::from_millis(1));
    Monotonic, "sdf.MonotonicTicks/v1", |_, _| ();
    WallTime, "sdf.WallTicks/v1", |_, _| ();
}

/// Runs ticks twice. Yields the watermarks and the states of what was left.
fn tick<W>(runner: &FakeRunner, name: &str) -> Vec<(i64, i64)>
where
    W: ferrobeam::dofn::WatermarkEstimator<State = i64> + 'static,
    Ticks<W>: Splittable<In = i64, Tracker = OffsetTracker, Watermark = W> + ferrobeam::dofn::Named,
{
    let mut stage = Descriptor::new(name);
    let parts = work::<Ticks<W>>(&mut stage, WindowFn::Global);
    let out = stage.process("process", &Ticks::<W>::new(), &parts, &[]);
    stage.sink("sink", &out["output"]);
    let element: Parts<Ticks<W>> = Kv(Kv(0, Kv(OffsetRange::from(0), 0)), 1.0);
    let header = Header::global(Timestamp::from_millis(0));
    let mut next: bytes::Bytes = with_header(&header, &element).into();
    let mut seen = Vec::new();
    for round in 0..2i64 {
        let bundle = runner.bundle(&stage).start();
        bundle.send("source", next);
        bundle.end_all();
        let outcome = bundle.wait();
        let expected: Vec<i64> = (round * 5..round * 5 + 5).collect();
        assert_eq!(outcome.values::<i64>("sink"), expected);
        let [left] = &outcome.residuals[..] else {
            panic!("{:?}", outcome.residuals)
        };
        assert!(!left.is_bounded);
        let (_, Kv(Kv(_, Kv(range, state)), _)) = read::<Ticks<W>>(left, &WindowFn::Global);
        assert_eq!(range, OffsetRange::from(round * 5 + 5));
        seen.push((left.watermarks["output"].millis(), state));
        next = left.element.clone();
    }
    seen
}

#[test]
fn watermarks_go_on_from_bundle_to_bundle() {
    let runner = FakeRunner::start(registry());
    assert_eq!(
        tick::<Manual>(&runner, "manual"),
        [(4001, 4001), (9001, 9001)]
    );
    assert_eq!(
        tick::<Monotonic>(&runner, "monotonic"),
        [(4000, 4000), (9000, 9000)]
    );
    let wall = tick::<WallTime>(&runner, "wall time");
    assert!(wall[0].0 > 1_600_000_000_000 && wall[1].0 >= wall[0].0);
    assert_eq!((wall[0].0, wall[1].0), (wall[0].1, wall[1].1));
    runner.close();
}
