//! The timers of one function: records in, firings to its handlers, records out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::LocalTimers;
use crate::dofn::timer::TimerRules;
use crate::dofn::{Clock, Fired, Scope, TimeDomain};
use crate::element::{
    Coder, Firing, Header, Input, TimerCoding, TimerRecord, Timestamp, Transcoder, WindowBytes,
    WindowCoding,
};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::exec::activity::{Here, Phase};
use crate::exec::framing::Pieces;
use crate::exec::link::Outbox;
use crate::model::descriptor::TimerSpec;

/// Timers are sent once they are this many bytes.
const FLUSH_BYTES: usize = 1 << 20;

/// Calls the handlers of a function.
pub(crate) trait Fire: Send {
    /// A timer of a family has fired in a scope. `header` is that of what its handler emits; `moment` is its time, if that
    /// is event time.
    fn fire(
        &mut self,
        scope: &Scope<'_>,
        family: usize,
        fired: Fired<'_>,
        header: &Header,
        moment: Option<Timestamp>,
    ) -> Result<()>;
}

/// Where the timers of a function stand in its plan.
pub(crate) struct TimerPlace {
    pub(crate) here: Here,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The index of the first family's output.
    pub(crate) first_output: usize,
    pub(crate) rules: TimerRules,
}

/// One family.
struct Family {
    name: String,
    domain: TimeDomain,
    coding: TimerCoding,
    windows: WindowCoding,
    /// From keys of the timers to keys of the function's input, and back, where their coders differ.
    keys_in: Option<Pieces>,
    keys_out: Option<Pieces>,
    /// The start of a record whose end is in the next stretch.
    partial: Vec<u8>,
}

impl Family {
    fn new(spec: &TimerSpec, input_key: &Coder) -> Result<Self> {
        let key = spec.coder.component(0)?;
        Ok(Family {
            name: spec.family.clone(),
            domain: spec.domain,
            coding: TimerCoding::of(&spec.coder)?,
            windows: WindowCoding::of(spec.coder.component(1)?)?,
            keys_in: Transcoder::between(key, input_key)?.map(Pieces::new),
            keys_out: Transcoder::between(input_key, key)?.map(Pieces::new),
            partial: Vec::new(),
        })
    }
}

/// All timers of one function.
pub(crate) struct TimerStreams {
    families: Vec<Family>,
    local: Arc<Mutex<LocalTimers>>,
    function: Box<dyn Fire>,
    place: TimerPlace,
    /// Tells one timer from the next for those who look from outside.
    fired: u32,
}

impl TimerStreams {
    /// The timers of a function whose input has keys of the coder `input_key`. What it does to them goes to `local`.
    pub(crate) fn new(
        specs: &[TimerSpec],
        input_key: &Coder,
        local: Arc<Mutex<LocalTimers>>,
        function: Box<dyn Fire>,
        place: TimerPlace,
    ) -> Result<Self> {
        let families = specs
            .iter()
            .map(|spec| Family::new(spec, input_key).at("timer", &spec.family));
        Ok(TimerStreams {
            families: families.collect::<Result<_>>()?,
            local,
            function,
            place,
            fired: 0,
        })
    }

    fn local(&self) -> MutexGuard<'_, LocalTimers> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a bundle.
    pub(crate) fn start(&mut self) {
        self.local().clear();
        for family in &mut self.families {
            family.partial.clear();
        }
    }

    /// Takes a stretch of timers that have fired. A record may go on in the next stretch.
    pub(crate) fn feed(&mut self, family: usize, chunk: Bytes) -> Result<()> {
        let before = self.place.here.enter(Phase::Timers);
        let partial = &mut self.families[family].partial;
        let chunk = if partial.is_empty() {
            chunk
        } else {
            let mut joined = std::mem::take(partial);
            joined.extend_from_slice(&chunk);
            joined.into()
        };
        let mut input = Input::of_chunk(&chunk);
        while !input.is_empty() {
            let whole = chunk.len() - input.remaining();
            let coding = &self.families[family].coding;
            match TimerRecord::decode(&mut input, coding) {
                Ok(record) => self.deliver(family, &record)?,
                Err(error) if error.kind() == ErrorKind::Truncated => {
                    self.families[family].partial = chunk[whole..].to_vec();
                    break;
                }
                Err(error) => return Err(error.at("timer", &self.families[family].name)),
            }
        }
        self.place.here.leave(before);
        Ok(())
    }

