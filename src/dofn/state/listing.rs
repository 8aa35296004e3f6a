//! Lists of the map keys and of the entries of a cell.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use super::cells::Reach;
use super::runs::Rewrite;
use crate::dofn::StateKey;
use crate::element::{Element, Input, Nesting, Page, PagedReader, Pages};
use crate::error::Result;

/// One page, which is all there is.
pub(super) struct Whole(pub(super) Bytes);

impl Pages for Whole {
    fn page(&self, _token: &Bytes, _continuation: &Bytes) -> Result<Page> {
        Ok(Page {
            data: self.0.clone(),
            continuation: Bytes::new(),
        })
    }
}

/// Puts out a pair of the key and each value.
pub(super) fn put_entries<V: Element>(key: &[u8], values: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut input = Input::new(values).whole();
    while !input.is_empty() {
        let before = input.rest();
        V::skip(&mut input, Nesting::Nested)?;
        out.extend_from_slice(key);
        out.extend_from_slice(&before[..before.len() - input.remaining()]);
    }
    Ok(())
}

/// What is listed.
pub(super) enum Listed {
    Keys,
    /// Pairs of keys and values.
    Entries(Reach),
}

/// Makes a list of map keys, as the runner has them, one of keys or entries, as the bundle has left them.
pub(super) struct Listing<K, V> {
    /// Keys whose values the bundle has changed: those that are left.
    changed: BTreeMap<Bytes, Option<Arc<dyn Pages>>>,
    listed: Listed,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Element, V: Element> Listing<K, V> {
    /// A list in which the changed keys come last.
    pub(super) fn new(changed: BTreeMap<Bytes, Option<Arc<dyn Pages>>>, listed: Listed) -> Self {
        Listing {
            changed,
            listed,
            types: PhantomData,
        }
    }
}

fn put_all<V: Element>(key: &[u8], pages: &Arc<dyn Pages>, out: &mut Vec<u8>) -> Result<()> {
    let token = Bytes::new();
    let mut values = PagedReader::new(pages, &token);
    while let Some((run, _)) = values.next_run::<V>()? {
        put_entries::<V>(key, &run, out)?;
    }
    Ok(())
}

impl<K: Element, V: Element> Rewrite for Listing<K, V> {
    fn skip(&self, input: &mut Input<'_>) -> Result<()> {
        K::skip(input, Nesting::Nested)
    }

    fn each(&self, _cursor: &mut i64, key: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.changed.contains_key(key) {
            return Ok(());
        }
        match &self.listed {
            Listed::Keys => out.extend_from_slice(key),
            Listed::Entries(reach) => {
                let cell = reach.cell().clone();
                let pages = reach.pages(StateKey::MultimapUser(cell, Bytes::copy_from_slice(key)));
                let pages: Arc<dyn Pages> = Arc::new(pages);
                put_all::<V>(key, &pages, out)?;
            }
        }
        Ok(())
    }

    fn last(&self, _cursor: i64, out: &mut Vec<u8>) -> Result<()> {
        let left = self.changed.iter();
        for (key, pages) in left.filter_map(|(key, pages)| Some((key, pages.as_ref()?))) {
            match &self.listed {
                Listed::Keys => out.extend_from_slice(key),
                Listed::Entries(_) => put_all::<V>(key, pages, out)?,
            }
        }
        Ok(())
    }
}
