//! The one error type: what happened, where, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A result whose error is [`Error`].
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Runs code of users whose panics harm nobody. Yields nothing after one.
pub(crate) fn contained<R>(work: impl FnOnce() -> R) -> Option<R> {
    let thrown = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => return Some(result),
        Err(thrown) => thrown,
    };
    // Dropping what was thrown may throw again, and so on: the second is left where it is.
    let again = catch_unwind(AssertUnwindSafe(move || drop(thrown)));
    std::mem::forget(again);
    None
}

/// What kind of failure an [`Error`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Encoded bytes end before the value does. More input may cure it.
    Truncated,
    /// Encoded bytes, or a schema, break the rules of their coder.
    Decode,
    /// A bundle descriptor or pipeline proto that this worker cannot run.
    Descriptor,
    /// A function, or its saved configuration, that this worker does not know.
    Registry,
    /// User code returned an error.
    User,
    /// User code panicked.
    Panic,
    /// The runner refused or failed a state request.
    State,
    /// A stream or connection broke.
    Transport,
    /// The bundle was abandoned from outside.
    Cancelled,
    /// Options, flags or a transform's configuration are wrong.
    Config,
}

/// An error for the person on call: one sentence, the place, and the cause.
///
/// It is one word wide, so that `Result<()>` travels in a register. Every `std` error converts into it with `?`;
/// like other such types it therefore does not implement [`std::error::Error`] itself.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. The message is lower case, one sentence, and names the remedy where there is one.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// A [`ErrorKind::User`] error: for user code that wants to fail its bundle.
    #[cold]
    pub fn user(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::User, message)
    }

    /// A [`ErrorKind::Decode`] error.
    #[cold]
    pub fn decode(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Decode, message)
    }

    /// A [`ErrorKind::Descriptor`] error.
    #[cold]
    pub fn descriptor(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Descriptor, message)
    }

    /// A [`ErrorKind::Config`] error.
    #[cold]
    pub fn config(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Config, message)
    }

    /// A [`ErrorKind::Transport`] error.
    #[cold]
    pub fn transport(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Transport, message)
    }

    /// Names a place: `("transform", id)`, `("collection", id)`, `("instruction", id)`. The innermost value of a
    /// place wins: a caller that adds one that is already named changes nothing.
    #[must_use]
    pub fn at(mut self, place: &'static str, value: impl Into<String>) -> Self {
        if self.place(place).is_none() {
            self.0.context.push((place, value.into()));
        }
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence, without place and cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error that was the reason for this one.
    pub fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref();
        source.map(|source| source as &(dyn StdError + 'static))
    }

    /// The value of a place that [`Error::at`] named.
    pub fn place(&self, place: &str) -> Option<&str> {
        self.0
            .context
            .iter()
            .find(|(name, _)| *name == place)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (place, value)) in self.0.context.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            write!(f, "{place} {value:?}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        let mut cause = self.0.source.as_deref().map(|e| e as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    #[cold]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        if message.is_empty() {
            message = "an error without a message".into();
        }
        let mut cause = error.source();
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        Error::new(ErrorKind::User, message)
    }
}

/// Names a place on the error of a result.
pub trait Context<T> {
    /// See [`Error::at`].
    fn at(self, place: &'static str, value: impl Into<String>) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn at(self, place: &'static str, value: impl Into<String>) -> Result<T> {
        self.map_err(|e| e.at(place, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn says_place_and_cause() {
        let cause = "x".parse::<u8>().expect_err("not a number");
        let error = Error::descriptor("coder is missing; resubmit the pipeline")
            .at("transform", "a")
            .at("transform", "outer")
            .at("collection", "c")
            .because(cause);
        assert_eq!(
            error.to_string(),
            "coder is missing; resubmit the pipeline (transform \"a\", collection \"c\"): invalid digit found in string"
        );
        assert_eq!(error.kind(), ErrorKind::Descriptor);
    }

    #[test]
    fn any_std_error_converts() {
        let error: Error = "x".parse::<u8>().expect_err("not a number").into();
        assert_eq!(error.kind(), ErrorKind::User);
        assert_eq!(error.message(), "invalid digit found in string");
    }
}
