//! The list of behaviours, and how each is shown.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::{rows, table};

/// The list: group, id, and what is to be seen.
const LIST: &str = include_str!("behaviours.tsv");

/// How a behaviour is shown.
#[derive(Clone, Copy)]
pub(crate) enum How {
    /// By a pipeline on every runner.
    Runs(fn(&mut Case)),
    /// By what is seen before a pipeline runs, on no runner.
    Alone(fn()),
    /// By another test, which the function finds by name in a file.
    Elsewhere {
        /// The file, from the root of the repository.
        file: &'static str,
        /// What stands in it.
        test: &'static str,
    },
}

impl How {
    /// Whether runners run a pipeline for it.
    pub(crate) fn runs(self) -> bool {
        match self {
            How::Runs(_) => true,
            How::Alone(_) | How::Elsewhere { .. } => false,
        }
    }
}

/// Something that a pipeline may expect.
#[derive(Clone)]
pub(crate) struct Behaviour {
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) how: How,
}

/// All behaviours, in the order of the list.
///
/// # Errors
/// An id that stands in only one of the list and the tables, or twice in one of them.
pub(crate) fn all() -> Result<Vec<Behaviour>, Vec<String>> {
    let mut problems = Vec::new();
    let mut shown: BTreeMap<&str, How> = BTreeMap::new();
    for (id, how) in rows::all() {
        if shown.insert(id, how).is_some() {
            problems.push(format!("two tests are named {id}"));
        }
    }
    let mut behaviours: Vec<Behaviour> = Vec::new();
    for row in table::rows(LIST) {
        let [group, id, _about] = row[..] else {
            problems.push(format!(
                "behaviours.tsv has a line of {} columns",
                row.len()
            ));
            continue;
        };
        if behaviours.iter().any(|known| known.id == id) {
            problems.push(format!("behaviours.tsv has {id} twice"));
        }
        match shown.remove(id) {
            None => problems.push(format!("nothing shows the behaviour {id}")),
            Some(how) => behaviours.push(Behaviour {
                group: group.into(),
                id: id.into(),
                how,
            }),
        }
    }
    problems.extend(
        shown
            .keys()
            .map(|id| format!("{id} is tested, but behaviours.tsv does not list it")),
    );
    for behaviour in &behaviours {
        if let How::Elsewhere { file, test } = behaviour.how
            && !table::read(file).contains(test)
        {
            problems.push(format!(
                "{} is said to be shown by {test} in {file}, which has no such test",
                behaviour.id
            ));
        }
    }
    if problems.is_empty() {
        Ok(behaviours)
    } else {
        Err(problems)
    }
}
