//! What a function keeps on a bench, looked at from outside.

use super::DoFnTester;
use super::dofn_tester::Needs;
use crate::dofn::timer::KeyOf;
use crate::dofn::{DoFn, MetricSet, Port, Ports, Scope, Wiring};
use crate::element::{Keyed, Nesting, WindowCoding, encoded};
use crate::error::{Error, Result};
use crate::pipeline::protocol;

impl<F: DoFn<In: Keyed>> DoFnTester<F> {
    /// Uses state of the function between two bundles: to see what was kept, or to prepare what the next bundle finds.
    ///
    /// `name` is that of the port, and `P` its type. The state is that of `key` in the window of an element at the
    /// tester's time; if there are several, in the first.
    ///
    /// ```
    /// use ferrobeam::prelude::*;
    /// use ferrobeam::testing::DoFnTester;
    ///
    /// /// Adds up what each customer owes.
    /// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
    /// #[beam(name = "shop.Owes/v1")]
    /// struct Owes;
    ///
    /// #[derive(Ports)]
    /// struct OwesIo {
    ///     sum: ValueState<i64>,
    /// }
    ///
    /// impl DoFn for Owes {
    ///     type In = Kv<String, i64>;
    ///     type Io = OwesIo;
    ///
    ///     fn process(&mut self, Kv(_, n): Self::In, _: &mut Cx, io: &mut OwesIo) -> Result {
    ///         let sum = io.sum.read()?.copied().unwrap_or(0);
    ///         io.sum.write(sum + n)
    ///     }
    /// }
    ///
    /// let ada = "Ada".to_owned();
    /// let mut tester = DoFnTester::of(Owes);
    /// tester.state("sum", &ada, |sum: &mut ValueState<i64>| sum.write(40))?;
    /// tester.run([Kv(ada.clone(), 2)])?;
    /// let sum = tester.state("sum", &ada, |sum: &mut ValueState<i64>| Ok(sum.read()?.copied()))?;
    /// assert_eq!(sum, Some(42));
    /// # Ok::<(), ferrobeam::Error>(())
    /// ```
    ///
    /// # Errors
    /// The function has no such state, or the errors of `work`.
    pub fn state<P: Port<F>, R>(
        &mut self,
        name: &'static str,
        key: &KeyOf<F>,
        work: impl FnOnce(&mut P) -> Result<R>,
    ) -> Result<R> {
        let (mut has, mut wants) = (Needs::default(), Needs::default());
        F::Io::describe(&mut has);
        P::describe(&mut wants, name);
        let [(_, kind)] = &wants.states[..] else {
            return Err(Error::user(format!("port {name:?} is no state")));
        };
        if !has.states.contains(&(name, kind.clone())) {
            return Err(Error::user(format!(
                "the function has no state {name:?} of {kind:?}"
            )));
        }

        let services = self.services();
        let mut metrics = MetricSet::default();
        let mut wiring = Wiring::new("test", "test", &mut metrics, &services);
        wiring.add_state(name, protocol(kind, self.keeping));
        let mut port = P::wire(&mut wiring, name)?;

        let coding = WindowCoding::of(&self.windowing.coder())?;
        let windows = self.windows(self.timestamp);
        let mut windows = windows.split(&coding)?.into_iter();
        let window = windows.next().ok_or_else(|| {
            Error::user(
                "an element at the tester's time would be in no window; choose another time",
            )
        })?;
        let key = encoded(key, Nesting::Nested);
        port.start()?;
        port.enter(&Scope { key: &key, window })?;
        let outcome = work(&mut port)?;
        port.leave();
        port.finish()?;
        Ok(outcome)
    }
}
