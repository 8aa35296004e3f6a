//! Elements in several windows.

use super::*;

/// The numbers of a range in each window.
#[derive(Clone, Serialize, Deserialize, DoFn)]
#[beam(name = "sdf.InWindows/v1")]
pub(super) struct InWindows {
    /// Waits at a gate with this number in hand, in the window that begins at this second.
    wait: Option<(i64, i64, String)>,
    /// Leaves the rest for later at this number, in that window.
    pause: Option<(i64, i64)>,
}

#[derive(Ports)]
pub(super) struct InWindowsIo {
    out: Out<Kv<i64, i64>>,
    window: InWindow<IntervalWindow>,
}

impl Splittable for InWindows {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = Held;
    type Io = InWindowsIo;

    fn initial(&self, end: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, *end))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        io: &mut InWindowsIo,
    ) -> Result<Resume> {
        let window = io.window.get()?.start.millis() / 1000;
        let mut next = claims.restriction().start;
        loop {
            if self.pause == Some((next, window)) && claims.restriction().start != next {
                return Ok(Resume::After(Duration::from_secs(1)));
            }
            if !claims.claim(next) {
                return Ok(Resume::Done);
            }
            if let Some((at, in_window, gate)) = &self.wait
                && (*at, *in_window) == (next, window)
            {
                Gate::named(gate).pass()?;
            }
            io.out.emit(cx, Kv(window, next));
            next += 1;
        }
    }
}

/// Three windows at the tenth second.
fn three() -> WindowFn {
    WindowFn::Sliding(SlidingWindows::of(
        Duration::from_secs(30),
        Duration::from_secs(10),
    ))
}

fn in_three_windows(function: &InWindows, name: &str) -> Descriptor {
    let mut stage = Descriptor::new(name);
    let parts = work::<InWindows>(&mut stage, three());
    let out = stage.process("process", function, &parts, &[]);
    stage.sink("sink", &out["out"]);
    stage
}

fn one_in_three() -> Vec<bytes::Bytes> {
    let at = Timestamp::from_millis(10_000);
    let element: Parts<InWindows> = Kv(Kv(10, Kv(OffsetRange::new(0, 10), at.millis())), 10.0);
    in_windows(&three(), [(at, element)])
}

/// Starts of windows in seconds, the range, and its size.
fn windows_of(roots: &[Root]) -> Vec<(Vec<i64>, OffsetRange, f64)> {
    let one = |root: &Root| {
        let (header, Kv(Kv(_, Kv(range, state)), size)) = read::<InWindows>(root, &three());
        assert_eq!(header.timestamp.millis(), 10_000);
        assert_eq!(state, 10_000);
        let coding = ferrobeam::element::WindowCoding::of(&IntervalWindow::coder()).unwrap();
        let windows = header.windows.split(&coding).unwrap();
        let start = |window: &&[u8]| {
            let window: IntervalWindow = decoded(window, Nesting::Nested).unwrap();
            window.start.millis() / 1000
        };
        (windows.iter().map(start).collect(), range, size)
    };
    roots.iter().map(one).collect()
}

fn each_window_once() -> Vec<Kv<i64, i64>> {
    let windows = [-10, 0, 10];
    let all = windows.into_iter();
    all.flat_map(|window| (0..10).map(move |n| Kv(window, n)))
        .collect()
}

#[test]
fn each_window_gets_each_position_once() {
    let runner = FakeRunner::start(registry());
    let function = InWindows {
        wait: None,
        pause: Some((5, 0)),
    };
    let stage = in_three_windows(&function, "windows");
    let outcome = runner.bundle(&stage).input("source", one_in_three()).run();
    assert_in_any_order(outcome.values::<Kv<i64, i64>>("sink"), each_window_once());
    // A second bundle goes on in the window that was left, and in the one behind it.
    assert_eq!(outcome.bundles, 2);
    runner.close();
}

#[test]
fn windows_are_split_off_whole() {
    let runner = FakeRunner::start(registry());
    // Windows come as the window function assigns them: the latest first.
    let order: Vec<i64> = {
        let mut order = Vec::new();
        three().assign(Timestamp::from_millis(10_000), |window| {
            order.push(window.start.millis() / 1000);
        });
        order
    };
    let function = InWindows {
        wait: Some((3, order[1], "whole windows, splittable".into())),
        pause: None,
    };
    let stage = in_three_windows(&function, "whole windows, splittable");
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", one_in_three().concat());
    Gate::named("whole windows, splittable").expect(1);
    let work = bundle.progress().metrics.work("process").unwrap();
    assert_eq!((work.completed, work.remaining), (14.0, 16.0));
    // 1.6 windows are left. Half of that is more than the 0.6 of the one in hand.
    let split = bundle.split_whole("source", 0.5, 1, &[]);
    assert_eq!(split.channel, Some((-1, 1)));
    let all = OffsetRange::new(0, 10);
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0], order[1]], all, 10.0)]
    );
    assert_eq!(windows_of(&split.residuals), [(vec![order[2]], all, 10.0)]);
    // Now only the window in hand is left, and it is cut itself.
    let split = bundle.split_whole("source", 0.5, 1, &[]);
    let (kept, left) = (OffsetRange::new(0, 7), OffsetRange::new(7, 10));
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0]], all, 10.0), (vec![order[1]], kept, 7.0)]
    );
    assert_eq!(windows_of(&split.residuals), [(vec![order[1]], left, 3.0)]);
    Gate::named("whole windows, splittable").open();
    bundle.end_all();
    let outcome = bundle.wait();
    let expected = (0..10).map(|n| Kv(order[0], n));
    let expected = expected.chain((0..7).map(|n| Kv(order[1], n)));
    assert_eq!(
        outcome.values::<Kv<i64, i64>>("sink"),
        expected.collect::<Vec<_>>()
    );
    runner.close();
}

#[test]
fn the_window_in_hand_is_cut_and_later_ones_are_left() {
    let runner = FakeRunner::start(registry());
    let mut order = Vec::new();
    three().assign(Timestamp::from_millis(10_000), |window| {
        order.push(window.start.millis() / 1000);
    });
    let function = InWindows {
        wait: Some((3, order[1], "window in hand, splittable".into())),
        pause: None,
    };
    let stage = in_three_windows(&function, "window in hand, splittable");
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", one_in_three().concat());
    Gate::named("window in hand, splittable").expect(1);
    let split = bundle.split_whole("source", 0.0, 1, &[]);
    let all = OffsetRange::new(0, 10);
    let (kept, left) = (OffsetRange::new(0, 4), OffsetRange::new(4, 10));
    assert_eq!(
        windows_of(&split.primaries),
        [(vec![order[0]], all, 10.0), (vec![order[1]], kept, 4.0)]
    );
    assert_eq!(
        windows_of(&split.residuals),
        [(vec![order[1]], left, 6.0), (vec![order[2]], all, 10.0)]
    );
    Gate::named("window in hand, splittable").open();
    bundle.end_all();
    let mut values = bundle.wait().values::<Kv<i64, i64>>("sink");
    let left = split.residuals.iter().map(|root| root.element.clone());
    let outcome = runner.bundle(&stage).input("source", left).run();
    values.extend(outcome.values::<Kv<i64, i64>>("sink"));
    assert_in_any_order(values, each_window_once());
    runner.close();
}
