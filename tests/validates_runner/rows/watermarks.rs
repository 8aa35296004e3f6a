//! Watermarks of sources that do not end by themselves.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferrobeam::dofn::{Named, WatermarkEstimator};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{FixedWindows, IntervalWindow, WindowFn};
use serde::{Deserialize, Serialize};

use super::functions::at;
use super::rows;
use crate::behaviour::How;
use crate::case::Case;

pub(crate) const ROWS: &[(&str, How)] = rows![
    Runs sdf_unbounded_watermark,
];

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add_splittable::<Ticks<Manual>>()
        .add_splittable::<Ticks<Monotonic>>()
        .add_splittable::<Ticks<WallTime>>()
        .add::<WindowEnd>()
        .add::<InOrder>();
}

/// A watermark estimator, and ticks that suit it.
trait Ticking: WatermarkEstimator {
    const NAME: &'static str;

    /// The event time of a tick, when the machine's clock says `now`.
    fn time(tick: i64, now: i64) -> i64;

    /// A tick with a time has gone out.
    fn ticked(claims: &Claims<Ticks<Self>>, time: Timestamp);
}

/// Forty ticks of 5 ms each, three at a time, as a source that might go on for ever.
#[derive(Clone, Serialize, Deserialize)]
struct Ticks<W> {
    #[serde(skip)]
    watermark: PhantomData<fn() -> W>,
}

const TICKS: i64 = 40;
const TICK: i64 = 5;
const AT_A_TIME: i64 = 3;

impl Ticking for Manual {
    const NAME: &'static str = "vr.ManualTicks/v1";

    fn time(tick: i64, _: i64) -> i64 {
        tick * TICK
    }

    fn ticked(claims: &Claims<Ticks<Self>>, time: Timestamp) {
        claims.advance_watermark(time);
    }
}

impl Ticking for Monotonic {
    const NAME: &'static str = "vr.MonotonicTicks/v1";

    fn time(tick: i64, _: i64) -> i64 {
        tick * TICK
    }

    fn ticked(_: &Claims<Ticks<Self>>, _: Timestamp) {}
}

impl Ticking for WallTime {
    const NAME: &'static str = "vr.WallTicks/v1";

    fn time(_: i64, now: i64) -> i64 {
        now
    }

    fn ticked(_: &Claims<Ticks<Self>>, _: Timestamp) {}
}

impl<W: Ticking> Named for Ticks<W> {
    const NAME: &'static str = W::NAME;
}

impl<W: Ticking> Splittable for Ticks<W> {
    type In = i64;
    type Tracker = OffsetTracker;
    type Watermark = W;
    type Io = Out<Kv<i64, i64>>;

    const IS_BOUNDED: bool = false;

    fn initial(&self, _: &i64) -> Result<OffsetRange> {
        Ok(OffsetRange::new(0, TICKS))
    }

    fn process(
        &mut self,
        _: &i64,
        claims: &Claims<Self>,
        cx: &mut Cx<'_>,
        out: &mut Out<Kv<i64, i64>>,
    ) -> Result<Resume> {
        let start = claims.restriction().start;
        for tick in start..start + AT_A_TIME {
            if !claims.claim(tick) {
                return Ok(Resume::Done);
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let time = at(W::time(tick, i64::try_from(now.as_millis())?));
            out.emit_at(cx, time, Kv(0, tick));
            W::ticked(claims, time);
        }
        Ok(Resume::After(Duration::from_millis(10)))
    }
}

/// How many ticks a window has, and where it ends.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.WindowEnd/v1")]
struct WindowEnd;

#[derive(Ports)]
struct WindowEndIo {
    out: Out<Kv<i64, Kv<i64, i64>>>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for WindowEnd {
    type In = Kv<i64, Iter<i64>>;
    type Io = WindowEndIo;

    fn process(
        &mut self,
        Kv(key, ticks): Self::In,
        cx: &mut Cx<'_>,
        io: &mut WindowEndIo,
    ) -> Result {
        let count = i64::try_from(ticks.to_vec()?.len())?;
        let end = io.window.get()?.end.millis();
        io.out.emit(cx, Kv(key, Kv(end, count)));
        Ok(())
    }
}

/// How many ticks there were so far in windows that end in rising order.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "vr.InOrder/v1")]
struct InOrder;

#[derive(Ports)]
struct InOrderIo {
    out: Out<i64>,
    last: ValueState<i64>,
    ticks: ValueState<i64>,
}

impl DoFn for InOrder {
    type In = Kv<i64, Kv<i64, i64>>;
    type Io = InOrderIo;

    fn process(
        &mut self,
        Kv(_, Kv(end, count)): Self::In,
        cx: &mut Cx<'_>,
        io: &mut InOrderIo,
    ) -> Result {
        if let Some(last) = io.last.read()?.copied()
            && end <= last
        {
            return Err(Error::user(format!(
                "a window to {end} after one to {last}"
            )));
        }
        io.last.write(end)?;
        let ticks = count + io.ticks.read()?.copied().unwrap_or(0);
        io.ticks.write(ticks)?;
        if ticks == TICKS {
            io.out.emit(cx, ticks);
        }
        Ok(())
    }
}

fn windows_close_in_order<W: Ticking>(case: &mut Case, name: &str) {
    let ticks = Ticks::<W> {
        watermark: PhantomData,
    };
    let start = case
        .p
        .create_timestamped(&format!("{name} start"), [(at(0), 0i64)]);
    let windows = start
        .par_do_splittable(name, ticks)
        .window_into(
            &format!("{name} windows"),
            WindowFn::Fixed(FixedWindows::of(Duration::from_millis(50))),
        )
        .group_by_key(&format!("{name} groups"))
        .par_do(&format!("{name} ends"), WindowEnd);
    let all = windows
        .out
        .window_into(&format!("{name} all"), WindowFn::Global)
        .par_do(&format!("{name} in order"), InOrder);
    case.expect(&all.out).contains_in_any_order([TICKS]);
}

fn sdf_unbounded_watermark(case: &mut Case) {
    windows_close_in_order::<Manual>(case, "Manual");
    windows_close_in_order::<Monotonic>(case, "Monotonic");
    windows_close_in_order::<WallTime>(case, "Wall time");
}
