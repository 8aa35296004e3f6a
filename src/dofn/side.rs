//! Side inputs: small collections that a function can look things up in.

use std::sync::Arc;

use bytes::Bytes;

use super::{Describe, Port, Scope, SideKey, StateKey, StatePort, Wiring};
use crate::element::{Element, Iter, Kv, Nesting, Page, Pages, encoded};
use crate::error::{Error, Result};

/// How the runner must be able to look things up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideAccess {
    /// All values, in order.
    Iterable,
    /// The values of one key.
    Multimap,
}

/// A way to look at a collection: [`Single`](super::Single), [`List`](super::List), [`MapView`](super::MapView) or
/// [`MultiMap`](super::MultiMap).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a view of a side input",
    label = "not a view",
    note = "use Single<T>, List<T>, MapView<K, V> or MultiMap<K, V>"
)]
pub trait View: Sized + Send + 'static {
    /// The elements of the collection.
    type Element: Element;
    /// How it is looked up.
    const ACCESS: SideAccess;

    /// The view of a side input.
    fn open(reader: SideReader) -> Self;

    /// The reader, to be moved from window to window.
    fn reader(&mut self) -> &mut SideReader;

    /// Forgets what was read in another window or bundle.
    fn forget(&mut self);
}

/// A port that holds a view of a side input.
pub struct Side<V>(V);

impl<V> std::ops::Deref for Side<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0
    }
}

impl<V> std::ops::DerefMut for Side<V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.0
    }
}

impl<F: ?Sized, V: View> Port<F> for Side<V> {
    const OBSERVES_WINDOWS: bool = true;

    fn wire(wiring: &mut Wiring<'_>, name: &'static str) -> Result<Self> {
        Ok(Side(V::open(wiring.side(name)?)))
    }

    fn describe<D: Describe>(describe: &mut D, name: &'static str) {
        describe.side::<V>(name);
    }

    fn start(&mut self) -> Result<()> {
        self.0.reader().leave();
        self.0.forget();
        Ok(())
    }

    fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
        if self.0.reader().enter(scope.window)? {
            self.0.forget();
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.0.reader().leave();
        self.0.forget();
    }
}

/// Makes pages of one form from pages of another, where the runner's coder has length prefixes that ours has not.
pub type Reframe = Arc<dyn Fn(Arc<dyn Pages>) -> Arc<dyn Pages> + Send + Sync>;

/// Turns one of our encoded keys into the runner's form.
pub type EncodeKey = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// Finds the encoded window of a side input that belongs to an encoded window of the main input.
pub type SideWindows = Arc<dyn Fn(&[u8]) -> Result<Bytes> + Send + Sync>;

/// Keys, each with its values.
type Grouped<K, V> = Iter<Kv<K, Iter<V>>>;

/// Reads a side input in the window that belongs to the element in hand.
pub struct SideReader {
    state: Arc<dyn StatePort>,
    key: SideKey,
    /// The encoded main window that `key.window` was mapped from.
    main: Option<Vec<u8>>,
    windows: SideWindows,
    /// For values, and for keys where there are any.
    reframe: Option<Reframe>,
    reframe_keys: Option<Reframe>,
    encode_key: Option<EncodeKey>,
    /// For pairs of a key and an iterable of its values.
    reframe_entries: Option<Reframe>,
}

impl SideReader {
    /// A reader of the side input `side` of `transform`, in the windows that `windows` finds.
    pub fn new(
        state: Arc<dyn StatePort>,
        transform: Arc<str>,
        side: &str,
        windows: SideWindows,
    ) -> Self {
        let key = SideKey {
            transform,
            side: side.into(),
            window: Bytes::new(),
        };
        SideReader {
            state,
            key,
            main: None,
            windows,
            reframe: None,
            reframe_keys: None,
            encode_key: None,
            reframe_entries: None,
        }
    }

