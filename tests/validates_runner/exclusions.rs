//! Where a behaviour does not hold, and why.

use crate::behaviour::Behaviour;
use crate::runner::Runner;
use crate::table;

/// Runner (`*` for all), id, `hangs` if it cannot even be tried, the reason, and where to read more.
const LIST: &str = include_str!("exclusions.tsv");

/// A behaviour that a runner does not show.
#[derive(Clone)]
pub(crate) struct Exclusion {
    /// `None` stands for all runners.
    runner: Option<Runner>,
    id: String,
    /// Whether it is not even run, since it would hang or end the runner.
    pub(crate) skip: bool,
    pub(crate) reason: String,
}

/// All exclusions.
pub(crate) struct Exclusions(Vec<Exclusion>);

impl Exclusions {
    /// Reads the list.
    ///
    /// # Errors
    /// Lines that name no behaviour or runner, that give no reason, or that are there twice.
    pub(crate) fn read(behaviours: &[Behaviour]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut all: Vec<Exclusion> = Vec::new();
        for row in table::rows(LIST) {
            match exclusion(&row, behaviours) {
                Err(problem) => problems.push(format!("exclusions.tsv: {problem}")),
                Ok(new) => {
                    let twice = all.iter().any(|known| {
                        known.id == new.id
                            && (known.runner == new.runner
                                || known.runner.is_none()
                                || new.runner.is_none())
                    });
                    if twice {
                        problems.push(format!("exclusions.tsv has {} twice", new.id));
                    }
                    all.push(new);
                }
            }
        }
        if problems.is_empty() {
            Ok(Exclusions(all))
        } else {
            Err(problems)
        }
    }

    /// The exclusion of a behaviour on a runner, if there is one.
    pub(crate) fn of(&self, runner: Runner, id: &str) -> Option<&Exclusion> {
        self.0.iter().find(|exclusion| {
            exclusion.id == id && exclusion.runner.is_none_or(|only| only == runner)
        })
    }
}

fn exclusion(row: &[&str], behaviours: &[Behaviour]) -> Result<Exclusion, String> {
    let [runner, id, skip, reason, _link] = row else {
        return Err(format!(
            "a line has {} columns, not five: {row:?}",
            row.len()
        ));
    };
    let runner = match *runner {
        "*" => None,
        name => Some(Runner::named(name).ok_or_else(|| format!("no runner is named {name:?}"))?),
    };
    let known = behaviours.iter().find(|behaviour| behaviour.id == *id);
    let behaviour = known.ok_or_else(|| format!("no behaviour is named {id:?}"))?;
    if !behaviour.how.runs() {
        return Err(format!("{id} is not run there"));
    }
    if !["", "hangs"].contains(skip) {
        return Err(format!("{id}: say \"hangs\" or nothing, not {skip:?}"));
    }
    if reason.is_empty() {
        return Err(format!("{id} needs a reason"));
    }
    Ok(Exclusion {
        runner,
        id: (*id).into(),
        skip: *skip == "hangs",
        reason: (*reason).into(),
    })
}
