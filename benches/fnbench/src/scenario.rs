//! Scenarios: a bundle's graph and input, and how often to run it. Data, not code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

/// A folder with a bundle descriptor, encoded elements, and `scenario.json`, which is this.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// File with the binary `ProcessBundleDescriptor`.
    pub(crate) descriptor: String,
    pub(crate) source: Source,
    /// What one element counts as: words in a line, values in an iterable.
    #[serde(default)]
    units_per_element: Option<u64>,
    #[serde(default)]
    pub(crate) state: Vec<RunnerState>,
    cases: Vec<Case>,
    /// Where the files are.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// The input of a bundle.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Source {
    pub(crate) transform_id: String,
    /// File with elements in the wire coder, each after its length as four little-endian bytes. They are sent in turn.
    pub(crate) templates: String,
    #[serde(default)]
    pub(crate) patch: Vec<Patch>,
}

/// Bytes of each element that are replaced by its index, so that keys differ without storing every element.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Patch {
    pub(crate) offset: usize,
    /// At most eight.
    pub(crate) width: usize,
    /// The index is taken modulo this, unless it is zero.
    #[serde(default)]
    pub(crate) modulo: u64,
}

/// What the runner keeps under a key of its own: the tail of a state-backed iterable.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct RunnerState {
    pub(crate) runner_key: String,
    /// As [`Source::templates`].
    pub(crate) templates: String,
    /// Number of elements.
    pub(crate) count: u64,
    /// Size of a page; that of the command line where absent.
    #[serde(default)]
    pub(crate) page_bytes: Option<usize>,
}

/// One way to run the bundle.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) elements_per_bundle: Count,
    pub(crate) bundles: usize,
    /// Bundles before the measurement. Without any, the first bundle is the cold start.
    #[serde(default)]
    pub(crate) warmup_bundles: usize,
    /// Bundles in flight.
    #[serde(default = "one")]
    pub(crate) concurrency: usize,
    /// Whether the runner allows user state to be cached across bundles.
    #[serde(default)]
    pub(crate) cache_tokens: bool,
    /// What `fnsink` does to show the ceiling; the first is what workers are compared with.
    #[serde(default)]
    pub(crate) ceilings: Vec<Ceiling>,
}

/// A run of `fnsink` on a case.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Ceiling {
    /// A mode of `fnsink`.
    pub(crate) mode: String,
    /// Instead of the case's number, as the sink is much faster than a worker.
    #[serde(default)]
    pub(crate) bundles: Option<usize>,
}

/// How many elements bundles have.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
pub(crate) enum Count {
    Same(u64),
    /// One after the other, from the start again at the end.
    Cycle(Vec<u64>),
}

fn one() -> usize {
    1
}

impl Count {
    /// The counts that differ, in the order of the bundles.
    pub(crate) fn each(&self) -> &[u64] {
        match self {
            Count::Same(count) => std::slice::from_ref(count),
            Count::Cycle(counts) => counts,
        }
    }
}

impl Scenario {
    /// Reads `scenario.json` of a folder.
    ///
    /// # Errors
    /// It cannot be read, or is not a scenario.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("scenario.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut scenario: Scenario = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a scenario", path.display()))?;
        scenario.folder = folder.to_path_buf();
        Ok(scenario)
    }

    /// All scenarios among the folders of `folder`, by name.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub(crate) fn load_all(folder: &Path) -> Result<Vec<Self>> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut scenarios = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.join("scenario.json").is_file() {
                scenarios.push(Scenario::load(&path)?);
            }
        }
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scenarios)
    }

    /// The case of a name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn case(&self, name: &str) -> Result<&Case> {
        let found = self.cases.iter().find(|case| case.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.cases.iter().map(|case| &case.name).collect();
            anyhow!(
                "scenario {} has no case {name:?}; it has {known:?}",
                self.name
            )
        })
    }

    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    pub(crate) fn units_per_element(&self) -> u64 {
        self.units_per_element.unwrap_or(1)
    }

    /// A file of this scenario.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_scenario_leaves_out_has_a_default() {
        let scenario: Scenario = serde_json::from_str(
            r#"{"name": "n", "doc": "for people", "descriptor": "d.pb", "units_per_element": null,
                "source": {"transform_id": "SRC", "templates": "t.tpl"},
                "cases": [{"name": "a", "elements_per_bundle": 5, "bundles": 3},
                          {"name": "c", "elements_per_bundle": [1, 2], "bundles": 9, "concurrency": 16,
                           "ceilings": [{"mode": "echo", "bundles": 100}]}]}"#,
        )
        .unwrap();
        assert_eq!(scenario.units_per_element(), 1);
        let case = scenario.case("a").unwrap();
        assert_eq!(
            (case.warmup_bundles, case.concurrency, case.cache_tokens),
            (0, 1, false)
        );
        assert_eq!(case.elements_per_bundle.each(), [5]);
        let case = scenario.case("c").unwrap();
        assert_eq!(case.elements_per_bundle.each(), [1, 2]);
        assert_eq!(case.ceilings[0].bundles, Some(100));
        let error = scenario.case("b").unwrap_err().to_string();
        assert_eq!(error, r#"scenario n has no case "b"; it has ["a", "c"]"#);
    }
}
