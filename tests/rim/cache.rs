//! What a worker remembers of the runner's state from one bundle to the next.

use std::collections::BTreeMap;

use ferrobeam::element::{Nesting, encoded};
use ferrobeam::prelude::*;
use ferrobeam::testing::{
    Descriptor, FakeRunner, Random, StateTerms, Write, bag_key, in_global_window, map_key,
    map_keys_key,
};
use serde::{Deserialize, Serialize};

use crate::support::registry;

/// Counts the elements of each key; fails at a negative one, after it has counted it.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.CountAll/v1")]
struct CountAll;

#[derive(Ports)]
struct CountAllIo {
    counts: Out<i64>,
    count: ValueState<i64>,
}

impl DoFn for CountAll {
    type In = Kv<String, i64>;
    type Io = CountAllIo;

    fn process(&mut self, Kv(_, n): Self::In, cx: &mut Cx<'_>, io: &mut CountAllIo) -> Result {
        let count = io.count.read()?.copied().unwrap_or(0) + 1;
        io.count.write(count)?;
        io.counts.emit(cx, count);
        if n < 0 {
            return Err(Error::user("a negative number"));
        }
        Ok(())
    }
}

/// Does to its state what its elements say, and tells what it reads.
#[derive(Serialize, Deserialize, DoFn)]
#[beam(name = "rim.Book/v1")]
struct Book;

#[derive(Ports)]
struct BookIo {
    told: Out<String>,
    words: BagState<String>,
    map: MapState<String, i64>,
    list: OrderedListState<i64>,
}

impl DoFn for Book {
    type In = Kv<String, String>;
    type Io = BookIo;

    fn process(&mut self, Kv(_, script): Self::In, cx: &mut Cx<'_>, io: &mut BookIo) -> Result {
        for step in script.split("; ") {
            let words: Vec<&str> = step.split(' ').collect();
            let at = |n: i64| Timestamp::from_millis(n);
            let n: i64 = words.last().unwrap().parse().unwrap_or_default();
            let told = match words[..] {
                ["say", word] => {
                    io.words.add(&word.to_owned())?;
                    continue;
                }
                ["hush"] => {
                    io.words.clear()?;
                    continue;
                }
                ["put", key, _] => {
                    io.map.put(&key.to_owned(), &n)?;
                    continue;
                }
                ["remove", key] => {
                    io.map.remove(&key.to_owned())?;
                    continue;
                }
                ["clear"] => {
                    io.map.clear()?;
                    continue;
                }
                ["push", _] => {
                    io.list.add(at(n), &n)?;
                    continue;
                }
                ["cut", _] => {
                    io.list.clear(..at(n))?;
                    continue;
                }
                ["fail"] => return Err(Error::user("as it was told")),
                ["first"] => {
                    let words = io.words.read()?;
                    words.iter().next().transpose()?.unwrap_or_default()
                }
                ["words"] => io.words.read()?.to_vec()?.join(" "),
                ["get", key] => format!("{:?}", io.map.get(&key.to_owned())?),
                ["keys"] => {
                    let mut keys = io.map.keys()?.to_vec()?;
                    keys.sort();
                    keys.join(" ")
                }
                ["list"] => {
                    let list = io.list.read(..)?.to_vec()?.into_iter();
                    format!("{:?}", list.map(|(_, n)| n).collect::<Vec<_>>())
                }
                _ => panic!("{script}"),
            };
            io.told.emit(cx, told);
        }
        Ok(())
    }
}

fn book() -> Descriptor {
    let mut stage = Descriptor::new("book");
    let input = stage.source("source", Kv::<String, String>::coder());
    let told = stage.par_do("book", &Book, &input);
    stage.sink("told", &told["told"]);
    stage
}

/// Runs a bundle of one element of each key, and yields what is told.
fn run(runner: &FakeRunner, scripts: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let scripts = scripts.iter();
    let input = scripts.map(|(key, script)| Kv((*key).to_owned(), (*script).to_owned()));
    let input = in_global_window(input);
    let outcome = runner.bundle(&book()).input("source", input).run();
    match &outcome.error {
        None => Ok(outcome.values("told")),
        Some(error) => Err(error.clone()),
    }
}

fn runner() -> FakeRunner {
    let mut registry = registry();
    registry.add::<CountAll>().add::<Book>();
    FakeRunner::of(registry)
        .option("max_cache_memory_usage_mb", 8)
        .start()
}

