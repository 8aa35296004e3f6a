//! Where a bundle's input can be cut: pure arithmetic.

/// What the runner asks of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredSplit {
    /// How much of the remainder to keep: 0 to stop as soon as possible, 0.5 to halve it.
    pub fraction: f64,
    /// How many elements the runner means to send in all; 0 if it does not know.
    pub estimated_elements: i64,
    /// Indices of elements that may be the first residual one; empty if all may.
    pub allowed: Vec<i64>,
}

/// A cut between two elements of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSplit {
    /// The index of the last element that this bundle processes.
    pub last_primary: i64,
    /// The index of the first element that it does not.
    pub first_residual: i64,
}

/// Where to stop, given that element `index` is in hand (−1 before the first), and that the bundle already stops before
/// element `stop`. `None` if there is no better place.
pub(crate) fn stop_index(index: i64, stop: i64, desired: &DesiredSplit) -> Option<i64> {
    let end = desired.estimated_elements.max(index + 1).min(stop) as f64;
    // The element in hand cannot be cut, so half of it counts as done; before the first, there is none.
    let done = if index < 0 { 1.0 } else { 0.5 };
    let fraction = if desired.fraction.is_finite() {
        desired.fraction.clamp(0.0, 1.0)
    } else {
        return None;
    };
    let remainder = end - index as f64 - done;
    let keep = remainder * fraction;
    let wanted = index + ((done + keep).round() as i64).max(1);
    let cut = nearest(wanted, index, stop, &desired.allowed)?;
    (index < cut && cut < stop).then_some(cut)
}

/// The allowed index between `index` and `stop` that is nearest to `wanted`.
fn nearest(wanted: i64, index: i64, stop: i64, allowed: &[i64]) -> Option<i64> {
    if allowed.is_empty() {
        return Some(wanted);
    }
    allowed
        .iter()
        .copied()
        .filter(|k| index < *k && *k < stop)
        .min_by_key(|k| k.abs_diff(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(fraction: f64, estimated_elements: i64, allowed: &[i64]) -> DesiredSplit {
        DesiredSplit {
            fraction,
            estimated_elements,
            allowed: allowed.to_vec(),
        }
    }

    #[test]
    fn arithmetic() {
        for (index, stop, wish, expected) in [
            // As soon as possible: after the element in hand.
            (0, i64::MAX, desired(0.0, 16, &[]), Some(1)),
            (5, i64::MAX, desired(0.0, 16, &[]), Some(6)),
            (-1, i64::MAX, desired(0.0, 16, &[]), Some(0)),
            // Half of the rest.
            (-1, i64::MAX, desired(0.5, 16, &[]), Some(8)),
            (0, i64::MAX, desired(0.5, 16, &[]), Some(8)),
            (3, 10, desired(0.5, 16, &[]), Some(7)),
            // Nothing left to give away.
            (15, i64::MAX, desired(0.5, 16, &[]), Some(16)),
            (8, 9, desired(0.0, 16, &[]), None),
            // An unknown number of elements.
            (4, i64::MAX, desired(0.5, 0, &[]), Some(5)),
            // Only where allowed.
            (0, i64::MAX, desired(0.5, 16, &[2, 3, 12]), Some(12)),
            (0, i64::MAX, desired(0.5, 16, &[0]), None),
            (5, i64::MAX, desired(0.0, 16, &[2, 9]), Some(9)),
            (5, 9, desired(0.0, 16, &[2, 9]), None),
            (2, 12, desired(1.0, 16, &[5, 13]), Some(5)),
            (0, i64::MAX, desired(f64::NAN, 16, &[]), None),
        ] {
            assert_eq!(
                stop_index(index, stop, &wish),
                expected,
                "{index} {stop} {wish:?}"
            );
        }
    }
}
