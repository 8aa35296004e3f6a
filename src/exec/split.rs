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

/// At which fraction of its remainder to cut element `index`, which is in hand, if what the runner wants ends within it.
/// `done` is how much of the element is done, between 0 and 1; the bundle already stops before element `stop`.
///
/// The elements around a cut one go apart, so it must be allowed to part before it and behind it.
pub(crate) fn fraction_within(
    index: i64,
    stop: i64,
    done: f64,
    desired: &DesiredSplit,
) -> Option<f64> {
    let allowed = |k: i64| desired.allowed.is_empty() || desired.allowed.contains(&k);
    if index < 0 || index >= stop || !allowed(index) || !allowed(index + 1) {
        return None;
    }
    let keep = remainder(index, stop, done, desired) * fraction(desired)?;
    (keep < 1.0 - done).then(|| keep / (1.0 - done))
}

/// Where to stop, given that element `index` is in hand (−1 before the first), and that the bundle already stops before
/// element `stop`. `done` is how much of the element in hand is done. `None` if there is no better place.
pub(crate) fn stop_index(index: i64, stop: i64, done: f64, desired: &DesiredSplit) -> Option<i64> {
    // Before the first, there is none in hand.
    let done = if index < 0 { 1.0 } else { done };
    let keep = remainder(index, stop, done, desired) * fraction(desired)?;
    let wanted = index + ((done + keep).round() as i64).max(1);
    let cut = nearest(wanted, index, stop, &desired.allowed)?;
    (index < cut && cut < stop && !is_behind_all(cut, index, desired)).then_some(cut)
}

/// Whether a cut gives nothing away: it lies behind all that the runner means to send. A bundle that has more than that in
/// hand shows that the runner does not know.
fn is_behind_all(cut: i64, index: i64, desired: &DesiredSplit) -> bool {
    index < desired.estimated_elements && desired.estimated_elements <= cut
}

fn fraction(desired: &DesiredSplit) -> Option<f64> {
    let fraction = desired.fraction;
    fraction.is_finite().then(|| fraction.clamp(0.0, 1.0))
}

/// How many elements are left, of which the one in hand is a part.
fn remainder(index: i64, stop: i64, done: f64, desired: &DesiredSplit) -> f64 {
    let end = desired.estimated_elements.max(index + 1).min(stop) as f64;
    end - index as f64 - done
}

/// Where an element that is in several windows is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum WindowCut {
    /// At this fraction of what is left in the window in hand.
    Within(f64),
    /// Between the windows, so that this is the first residual one.
    Before(usize),
}

/// Where to cut an element of which `fraction` of what is left is to be kept, while window `window` is in hand, of which
/// `done` is done, and the element already stops before window `stop`.
pub(crate) fn window_cut(
    window: usize,
    stop: usize,
    done: f64,
    fraction: f64,
) -> Option<WindowCut> {
    let keep = ((stop - window) as f64 - done) * fraction;
    if keep < 1.0 - done {
        return Some(WindowCut::Within(keep / (1.0 - done)));
    }
    let first = window + ((done + keep).round() as usize).max(1);
    (first < stop).then_some(WindowCut::Before(first))
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
mod properties;

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
            (15, i64::MAX, desired(0.5, 16, &[]), None),
            (15, i64::MAX, desired(0.0, 16, &[]), None),
            (8, 9, desired(0.0, 16, &[]), None),
            // An unknown number of elements, or more than the runner expected.
            (16, i64::MAX, desired(0.0, 16, &[]), Some(17)),
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
                stop_index(index, stop, 0.5, &wish),
                expected,
                "{index} {stop} {wish:?}"
            );
        }
    }
}