fn counting() -> Descriptor {
    let mut stage = Descriptor::new("counting");
    let pairs = stage.source("source", Kv::<String, i64>::coder());
    let counts = stage.par_do("count", &CountAll, &pairs);
    stage.sink("sink", &counts["counts"]);
    stage
}

fn count(runner: &FakeRunner, n: i64) -> Result<i64, String> {
    let input = in_global_window([Kv("k".to_owned(), n)]);
    let outcome = runner.bundle(&counting()).input("source", input).run();
    match &outcome.error {
        None => Ok(outcome.values::<i64>("sink")[0]),
        Some(error) => Err(error.clone()),
    }
}

#[test]
fn user_state_is_fetched_once_for_a_token() {
    let runner = runner();
    let key = bag_key(
        "count",
        "count",
        "",
        encoded(&"k".to_owned(), Nesting::Nested),
    );
    runner.set_state(key.clone(), vec![7]);
    runner.promise(StateTerms::default().user_state("one"));
    for expected in [8, 9, 10] {
        assert_eq!(count(&runner, 1), Ok(expected));
    }
    assert_eq!(runner.pages_read(&key), 1);
    assert_eq!(&runner.state(&key)[..], [10]);

    // What another token stands for is not known.
    runner.promise(StateTerms::default().user_state("two"));
    assert_eq!(count(&runner, 1), Ok(11));
    assert_eq!(runner.pages_read(&key), 2);

    // Nothing of a bundle that fails is remembered.
    assert!(count(&runner, -1).expect_err("fails").contains("negative"));
    assert_eq!(count(&runner, 1), Ok(12));

    // Without a token each bundle asks.
    let before = runner.pages_read(&key);
    runner.promise(StateTerms::default());
    assert_eq!(count(&runner, 1), Ok(13));
    assert_eq!(count(&runner, 1), Ok(14));
    assert_eq!(runner.pages_read(&key), before + 2);
    runner.close();
}

#[test]
fn state_that_the_runner_says_is_not_there_is_not_asked_for() {
    let runner = runner();
    let key = bag_key(
        "count",
        "count",
        "",
        encoded(&"k".to_owned(), Nesting::Nested),
    );
    runner.promise(StateTerms::default().no_state());
    assert_eq!(count(&runner, 1), Ok(1));
    assert_eq!(runner.pages_read(&key), 0);
    runner.promise(StateTerms::default());
    assert_eq!(count(&runner, 1), Ok(2));
    runner.close();
}

/// The key `k`, and a map key.
fn text(text: &str) -> Vec<u8> {
    encoded(&text.to_owned(), Nesting::Nested)
}

#[test]
fn maps_are_fetched_once_for_a_token() {
    let runner = runner();
    let value = |key| map_key("book", "map", "", text("k"), text(key));
    let keys = map_keys_key("book", "map", "", text("k"));
    runner.set_state(value("a"), vec![1]);
    runner.set_state(value("b"), vec![2]);
    runner.promise(StateTerms::default().user_state("one"));
    let tells = |script, told: &[&str]| {
        let all: Vec<String> = told.iter().map(|told| (*told).to_owned()).collect();
        assert_eq!(run(&runner, &[("k", script)]), Ok(all), "{script}");
    };
    let reads = |expected: [usize; 3]| {
        let all = [value("a"), value("b"), keys.clone()];
        assert_eq!(all.map(|key| runner.pages_read(&key)), expected);
    };
    tells("get a; keys", &["Some(1)", "a b"]);
    tells("get a; keys", &["Some(1)", "a b"]);
    reads([1, 0, 1]);
    // What is written is known, and the keys are other ones now.
    tells("put a 5", &[]);
    tells("get a; get b; keys", &["Some(5)", "Some(2)", "a b"]);
    reads([1, 1, 2]);
    tells("remove a", &[]);
    tells("get a; get b; keys", &["None", "Some(2)", "b"]);
    reads([1, 1, 3]);
    // After this, all is known.
    tells("clear; put b 7", &[]);
    tells("get a; get b; keys", &["None", "Some(7)", "b"]);
    reads([2, 1, 3]);
    runner.promise(StateTerms::default().user_state("two"));
    tells("get a; get b; keys", &["None", "Some(7)", "b"]);
    reads([3, 2, 4]);
    runner.close();
}

