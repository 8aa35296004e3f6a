//! What holds for every cut, wherever a bundle is.

use super::{DesiredSplit, WindowCut, fraction_within, stop_index, window_cut};

const CASES: u64 = 20_000;

/// Random choices that a seed fixes: SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A bundle somewhere, and a wish.
struct Case {
    index: i64,
    stop: i64,
    done: f64,
    desired: DesiredSplit,
}

fn unit(random: &mut Random) -> f64 {
    match random.below(4) {
        0 => 0.0,
        1 => 1.0,
        _ => random.below(1001) as f64 / 1000.0,
    }
}

fn case(random: &mut Random) -> Case {
    let index = random.below(20) as i64 - 1;
    let stop = match random.percent(50) {
        true => i64::MAX,
        false => index.max(0) + random.below(20) as i64,
    };
    let allowed = match random.percent(40) {
        true => (0..30).filter(|_| random.percent(30)).collect(),
        false => Vec::new(),
    };
    Case {
        index,
        stop,
        // Only what cannot be cut any more is all done.
        done: unit(random).min(0.999),
        desired: DesiredSplit {
            fraction: unit(random),
            estimated_elements: random.below(30) as i64,
            allowed,
        },
    }
}

fn is_allowed(desired: &DesiredSplit, k: i64) -> bool {
    desired.allowed.is_empty() || desired.allowed.contains(&k)
}

/// How many elements a bundle keeps, cut as it would be.
fn kept(case: &Case) -> Option<f64> {
    let Case {
        index,
        stop,
        done,
        ref desired,
    } = *case;
    match fraction_within(index, stop, done, desired) {
        Some(fraction) => Some(index as f64 + done + fraction * (1.0 - done)),
        None => stop_index(index, stop, done, desired).map(|k| k as f64),
    }
}

#[test]
fn cuts_lie_where_they_may() {
    let mut random = Random::new(1);
    for _ in 0..CASES {
        let case = case(&mut random);
        let Case {
            index,
            stop,
            done,
            ref desired,
        } = case;
        if let Some(fraction) = fraction_within(index, stop, done, desired) {
            assert!((0.0..1.0).contains(&fraction), "{fraction}");
            assert!(0 <= index && index < stop);
            assert!(is_allowed(desired, index) && is_allowed(desired, index + 1));
        }
        if let Some(k) = stop_index(index, stop, done, desired) {
            assert!(index < k && k < stop, "{index} {k} {stop}");
            assert!(is_allowed(desired, k));
        }
    }
}

#[test]
fn as_soon_as_possible_is_at_once() {
    let mut random = Random::new(2);
    for _ in 0..CASES {
        let mut case = case(&mut random);
        case.desired.fraction = 0.0;
        case.desired.allowed.clear();
        let Case {
            index,
            stop,
            done,
            ref desired,
        } = case;
        let within = fraction_within(index, stop, done, desired);
        assert_eq!(within, (0 <= index && index < stop).then_some(0.0));
        let is_last = desired.estimated_elements == index + 1;
        let next = (index + 1 < stop && !is_last).then_some(index + 1);
        assert_eq!(stop_index(index, stop, done, desired), next);
    }
}

#[test]
fn a_larger_wish_keeps_no_less() {
    let mut random = Random::new(3);
    for _ in 0..CASES {
        let mut case = case(&mut random);
        case.desired.allowed.clear();
        let less = kept(&case);
        case.desired.fraction += (1.0 - case.desired.fraction) * unit(&mut random);
        let more = kept(&case);
        // A bundle that is not cut keeps all.
        let (less, more) = (less.unwrap_or(f64::MAX), more.unwrap_or(f64::MAX));
        assert!(less <= more + 1e-9, "{less} {more} at {}", case.index);
    }
}

#[test]
fn what_is_kept_is_what_was_wished_for_up_to_half_an_element() {
    let mut random = Random::new(4);
    for _ in 0..CASES {
        let mut case = case(&mut random);
        case.desired.allowed.clear();
        case.index = case.index.max(0);
        let Some(kept) = kept(&case) else { continue };
        let elements = case.desired.estimated_elements;
        let end = elements.max(case.index + 1).min(case.stop) as f64;
        let here = case.index as f64 + case.done;
        let wish = here + (end - here) * case.desired.fraction;
        assert!((kept - wish).abs() <= 0.5 + 1e-9, "{kept} {wish}");
    }
}

#[test]
fn no_cut_without_a_number() {
    for fraction in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let desired = DesiredSplit {
            fraction,
            estimated_elements: 10,
            allowed: vec![],
        };
        assert_eq!(fraction_within(0, i64::MAX, 0.5, &desired), None);
        assert_eq!(stop_index(0, i64::MAX, 0.5, &desired), None);
    }
}

#[test]
fn windows_are_cut_like_elements() {
    let mut random = Random::new(5);
    for _ in 0..CASES {
        let stop = 1 + random.below(6);
        let window = random.below(stop);
        let (done, fraction) = (unit(&mut random), unit(&mut random));
        let here = window as f64 + done;
        let wish = here + (stop as f64 - here) * fraction;
        match window_cut(window, stop, done, fraction) {
            Some(WindowCut::Within(part)) => {
                assert!((0.0..1.0).contains(&part));
                assert!((here + part * (1.0 - done) - wish).abs() < 1e-9);
            }
            Some(WindowCut::Before(first)) => {
                assert!(window < first && first < stop);
                assert!((first as f64 - wish).abs() <= 0.5 + 1e-9 || fraction == 0.0);
            }
            None => assert!(wish > stop as f64 - 1.0 || done == 1.0),
        }
    }
}
