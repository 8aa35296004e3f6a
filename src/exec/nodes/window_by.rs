//! Nodes of window functions of users.

use super::window::{Merger, merger};
use crate::dofn::{Consumer, Meter, WindowFunction};
use crate::element::{Element, Header, Nesting, Pane, Timestamp};
use crate::error::{Context, Result};
use crate::exec::activity::{Here, Phase};
use crate::exec::edge::{AnyLink, erase, unbox};
use crate::exec::flow::{FlowLink, Typed};

/// Where a window function stands in its plan.
pub(crate) struct WindowPlace {
    pub(crate) here: Here,
    /// Counts the collection that comes out.
    pub(crate) meter: Meter,
}

/// Puts elements into the windows of a user's function.
struct AssignBy<W: WindowFunction> {
    function: W,
    place: WindowPlace,
    link: FlowLink<Typed<W::In>>,
    header: Header,
    windows: Vec<W::Window>,
    scratch: Vec<u8>,
}

/// The node that assigns windows, in front of the link for its output.
pub(crate) fn assign_by<W: WindowFunction>(
    function: W,
    place: WindowPlace,
    link: AnyLink,
) -> Result<AnyLink> {
    Ok(erase::<Typed<W::In>>(Box::new(AssignBy {
        function,
        place,
        link: unbox::<Typed<W::In>>(link)?,
        header: Header::global(Timestamp::MIN),
        windows: Vec::new(),
        scratch: Vec::new(),
    })))
}

impl<W: WindowFunction> Consumer<W::In> for AssignBy<W> {
    fn start(&mut self) -> Result<()> {
        self.link.start()
    }

    fn consume(&mut self, header: &Header, element: W::In) -> Result<()> {
        let before = self.place.here.enter(Phase::Process);
        self.windows.clear();
        self.function
            .assign(&element, header.timestamp, &mut self.windows)
            .at("step", "assign")?;
        self.place.here.leave(before);
        // An element in no window is in no collection.
        if self.windows.is_empty() {
            return Ok(());
        }
        self.header.windows.clear();
        for window in &self.windows {
            self.scratch.clear();
            window.encode(&mut self.scratch, Nesting::Nested);
            self.header.windows.push(&self.scratch);
        }
        self.header.timestamp = header.timestamp;
        self.header.pane = Pane::NO_FIRING;
        self.header.metadata.clone_from(&header.metadata);
        super::count(&self.place.meter);
        self.link.consume(&self.header, element)
    }

    fn finish(&mut self) -> Result<()> {
        self.link.finish()
    }
}

/// Merges windows by a user's function.
pub(crate) fn merge_by<W: WindowFunction>(function: W) -> Merger {
    merger(move |windows: Vec<W::Window>| {
        let mut merged = function.merge(windows.clone()).at("step", "merge")?;
        // A window that replaces only itself, or that is left out, stays alone.
        merged.retain(|(into, from)| from.len() > 1 || from.iter().any(|window| window != into));
        let replaced = |window: &W::Window| merged.iter().any(|(_, from)| from.contains(window));
        let alone = windows.into_iter().filter(|window| !replaced(window));
        Ok((alone.collect(), merged))
    })
}
