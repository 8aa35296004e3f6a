//! Functions that do as a test tells them.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrobeam::exec::Registry;
use ferrobeam::prelude::*;
use ferrobeam::testing::{Collection, Descriptor};
use serde::{Deserialize, Serialize};

/// How long a function may be held up: a test that fails to open its gate must not hang.
const LONGEST: Duration = Duration::from_secs(30);

/// A place where functions wait until the test lets them go on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Default)]
struct Passage {
    is_open: bool,
    arrived: usize,
}

impl Gate {
    /// The gate of a name, which tests do not share.
    pub(crate) fn named(name: &str) -> Self {
        static GATES: Mutex<Option<HashMap<String, Gate>>> = Mutex::new(None);
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let gates = gates.get_or_insert_default();
        gates.entry(name.to_owned()).or_default().clone()
    }

    /// Lets everybody go on, now and later.
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }

    /// Stops those that come from now on.
    pub(crate) fn shut(&self) {
        *self.0.0.lock().unwrap() = Passage::default();
    }

    fn wait_until(&self, done: impl Fn(&Passage) -> bool) -> bool {
        let (passage, changed) = &*self.0;
        let passage = passage.lock().unwrap();
        let (passage, _) = changed
            .wait_timeout_while(passage, LONGEST, |passage| !done(passage))
            .unwrap();
        done(&passage)
    }

    /// Waits until so many have come to the gate.
    pub(crate) fn expect(&self, count: usize) {
        assert!(
            self.wait_until(|passage| passage.arrived >= count),
            "nobody comes"
        );
    }

    /// Arrives, and keeps a core busy until the gate is open.
    fn spin(&self) -> Result {
        self.0.0.lock().unwrap().arrived += 1;
        self.0.1.notify_all();
        let start = Instant::now();
        while start.elapsed() < LONGEST {
            if self.0.0.lock().unwrap().is_open {
                return Ok(());
            }
            for n in 0..100_000 {
                std::hint::black_box(n);
            }
        }
        Err(Error::user("nobody opened the gate"))
    }

    /// How many have come to the gate.
    pub(crate) fn arrived(&self) -> usize {
        self.0.0.lock().unwrap().arrived
    }

    pub(crate) fn pass(&self) -> Result {
        self.0.0.lock().unwrap().arrived += 1;
        self.0.1.notify_all();
        if self.wait_until(|passage| passage.is_open) {
            Ok(())
        } else {
            Err(Error::user("nobody opened the gate"))
        }
    }
}

/// A moment in the life of a function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum At {
    Setup,
    Start,
    /// Any element.
    Elements,
    /// This element.
    Element(i64),
    Finish,
    Teardown,
    Drop,
}

/// What a function does at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// Waits at a gate.
    Wait(String),
    /// Returns an error.
    Fail,
    /// Keeps a core busy until a gate is open.
    Spin(String),
    /// Keeps a core busy for so many milliseconds.
    Work(u64),
    /// Waits at a gate, and then returns an error.
    WaitAndFail(String),
    /// Calls an address and waits until it hangs up: a gate for another process.
    Call(String),
    /// Does so, and then returns an error.
    CallAndFail(String),
    /// Panics with a text.
    Panic,
    /// Panics with a value that is not text.
    PanicAny,
    /// Panics with a value that panics again when it is dropped.
    PanicBadly,
    /// Panics, and again while that unwinds: nothing can save the process.
    PanicTwice,
    /// Asks nothing for something.
    Unwrap,
    /// Adds beyond the greatest number.
    Overflow,
    /// Reads beyond the end.
    Index,
    /// Logs a line.
    Log(String),
}

/// Passes numbers on, and does something at a moment.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Do/v1")]
pub(crate) struct Do {
    pub(crate) at: At,
    pub(crate) what: Deed,
    /// Only the instance of a worker does what it is told.
    #[serde(skip)]
    is_set_up: bool,
}

impl Do {
    pub(crate) fn new(at: At, what: Deed) -> Self {
        Do {
            at,
            what,
            is_set_up: false,
        }
    }

    /// Waits at a gate.
    pub(crate) fn wait(at: At, gate: &str) -> Self {
        Do::new(at, Deed::Wait(gate.into()))
    }