    /// Reads values through `reframe`.
    #[must_use]
    pub fn with_reframe(mut self, values: Option<Reframe>) -> Self {
        self.reframe = values;
        self
    }

    /// Lists keys through `reframe`, and looks them up through `encode`.
    #[must_use]
    pub fn with_keys(mut self, reframe: Option<Reframe>, encode: Option<EncodeKey>) -> Self {
        self.reframe_keys = reframe;
        self.encode_key = encode;
        self
    }

    /// Reads whole multimaps through `reframe`.
    #[must_use]
    pub fn with_entries(mut self, reframe: Option<Reframe>) -> Self {
        self.reframe_entries = reframe;
        self
    }

    fn leave(&mut self) {
        self.main = None;
    }

    /// Goes to the window that belongs to a main window; whether that is another one than before.
    fn enter(&mut self, main: &[u8]) -> Result<bool> {
        if self.main.as_deref() == Some(main) {
            return Ok(false);
        }
        let window = (self.windows)(main)?;
        let moved = self.main.is_none() || window != self.key.window;
        self.key.window = window;
        self.main = Some(main.to_vec());
        Ok(moved)
    }

    /// The side input's local name.
    pub fn tag(&self) -> &str {
        &self.key.side
    }

    fn check(&self) -> Result<()> {
        if self.main.is_some() {
            return Ok(());
        }
        Err(Error::user(format!(
            "side input {:?} can only be read within `process`",
            self.key.side
        )))
    }

    fn pages(&self, key: StateKey, reframe: Option<&Reframe>) -> Arc<dyn Pages> {
        let pages: Arc<dyn Pages> = Arc::new(KeyPages {
            state: self.state.clone(),
            key,
        });
        match reframe {
            None => pages,
            Some(reframe) => reframe(pages),
        }
    }

    /// All values of an iterable side input.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn all<T: Element>(&self) -> Result<Iter<T>> {
        self.check()?;
        Ok(Iter::paged(self.pages(
            StateKey::IterableSide(self.key.clone()),
            self.reframe.as_ref(),
        )))
    }

    /// The values of one key of a multimap side input.
    ///
    /// # Errors
    /// Read outside of `process`, or a key that the runner's coder cannot hold.
    pub fn of_key<K: Element, V: Element>(&self, key: &K) -> Result<Iter<V>> {
        self.check()?;
        let mut bytes = encoded(key, Nesting::Nested);
        if let Some(encode) = &self.encode_key {
            bytes = encode(&bytes)?;
        }
        let key = StateKey::MultimapSide(self.key.clone(), bytes.into());
        Ok(Iter::paged(self.pages(key, self.reframe.as_ref())))
    }

    /// The distinct keys of a multimap side input.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn keys<K: Element>(&self) -> Result<Iter<K>> {
        self.check()?;
        let key = StateKey::MultimapKeysSide(self.key.clone());
        Ok(Iter::paged(self.pages(key, self.reframe_keys.as_ref())))
    }

    /// All keys of a multimap side input with their values; `None` where the runner has no such answer.
    ///
    /// # Errors
    /// Read outside of `process`.
    pub fn entries<K: Element, V: Element>(&self) -> Result<Option<Grouped<K, V>>> {
        self.check()?;
        if !self.state.has_whole_multimaps() {
            return Ok(None);
        }
        let key = StateKey::MultimapEntriesSide(self.key.clone());
        let pages = self.pages(key, self.reframe_entries.as_ref());
        Ok(Some(Iter::paged(pages)))
    }
}

/// The pages behind one state key.
struct KeyPages {
    state: Arc<dyn StatePort>,
    key: StateKey,
}

impl Pages for KeyPages {
    fn page(&self, _token: &Bytes, continuation: &Bytes) -> Result<Page> {
        self.state.get(&self.key, continuation)
    }

    fn prefetch(&self, _token: &Bytes, continuation: &Bytes) {
        self.state.prefetch(&self.key, continuation);
    }
}
