//! Ways to look at a side input.

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;

use super::lookups::Lookups;
use super::{SideAccess, SideReader, View};
use crate::element::{Element, Iter, Kv, Nesting, encoded};
use crate::error::{Error, Result};

/// A collection of exactly one value.
pub struct Single<T> {
    reader: SideReader,
    value: Option<Option<T>>,
}

impl<T: Element> Single<T> {
    /// The value.
    ///
    /// # Errors
    /// The collection is empty, has more than one value, or cannot be read.
    pub fn get(&mut self) -> Result<&T> {
        let side = self.reader.tag().to_owned();
        self.get_optional()?.ok_or_else(|| {
            Error::user(format!(
                "side input {side:?} is empty, but exactly one value is wanted; use get_optional"
            ))
        })
    }

    /// The value, if there is one.
    ///
    /// # Errors
    /// The collection has more than one value, or cannot be read.
    pub fn get_optional(&mut self) -> Result<Option<&T>> {
        if self.value.is_none() {
            let all = self.reader.all::<T>()?;
            let mut values = all.iter();
            let first = values.next().transpose()?;
            if values.next().is_some() {
                return Err(Error::user(format!(
                    "side input {:?} has more than one value, but exactly one is wanted; use List",
                    self.reader.tag()
                )));
            }
            self.value = Some(first);
        }
        Ok(self.value.as_ref().and_then(Option::as_ref))
    }
}

impl<T: Element> View for Single<T> {
    type Element = T;
    const ACCESS: SideAccess = SideAccess::Iterable;

    fn open(reader: SideReader) -> Self {
        Single {
            reader,
            value: None,
        }
    }

    fn reader(&mut self) -> &mut SideReader {
        &mut self.reader
    }

    fn forget(&mut self) {
        self.value = None;
    }
}

/// All values of a collection, in no particular order.
pub struct List<T> {
    reader: SideReader,
    values: PhantomData<fn() -> T>,
}

impl<T: Element> List<T> {
    /// The values; may be iterated any number of times within the bundle.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn values(&self) -> Result<Iter<T>> {
        self.reader.all()
    }
}

impl<T: Element> View for List<T> {
    type Element = T;
    const ACCESS: SideAccess = SideAccess::Iterable;

    fn open(reader: SideReader) -> Self {
        List {
            reader,
            values: PhantomData,
        }
    }

    fn reader(&mut self) -> &mut SideReader {
        &mut self.reader
    }

    fn forget(&mut self) {}
}

/// The most keys whose values a [`Map`] remembers within a window.
const REMEMBERED_KEYS: usize = 10_000;

/// One value for each key. Keys are looked up as those of a [`MultiMap`] are.
pub struct Map<K, V> {
    reader: SideReader,
    seen: HashMap<Vec<u8>, Option<V>>,
    lookups: Lookups<V>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Element, V: Element> Map<K, V> {
    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// The key has more than one value, or the side input cannot be read.
    pub fn get(&mut self, key: &K) -> Result<Option<&V>> {
        let bytes = encoded(key, Nesting::Nested);
        if !self.seen.contains_key(&bytes) {
            let all = self.lookups.find(&self.reader, key, &bytes)?;
            let mut values = all.iter();
            let first = values.next().transpose()?;
            if values.next().is_some() {
                return Err(Error::user(format!(
                    "side input {:?} has more than one value for a key; use MultiMap",
                    self.reader.tag()
                )));
            }
            if self.seen.len() >= REMEMBERED_KEYS {
                self.seen.clear();
            }
            self.seen.insert(bytes.clone(), first);
        }
        Ok(self.seen.get(&bytes).and_then(Option::as_ref))
    }

    /// The keys.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn keys(&self) -> Result<Iter<K>> {
        self.reader.keys()
    }
}

impl<K: Element, V: Element> View for Map<K, V> {
    type Element = Kv<K, V>;
    const ACCESS: SideAccess = SideAccess::Multimap;

    fn open(reader: SideReader) -> Self {
        Map {
            reader,
            seen: HashMap::new(),
            lookups: Lookups::default(),
            keys: PhantomData,
        }
    }

    fn reader(&mut self) -> &mut SideReader {
        &mut self.reader
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.lookups.forget();
    }
}

/// Any number of values for each key.
///
/// The first keys are asked for one by one. A function that looks up more within a window and bundle gets all at once,
/// if the runner can do that and they are not too many.
pub struct MultiMap<K, V> {
    reader: SideReader,
    lookups: RefCell<Lookups<V>>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Element, V: Element> MultiMap<K, V> {
    /// The values of `key`; none if it does not occur.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn get(&self, key: &K) -> Result<Iter<V>> {
        let bytes = encoded(key, Nesting::Nested);
        let mut lookups = self.lookups.borrow_mut();
        lookups.find(&self.reader, key, &bytes)
    }

    /// The distinct keys.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn keys(&self) -> Result<Iter<K>> {
        self.reader.keys()
    }
}

impl<K: Element, V: Element> View for MultiMap<K, V> {
    type Element = Kv<K, V>;
    const ACCESS: SideAccess = SideAccess::Multimap;

    fn open(reader: SideReader) -> Self {
        MultiMap {
            reader,
            lookups: RefCell::default(),
            keys: PhantomData,
        }
    }

    fn reader(&mut self) -> &mut SideReader {
        &mut self.reader
    }

    fn forget(&mut self) {
        self.lookups.get_mut().forget();
    }
}
