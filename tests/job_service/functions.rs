//! Functions of the tests.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use ferrobeam::Row;
use ferrobeam::dofn::{Step, Steps, steps};
use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::window::{IntervalWindow, Window};
use serde::{Deserialize, Serialize};

/// All functions.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add::<Stamp>()
        .add::<Price>()
        .add::<Fail>()
        .add::<Block>()
        .add::<WithWindow>()
        .add_steps(show)
        .add_steps(show_pair)
        .add_steps(show_group)
        .add_steps(ones)
        .add_steps(show_item);
    registry
}

pub(crate) fn show() -> Steps<i64, impl Step<i64, Out = String>> {
    steps("test.show/v1").map(|n: i64| n.to_string())
}

pub(crate) fn show_pair() -> Steps<Kv<String, i64>, impl Step<Kv<String, i64>, Out = String>> {
    steps("test.show_pair/v1").map(|Kv(k, v)| format!("{k}={v}"))
}

type Group = Kv<String, Iter<i64>>;

pub(crate) fn show_group() -> Steps<Group, impl Step<Group, Out = String>> {
    steps("test.show_group/v1").try_map(|Kv(key, values): Group| {
        let mut values = values.iter().collect::<Result<Vec<_>>>()?;
        values.sort();
        Ok(format!("{key}={values:?}"))
    })
}

/// Pairs of words and one.
pub(crate) fn ones() -> Steps<String, impl Step<String, Out = Kv<String, i64>>> {
    steps("test.ones/v1").map(|word: String| Kv(word, 1))
}

/// Gives each number the timestamp of as many milliseconds.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Stamp/v1")]
pub(crate) struct Stamp;

impl DoFn for Stamp {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        out.emit_at(cx, Timestamp::from_millis(n), n);
        Ok(())
    }
}

/// Shows numbers and the ends of their windows.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.WithWindow/v1")]
pub(crate) struct WithWindow;

#[derive(Ports)]
pub(crate) struct WithWindowIo {
    pub(crate) shown: Out<String>,
    window: InWindow<IntervalWindow>,
}

impl DoFn for WithWindow {
    type In = i64;
    type Io = WithWindowIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut WithWindowIo) -> Result {
        let end = io.window.get()?.max_timestamp().millis();
        let at = cx.timestamp().millis();
        io.shown.emit(cx, format!("{n} at {at} until {end}"));
        Ok(())
    }
}

/// Prices orders. Unknown items go to `rejected`.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Price/v1")]
pub(crate) struct Price {
    pub(crate) factor: i64,
}

#[derive(Ports)]
pub(crate) struct PriceIo {
    pub(crate) priced: Out<Kv<String, i64>>,
    pub(crate) rejected: Out<String>,
    rates: Side<MapView<String, i64>>,
    discounts: Side<MultiMap<String, i64>>,
    bonus: Side<Single<i64>>,
    banned: Side<List<String>>,
    orders: Counter,
    amounts: Distribution,
}

impl DoFn for Price {
    type In = Kv<String, i64>;
    type Io = PriceIo;

    fn process(&mut self, order: Self::In, cx: &mut Cx<'_>, io: &mut PriceIo) -> Result {
        let Kv(item, amount) = order;
        io.orders.add(1);
        io.amounts.add(amount);
        for banned in &io.banned.values()? {
            if banned? == item {
                io.rejected.emit(cx, format!("{item} is banned"));
                return Ok(());
            }
        }
        let Some(rate) = io.rates.get(&item)?.copied() else {
            io.rejected.emit(cx, format!("{item} is unknown"));
            return Ok(());
        };
        let mut price = amount * rate * self.factor + *io.bonus.get()?;
        for discount in &io.discounts.get(&item)? {
            price -= discount?;
        }
        io.priced.emit(cx, Kv(item, price));
        Ok(())
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Row)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) count: i64,
}

pub(crate) fn show_item() -> Steps<Item, impl Step<Item, Out = String>> {
    steps("test.show_item/v1").map(|item: Item| format!("{} x {}", item.count, item.name))
}

/// How far [`Block`] is.
#[derive(PartialEq)]
enum Blocked {
    NotYet,
    Now,
    Released,
}

static BLOCKED: (Mutex<Blocked>, Condvar) = (Mutex::new(Blocked::NotYet), Condvar::new());

fn set(blocked: Blocked) {
    *BLOCKED.0.lock().unwrap() = blocked;
    BLOCKED.1.notify_all();
}

/// Waits until `enough`, for at most a minute.
fn wait(enough: impl Fn(&Blocked) -> bool) {
    let blocked = BLOCKED.0.lock().unwrap();
    let limit = Duration::from_secs(60);
    let (_blocked, waited) = BLOCKED
        .1
        .wait_timeout_while(blocked, limit, |blocked| !enough(blocked))
        .unwrap();
    assert!(!waited.timed_out());
}

/// Waits until [`Block`] has an element.
pub(crate) fn wait_for_block() {
    wait(|blocked| *blocked == Blocked::Now);
}

/// Lets [`Block`] go on.
pub(crate) fn release() {
    set(Blocked::Released);
}

/// Keeps an element until it is [released](release).
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Block/v1")]
pub(crate) struct Block;

impl DoFn for Block {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        set(Blocked::Now);
        wait(|blocked| *blocked == Blocked::Released);
        out.emit(cx, n);
        Ok(())
    }
}

/// Fails.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "test.Fail/v1")]
pub(crate) struct Fail;

impl DoFn for Fail {
    type In = i64;
    type Io = Out<i64>;

    fn process(&mut self, n: i64, _cx: &mut Cx<'_>, _out: &mut Out<i64>) -> Result {
        Err(Error::user(format!("number {n} is not liked here")))
    }
}
