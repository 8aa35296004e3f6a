//! Side inputs whose coder on the runner's side has length prefixes that the view's coder has not.

use std::sync::Arc;

use crate::dofn::{EncodeKey, Reframe, SideAccess, SideReader};
use crate::element::{Coder, Input, Nesting, Pages, TranscodedPages, Transcoder};
use crate::error::Result;

/// A side input as a function declares it.
pub(super) struct SideForm {
    pub(super) tag: &'static str,
    pub(super) access: SideAccess,
    /// The coder of the view's elements.
    pub(super) own: Coder,
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
            Ok(reader
                .with_reframe(reframe(wire_value, own_value)?)
                .with_keys(keys, encode))
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
