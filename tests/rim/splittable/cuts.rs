//! Elements that are cut while they are in hand.

use super::*;

/// A bundle whose only element is [0, 101), of which 0 to 39 are claimed.
fn at_39(
    runner: &FakeRunner,
    name: &str,
    then: impl Fn(&ferrobeam::testing::RunningBundle<'_>),
) -> Vec<i64> {
    let function = Numbers {
        wait: Some((39, name.into())),
        ..Numbers::default()
    };
    let stage = process(name, &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([part(0, 101)]).concat());
    Gate::named(name).expect(1);
    then(&bundle);
    Gate::named(name).open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.metrics.read_index("source"), Some(1));
    let mut all = outcome.values::<i64>("even");
    all.extend(outcome.values::<i64>("odd"));
    all.sort();
    all
}

fn assert_cut(split: &Split, primary: (i64, i64, f64), residual: (i64, i64, f64)) {
    assert_eq!(split.channel, Some((-1, 1)));
    assert_eq!(ranges(&split.primaries), [primary]);
    assert_eq!(ranges(&split.residuals), [residual]);
    assert_eq!(primary.2 + residual.2, 101.0);
}

#[test]
fn the_element_in_hand_is_halved() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "halved, splittable", |bundle| {
        let split = bundle.split_whole("source", 0.5, 1, &[]);
        assert_cut(&split, (0, 70, 70.0), (70, 101, 31.0));
        assert_eq!(split.residuals[0].watermarks["even"], Timestamp::MIN);
        assert!(split.residuals[0].is_bounded);
        assert_eq!(split.residuals[0].delay, Duration::ZERO);
    });
    assert_eq!(all, Vec::from_iter(0..70));
    runner.close();
}

#[test]
fn the_element_in_hand_stops_at_once() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "at once, splittable", |bundle| {
        let split = bundle.split_whole("source", 0.0, 1, &[]);
        assert_cut(&split, (0, 40, 40.0), (40, 101, 61.0));
        assert_eq!(bundle.split_whole("source", 0.0, 1, &[]), Split::default());
        assert_eq!(bundle.split_whole("source", 0.5, 1, &[]), Split::default());
    });
    assert_eq!(all, Vec::from_iter(0..40));
    runner.close();
}

#[test]
fn the_element_in_hand_is_cut_again_and_again() {
    let runner = FakeRunner::start(registry());
    let all = at_39(&runner, "again, splittable", |bundle| {
        let mut end = 101;
        while end > 41 {
            let split = bundle.split_whole("source", 0.5, 1, &[]);
            let (_, cut, _) = ranges(&split.primaries)[0];
            assert_eq!(split.channel, Some((-1, 1)));
            assert_eq!(ranges(&split.residuals)[0], (cut, end, (end - cut) as f64));
            assert!(cut < end && cut >= 40);
            end = cut;
        }
    });
    assert_eq!(all.len(), 40 + usize::from(all.last() == Some(&40)));
    runner.close();
}

#[test]
fn places_to_cut_may_be_forbidden() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        wait: Some((39, "forbidden, splittable".into())),
        ..Numbers::default()
    };
    let stage = process("forbidden, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    let input = [part(0, 101), part(200, 210), part(300, 310), part(400, 410)];
    bundle.send("source", in_global_window(input).concat());
    Gate::named("forbidden, splittable").expect(1);
    // Four elements less 40 of 101 positions are left; a quarter of that is more than what is left of the first.
    let split = bundle.split_whole("source", 0.25, 4, &[]);
    assert_eq!((split.channel, split.residuals), (Some((0, 1)), vec![]));
    let function = Numbers {
        wait: Some((39, "forbidden too, splittable".into())),
        ..Numbers::default()
    };
    Gate::named("forbidden, splittable").open();
    bundle.end_all();
    assert_eq!(bundle.wait().metrics.read_index("source"), Some(1));

    let stage = process("forbidden too, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send(
        "source",
        in_global_window([part(0, 101), part(200, 210)]).concat(),
    );
    Gate::named("forbidden too, splittable").expect(1);
    // Neither before the element nor behind it: then it cannot be cut.
    assert_eq!(bundle.split_whole("source", 0.0, 2, &[0]), Split::default());
    let split = bundle.split_whole("source", 0.0, 2, &[1]);
    assert_eq!((split.channel, split.residuals), (Some((0, 1)), vec![]));
    let split = bundle.split_whole("source", 0.0, 2, &[0, 1]);
    assert_eq!(split.channel, Some((-1, 1)));
    assert_eq!(ranges(&split.residuals), [(40, 101, 61.0)]);
    Gate::named("forbidden too, splittable").open();
    bundle.end_all();
    assert_eq!(bundle.wait().metrics.read_index("source"), Some(1));
    runner.close();
}

#[test]
fn a_finished_element_cannot_be_cut() {
    let runner = FakeRunner::start(registry());
    let function = Numbers {
        wait: Some((9, "finished, splittable".into())),
        ..Numbers::default()
    };
    let stage = process("finished, splittable", &function);
    let bundle = runner.bundle(&stage).start();
    bundle.send("source", in_global_window([part(0, 10)]).concat());
    Gate::named("finished, splittable").expect(1);
    for fraction in [0.0, 0.5, 1.0] {
        assert_eq!(
            bundle.split_whole("source", fraction, 1, &[]),
            Split::default()
        );
    }
    Gate::named("finished, splittable").open();
    bundle.end_all();
    let outcome = bundle.wait();
    assert_eq!(outcome.values::<i64>("even"), [0, 2, 4, 6, 8]);
    runner.close();
}

#[test]
fn progress_is_that_of_the_element_in_hand() {
    let runner = FakeRunner::start(registry());
    at_39(&runner, "progress, splittable", |bundle| {
        let work = bundle.progress().metrics.work("process").unwrap();
        assert_eq!((work.completed, work.remaining), (40.0, 61.0));
        bundle.split("source", 0.5, 1, &[]);
        let work = bundle.progress().metrics.work("process").unwrap();
        assert_eq!((work.completed, work.remaining), (40.0, 30.0));
    });
    runner.close();
}
