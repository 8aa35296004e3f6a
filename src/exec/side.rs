//! Side inputs: their windows, and those whose coder on the runner's side has length prefixes that the view's coder has not.

use std::sync::Arc;

use bytes::Bytes;

use super::registry::Registry;
use crate::dofn::{EncodeKey, Reframe, SideAccess, SideReader, SideWindows};
use crate::element::{Coder, Input, Nesting, Pages, TranscodedPages, Transcoder, encoded};
use crate::error::Result;
use crate::model::descriptor::{EndOf, WindowFnSpec};
use crate::window::WindowFn;

/// A side input as a function declares it.
pub(super) struct SideForm {
    pub(super) tag: &'static str,
    pub(super) access: SideAccess,
    /// The coder of the view's elements.
    pub(super) own: Coder,
}

/// Finds the windows of a side input. `end_of` finds the end of a window of the main input.
pub(super) fn side_windows(
    window_fn: &WindowFnSpec,
    end_of: EndOf,
    registry: &Registry,
) -> Result<SideWindows> {
    Ok(match window_fn {
        WindowFnSpec::Standard(window_fn) => {
            let window_fn = *window_fn;
            Arc::new(move |main| match window_fn {
                WindowFn::Global => Ok(Bytes::new()),
                _ => Ok(match window_fn.side_window(end_of(main)?)? {
                    None => Bytes::new(),
                    Some(window) => encoded(&window, Nesting::Nested).into(),
                }),
            })
        }
        WindowFnSpec::Custom(function) => {
            let side = (registry.window_function(&function.name)?.side)(function)?;
            Arc::new(move |main| Ok(side(end_of(main)?)?.into()))
        }
    })
}

/// Lets a reader see values and keys in the form of their own types; `wire` is the collection's coder.
pub(super) fn with_framing(
    reader: SideReader,
    form: &SideForm,
    wire: &Coder,
) -> Result<SideReader> {
    match form.access {
        SideAccess::Iterable => Ok(reader.with_reframe(reframe(wire, &form.own)?)),
        SideAccess::Multimap => {
            let (own_key, own_value) = (form.own.component(0)?, form.own.component(1)?);
            let (wire_key, wire_value) = (wire.component(0)?, wire.component(1)?);
            let encode = Transcoder::between(own_key, wire_key)?.map(|to_wire| -> EncodeKey {
                Arc::new(move |key| {
                    let mut out = Vec::new();
                    to_wire.convert(
                        &mut Input::new(key),
                        Nesting::Nested,
                        &mut out,
                        Nesting::Nested,
                    )?;
                    Ok(out)
                })
            });
            let keys = reframe(wire_key, own_key)?;
            let entry =
                |key: &Coder, value: &Coder| Coder::kv(key.clone(), Coder::iterable(value.clone()));
            let entries = reframe(&entry(wire_key, wire_value), &entry(own_key, own_value))?;
            Ok(reader
                .with_reframe(reframe(wire_value, own_value)?)
                .with_keys(keys, encode)
                .with_entries(entries))
        }
    }
}

fn reframe(wire: &Coder, own: &Coder) -> Result<Option<Reframe>> {
    Ok(
        Transcoder::between(wire, own)?.map(|transcoder| -> Reframe {
            Arc::new(move |pages| -> Arc<dyn Pages> {
                Arc::new(TranscodedPages::new(pages, &transcoder))
            })
        }),
    )
}
