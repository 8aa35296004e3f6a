//! Assertions about elements.

use std::fmt::Debug;

use crate::element::{Element, Input, Layout, Nesting, encoded};
use crate::error::{Error, Result};

/// Asserts that the elements are the expected ones, each as often as expected, in any order.
///
/// ```
/// ferrobeam::testing::assert_in_any_order([3, 1, 2], [1, 2, 3]);
/// ```
///
/// # Panics
/// They are not; the message lists what is missing and what was not expected.
#[track_caller]
pub fn assert_in_any_order<A, E>(
    elements: impl IntoIterator<Item = A>,
    expected: impl IntoIterator<Item = E>,
) where
    A: PartialEq<E> + Debug,
    E: Debug,
{
    let mut missing: Vec<E> = expected.into_iter().collect();
    let mut unexpected = Vec::new();
    for element in elements {
        match missing.iter().position(|wanted| element == *wanted) {
            Some(found) => drop(missing.swap_remove(found)),
            None => unexpected.push(element),
        }
    }
    assert!(
        missing.is_empty() && unexpected.is_empty(),
        "the elements are not the expected ones\n   missing: {missing:?}\nunexpected: {unexpected:?}"
    );
}

/// Asserts that each value survives its coder: nested and not, among other bytes, and as the coder's name promises.
///
/// ```
/// use ferrobeam::Kv;
///
/// ferrobeam::testing::assert_round_trip([Kv("tea".to_owned(), 4.0), Kv(String::new(), -0.5)]);
/// ```
///
/// # Panics
/// One does not; the message says which, and why.
#[track_caller]
pub fn assert_round_trip<T: Element + PartialEq + Debug>(values: impl IntoIterator<Item = T>) {
    for value in values {
        for at in [Nesting::Nested, Nesting::Outer] {
            if let Err(error) = round_trip(&value, at) {
                panic!("{value:?} does not survive its coder ({at:?}): {error}");
            }
        }
    }
}

fn round_trip<T: Element + PartialEq + Debug>(value: &T, at: Nesting) -> Result<()> {
    /// What follows a nested value must be left alone.
    const AFTER: &[u8] = b"\xff\x00after";
    let alone = encoded(value, at);
    let mut bytes = alone.clone();
    let after = match at {
        Nesting::Nested => AFTER,
        Nesting::Outer => &[],
    };
    bytes.extend_from_slice(after);
    let ends_well = |what: &str, input: &Input<'_>| {
        if input.rest() == after {
            return Ok(());
        }
        Err(Error::decode(format!(
            "{what} takes {} of {} bytes",
            bytes.len() - input.remaining(),
            alone.len()
        )))
    };

    let mut input = Input::new(&bytes);
    let decoded = T::decode(&mut input, at)?;
    if decoded != *value {
        return Err(Error::decode(format!("it comes back as {decoded:?}")));
    }
    ends_well("decoding", &input)?;

    let mut input = Input::new(&bytes);
    T::skip(&mut input, at)?;
    ends_well("skipping", &input)?;

    let coder = T::coder();
    if !coder.urn.starts_with("beam:")
        && encoded(value, Nesting::Outer) != encoded(value, Nesting::Nested)
    {
        return Err(Error::decode(
            "a coder of one's own must not tell nested values from others",
        ));
    }
    // Custom coders have no layout that others know.
    if let Ok(layout) = Layout::of(&coder) {
        let mut input = Input::new(&bytes);
        layout.skip(&mut input, at)?;
        ends_well(&format!("the coder {coder}"), &input)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kv;
    use crate::element::{Coder, coder::urn};

    #[test]
    fn elements_are_counted() {
        let failure = std::panic::catch_unwind(|| assert_in_any_order([1, 1, 2, 4], [1, 2, 2, 3]))
            .expect_err("they differ");
        assert_eq!(
            failure.downcast_ref::<String>().expect("a message"),
            "the elements are not the expected ones\n   missing: [3, 2]\nunexpected: [1, 4]"
        );
    }

    /// Says it is a varint, but writes one byte.
    #[derive(Debug, Clone, PartialEq)]
    struct Liar(u8);

    impl Element for Liar {
        fn coder() -> Coder {
            Coder::standard(urn::VARINT, [])
        }

        fn encode(&self, out: &mut Vec<u8>, _at: Nesting) {
            out.push(self.0);
        }

        fn decode(input: &mut Input<'_>, _at: Nesting) -> Result<Self> {
            input.byte().map(Liar)
        }
    }

    #[test]
    fn bytes_are_what_the_coder_says() {
        assert_round_trip([Kv(Some(1i64), vec![String::from("a")])]);
        assert_round_trip([Liar(5)]);
        let error = round_trip(&Liar(200), Nesting::Nested).expect_err("two bytes of a varint");
        assert_eq!(error.to_string(), "the coder varint takes 3 of 1 bytes");
    }
}