#[test]
fn all_that_was_promised_to_be_empty_is_empty_but_for_what_is_written() {
    let runner = runner();
    runner.promise(StateTerms::default().no_state().only_bundle());
    let script =
        "get a; keys; list; words; put a 1; push 2; say hello; get a; get b; keys; list; words";
    let told = ["None", "", "[]", "", "Some(1)", "None", "a", "[2]", "hello"];
    assert_eq!(
        run(&runner, &[("k", script)]),
        Ok(told.map(str::to_owned).to_vec())
    );
    for key in ["a", "b"] {
        let key = map_key("book", "map", "", text("k"), text(key));
        assert_eq!(runner.pages_read(&key), 0);
    }
    let keys = map_keys_key("book", "map", "", text("k"));
    assert_eq!(runner.pages_read(&keys), 0);
    // A later bundle may have the same keys: what is written is sent all the same.
    runner.promise(StateTerms::default());
    let told = ["Some(1)", "[2]", "hello"];
    assert_eq!(
        run(&runner, &[("k", "get a; list; words")]),
        Ok(told.map(str::to_owned).to_vec())
    );
    runner.close();
}

/// Scripts of more keys than a worker keeps before it sends what was written to some.
fn crowd() -> Vec<(String, String)> {
    let keys = 0..10_001;
    keys.map(|n| (n.to_string(), "say x".to_owned())).collect()
}

/// Runs a bundle of one script, then of so many others that what the first wrote is sent, and then of a last one.
fn run_crowded(runner: &FakeRunner, first: &str, last: &str) -> Result<Vec<String>, String> {
    let crowd = crowd();
    let mut scripts = vec![("k", first)];
    scripts.extend(crowd.iter().map(|(key, script)| (&**key, &**script)));
    scripts.push(("k", last));
    run(runner, &scripts)
}

fn append(word: &str) -> (Write, bytes::Bytes) {
    (Write::Append, text(word).into())
}

const CLEAR: (Write, bytes::Bytes) = (Write::Clear, bytes::Bytes::new());

#[test]
fn what_is_empty_for_all_is_not_cleared() {
    let runner = runner();
    let words = |key| bag_key("book", "words", "", text(key));
    let values = |key| map_key("book", "map", "", text(key), text("a"));
    let keys = |key| map_keys_key("book", "map", "", text(key));
    let script = "hush; say hello; put a 1; remove b; cut 5";
    // If other bundles may have the keys, these may not be empty for long.
    runner.promise(StateTerms::default().no_state());
    run(&runner, &[("j", script)]).unwrap();
    assert_eq!(runner.writes(&words("j")), [CLEAR, append("hello")]);
    assert_eq!(runner.writes(&values("j")).first(), Some(&CLEAR));
    // Nor if there may be state.
    runner.promise(StateTerms::default().only_bundle());
    run(&runner, &[("l", script), ("m", "clear")]).unwrap();
    assert_eq!(runner.writes(&words("l")), [CLEAR, append("hello")]);
    assert_eq!(runner.writes(&keys("m")), [CLEAR]);

    runner.promise(StateTerms::default().no_state().only_bundle());
    run(&runner, &[("n", script), ("o", "clear")]).unwrap();
    assert_eq!(runner.writes(&words("n")), [append("hello")]);
    let one = (Write::Append, vec![1].into());
    assert_eq!(runner.writes(&values("n")), [one]);
    assert_eq!(runner.writes(&keys("o")), []);
    // What was sent is not empty any more.
    assert_eq!(
        run_crowded(&runner, "say early", "words; hush; say late; words"),
        Ok(vec!["early".to_owned(), "late".to_owned()])
    );
    let writes = [append("early"), CLEAR, append("late")];
    assert_eq!(runner.writes(&words("k")), writes);
    runner.close();
}

#[test]
fn pages_that_came_early_are_not_taken_for_what_was_written_since() {
    let runner = runner();
    let words = bag_key("book", "words", "", text("k"));
    // Each word is a page. The first reader wants one of two, and then the second is not the last any more.
    runner.cut_state_evenly(4);
    runner.set_state(words.clone(), [text("old"), text("odd")].concat());
    let told = run_crowded(&runner, "first; say new", "words");
    assert_eq!(told, Ok(vec!["old".to_owned(), "old odd new".to_owned()]));
    assert_eq!(runner.pages_read(&words), 2 + 3);
    runner.close();
}