    fn now(&self, at: At) -> Result {
        if at != self.at || !self.is_set_up {
            return Ok(());
        }
        match &self.what {
            Deed::Wait(gate) => Gate::named(gate).pass()?,
            Deed::Spin(gate) => Gate::named(gate).spin()?,
            Deed::Work(millis) => {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(*millis) {
                    std::hint::spin_loop();
                }
            }
            Deed::WaitAndFail(gate) => {
                Gate::named(gate).pass()?;
                return Err(Error::user("told to fail"));
            }
            Deed::Call(address) => call(address)?,
            Deed::CallAndFail(address) => {
                call(address)?;
                return Err(Error::user("told to fail"));
            }
            Deed::Fail => return Err(Error::user("told to fail")),
            Deed::Panic => panic!("told to panic"),
            Deed::PanicAny => std::panic::panic_any(42u8),
            Deed::PanicBadly => std::panic::panic_any(Grenade),
            Deed::PanicTwice => {
                let _grenade = Grenade;
                panic!("told to panic twice");
            }
            Deed::Unwrap => {
                let nothing: Option<u8> = std::hint::black_box(None);
                std::hint::black_box(nothing.unwrap());
            }
            Deed::Overflow => {
                let most = std::hint::black_box(i32::MAX);
                std::hint::black_box(most + 1);
            }
            Deed::Index => {
                let none: Vec<u8> = std::hint::black_box(Vec::new());
                std::hint::black_box(none[7]);
            }
            Deed::Log(line) => tracing::info!("{line}"),
        }
        Ok(())
    }
}

/// Calls an address and waits until it hangs up.
fn call(address: &str) -> Result {
    let mut called = std::net::TcpStream::connect(address)?;
    called.set_read_timeout(Some(LONGEST))?;
    std::io::Read::read(&mut called, &mut [0])?;
    Ok(())
}

struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("told to panic when dropped");
    }
}

impl DoFn for Do {
    type In = i64;
    type Io = Out<i64>;

    fn setup(&mut self) -> Result {
        self.is_set_up = true;
        self.now(At::Setup)
    }

    fn start_bundle(&mut self, _out: &mut Out<i64>) -> Result {
        self.now(At::Start)
    }

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, out: &mut Out<i64>) -> Result {
        self.now(At::Elements)?;
        self.now(At::Element(n))?;
        out.emit(cx, n);
        Ok(())
    }

    fn finish_bundle(&mut self, _cx: &mut BundleCx, _out: &mut Out<i64>) -> Result {
        self.now(At::Finish)
    }

    fn teardown(&mut self) {
        let _ = self.now(At::Teardown);
    }
}

impl Drop for Do {
    fn drop(&mut self) {
        let _ = self.now(At::Drop);
    }
}

/// Adds the sum of a side input to each number.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Look/v1")]
pub(crate) struct Look;

#[derive(Ports)]
pub(crate) struct LookIo {
    out: Out<i64>,
    side: Side<List<i64>>,
}

impl DoFn for Look {
    type In = i64;
    type Io = LookIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut LookIo) -> Result {
        let mut sum = n;
        for value in &io.side.values()? {
            sum = sum.wrapping_add(value?);
        }
        io.out.emit(cx, sum);
        Ok(())
    }
}

pub(crate) fn doubled() -> Steps<i64, impl Step<i64, Out = i64>> {
    steps("rim.double/v1").map(|n: i64| n * 2)
}

/// As many zero bytes as the number says.
pub(crate) fn zeros() -> Steps<i64, impl Step<i64, Out = Vec<u8>>> {
    steps("rim.zeros/v1").map(|n: i64| vec![0; usize::try_from(n).unwrap_or(0)])
}

/// How many bytes there are.
pub(crate) fn sizes() -> Steps<Vec<u8>, impl Step<Vec<u8>, Out = i64>> {
    steps("rim.sizes/v1").map(|blob: Vec<u8>| blob.len() as i64)
}

/// Passes text on.
pub(crate) fn echo() -> Steps<String, impl Step<String, Out = String>> {
    steps("rim.echo/v1").map(|text: String| text)
}

pub(crate) fn swapped() -> Steps<Kv<i64, i64>, impl Step<Kv<i64, i64>, Out = Kv<i64, i64>>> {
    steps("rim.swap/v1").map(|Kv(a, b)| Kv(b, a))
}

/// All functions of the tests.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .add::<Do>()
        .add::<Look>()
        .add_steps(doubled)
        .add_steps(zeros)
        .add_steps(sizes)
        .add_steps(echo)
        .add_steps(swapped);
    registry
}

/// A stage that runs [`Do`] between a source and a sink.
pub(crate) fn doing(id: &str, what: Do) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let numbers = stage.source("source", i64::coder());
    let out = stage.par_do("do", &what, &numbers);
    stage.sink("sink", &out["output"]);
    stage
}

/// A stage that passes everything on.
pub(crate) fn passing<T: Element>(id: &str) -> Descriptor {
    let mut stage = Descriptor::new(id);
    let all: Collection = stage.source("source", T::coder());
    stage.sink("sink", &all);
    stage
}