    /// Fires a timer as the runner says, unless the bundle has overwritten it; first what the bundle has set to earlier.
    fn deliver(&mut self, family: usize, record: &TimerRecord) -> Result<()> {
        let Family {
            name,
            domain,
            windows,
            keys_in,
            ..
        } = &self.families[family];
        let domain = *domain;
        let Some(firing) = &record.firing else {
            return Err(
                Error::transport("the runner sent a timer that is cleared").at("timer", name)
            );
        };
        if record.windows.count() == 0 {
            let error = "the runner sent a timer that is in no window";
            return Err(Error::transport(error).at("timer", name));
        }
        let mut converted = Vec::new();
        let key = match keys_in {
            None => &record.key[..],
            Some(pieces) => {
                pieces.convert(&record.key, &mut converted)?;
                &converted
            }
        };
        for window in record.windows.split(windows)? {
            let scope = Scope { key, window };
            let clock = Timestamp::from_millis(self.place.clock.now_millis());
            loop {
                let due = self.local().take_due(&scope, domain, firing.at, clock);
                let Some(((family, tag), firing)) = due else {
                    break;
                };
                self.fire(&scope, family, &tag, &firing)?;
            }
            let overwritten = self.local().is_overwritten(&scope, family, &record.tag);
            if !overwritten {
                self.fire(&scope, family, &record.tag, firing)?;
            }
        }
        Ok(())
    }

    fn fire(&mut self, scope: &Scope<'_>, family: usize, tag: &str, firing: &Firing) -> Result<()> {
        let Family { name, domain, .. } = &self.families[family];
        let mut windows = WindowBytes::none();
        windows.push(scope.window);
        let header = Header {
            timestamp: emits_at(firing, *domain, scope.window, &self.place.rules)?,
            windows,
            pane: firing.pane,
            metadata: None,
        };
        let fired = Fired { at: firing.at, tag };
        self.fired = self.fired.wrapping_add(1);
        self.place.here.proceed(self.fired);
        let moment = (*domain == TimeDomain::EventTime).then_some(firing.at);
        let outcome = self.function.fire(scope, family, fired, &header, moment);
        outcome.at("timer", name)
    }

    /// Ends a bundle: tells the runner what it has done to timers, once for each timer.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let unfinished = self.families.iter().find(|f| !f.partial.is_empty());
        if let Some(family) = unfinished {
            self.place.here.enter(Phase::Finish);
            let error = "the timers end within a record".to_owned();
            return Err(Error::decode(error).at("timer", &family.name));
        }
        let local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = vec![Vec::new(); self.families.len()];
        for (scope, index, tag, firing) in local.writes() {
            let (family, buffer) = (&self.families[index], &mut buffers[index]);
            let key = match &family.keys_out {
                None => scope.key.to_vec(),
                Some(pieces) => {
                    let mut converted = Vec::new();
                    pieces.convert(scope.key, &mut converted)?;
                    converted
                }
            };
            let mut windows = WindowBytes::none();
            windows.push(scope.window);
            let record = TimerRecord {
                key: key.into(),
                tag: tag.into(),
                windows,
                firing: firing.copied(),
            };
            record.encode(buffer);
            if buffer.len() >= FLUSH_BYTES {
                let full = std::mem::take(buffer);
                let output = self.place.first_output + index;
                self.place.outbox.send(output, full.into())?;
            }
        }
        drop(local);
        for (index, buffer) in buffers.into_iter().enumerate() {
            let output = self.place.first_output + index;
            self.place.outbox.close(output, buffer.into())?;
        }
        self.local().clear();
        Ok(())
    }
}

/// The timestamp of what a timer's handler emits: its hold; or without one, the time that comes nearest and lies in the
/// window.
pub(crate) fn emits_at(
    firing: &Firing,
    domain: TimeDomain,
    window: &[u8],
    rules: &TimerRules,
) -> Result<Timestamp> {
    if firing.hold < Timestamp::MAX {
        return Ok(firing.hold);
    }
    let end = (rules.end_of)(window)?;
    Ok(match domain {
        TimeDomain::EventTime => firing.at.min(end),
        TimeDomain::ProcessingTime => end,
    })
}