#[test]
fn nothing_of_a_bundle_that_failed_is_remembered_though_it_was_sent() {
    let runner = runner();
    let words = |key| bag_key("book", "words", "", text(key));
    runner.set_state(words("k"), text("old"));
    runner.set_state(words("0"), text("other"));
    runner.promise(StateTerms::default().user_state("token"));
    let told = |word: &str| Ok(vec![word.to_owned()]);
    assert_eq!(run(&runner, &[("k", "words")]), told("old"));
    let error = run_crowded(&runner, "hush; say new", "words; fail").unwrap_err();
    assert!(error.contains("as it was told"), "{error}");
    assert_eq!(runner.writes(&words("k")), [CLEAR, append("new")]);
    assert_eq!(runner.writes(&words("0")), [append("x")]);
    // The runner takes back what the bundle has written.
    runner.set_state(words("k"), text("old"));
    runner.set_state(words("0"), text("other"));
    assert_eq!(run(&runner, &[("k", "words")]), told("old"));
    assert_eq!(run(&runner, &[("0", "words")]), told("other"));
    assert_eq!(runner.pages_read(&words("k")), 1);
    runner.close();
}

/// What the state of one key ought to be.
#[derive(Clone, Default)]
struct Model {
    words: Vec<String>,
    map: BTreeMap<String, i64>,
    list: Vec<i64>,
}

impl Model {
    /// Does a step. Yields what it tells.
    fn step(&mut self, step: &str) -> Option<String> {
        let words: Vec<&str> = step.split(' ').collect();
        let n: i64 = words.last().unwrap().parse().unwrap_or_default();
        match words[..] {
            ["say", word] => self.words.push(word.to_owned()),
            ["hush"] => self.words.clear(),
            ["put", key, _] => drop(self.map.insert(key.to_owned(), n)),
            ["remove", key] => drop(self.map.remove(key)),
            ["clear"] => self.map.clear(),
            ["push", _] => {
                self.list.push(n);
                self.list.sort_unstable();
            }
            ["cut", _] => self.list.retain(|value| *value >= n),
            ["words"] => return Some(self.words.join(" ")),
            ["get", key] => return Some(format!("{:?}", self.map.get(key))),
            ["keys"] => {
                let keys: Vec<&str> = self.map.keys().map(String::as_str).collect();
                return Some(keys.join(" "));
            }
            ["list"] => return Some(format!("{:?}", self.list)),
            _ => panic!("{step}"),
        }
        None
    }
}

/// A step of chance.
fn step(random: &mut Random) -> String {
    let n = random.below(9);
    let key = ["a", "b", "c"][random.below(3)];
    match random.below(13) {
        0 => format!("say {}", "w".repeat(1 + n * 40)),
        1 => "hush".into(),
        2 | 3 => format!("put {key} {n}"),
        4 => format!("remove {key}"),
        5 if n < 3 => "clear".into(),
        5 | 6 => format!("push {n}"),
        7 => format!("cut {n}"),
        8 => "words".into(),
        9 | 10 => format!("get {key}"),
        11 => "keys".into(),
        _ => "list".into(),
    }
}

#[test]
fn whatever_is_remembered_is_what_the_runner_has() {
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let runner = runner();
        if random.percent(70) {
            runner.cut_state(50);
        }
        let mut models: BTreeMap<&str, Model> = BTreeMap::new();
        let mut token = 0;
        for bundle in 0..40 {
            // A token does not come again after other ones, or after bundles without any.
            let has_token = random.percent(85);
            token += usize::from(!has_token || random.percent(15));
            let terms = StateTerms::default();
            runner.promise(match has_token {
                true => terms.user_state(&token.to_string()),
                false => terms,
            });
            let mut after = models.clone();
            let (mut scripts, mut told) = (Vec::new(), Vec::new());
            for _ in 0..=random.below(4) {
                let key = ["k", "l"][random.below(2)];
                let steps: Vec<String> = (0..=random.below(5)).map(|_| step(&mut random)).collect();
                let model = after.entry(key).or_default();
                told.extend(steps.iter().filter_map(|step| model.step(step)));
                scripts.push((key, steps.join("; ")));
            }
            let fails = random.percent(15);
            if fails {
                scripts.push(("k", "put a 99; push 99; say failed; fail".into()));
            }
            let script: Vec<_> = scripts.iter().map(|(key, s)| (*key, s.as_str())).collect();
            match run(&runner, &script) {
                Ok(seen) => assert_eq!(seen, told, "seed {seed}, bundle {bundle}: {scripts:?}"),
                Err(error) => assert!(fails && error.contains("as it was told"), "{error}"),
            }
            if !fails {
                models = after;
            }
        }
        runner.close();
    }
}
