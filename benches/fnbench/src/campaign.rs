//! Many cases on a machine that others use too: quiet moments are used as they come, and each goes to the case that
//! has the fewest clean runs. So workers and ceilings alternate, and slow drifts of the machine meet all of them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::time::sleep;

use crate::args::{Assignment, CampaignArgs, Settings};
use crate::harness::Harness;
use crate::machine::is_quiet;
use crate::measurement::Measurement;
use crate::run::Job;
use crate::scenario::{Case, Scenario};

/// How long the machine must be quiet before a run.
const LISTEN: Duration = Duration::from_millis(700);

/// How long to wait while it is not.
const PAUSE: Duration = Duration::from_secs(1);

/// A disturbed run counts a little: otherwise a case that is never clean would hold up all others.
const DISTURBED: f64 = 0.3;

/// One case of one worker.
struct Planned {
    harness: Harness,
    scenario: Scenario,
    case: Case,
    settings: Settings,
    /// The worker's name in the results.
    name: String,
    clean: usize,
    total: usize,
    failed: bool,
}

impl Planned {
    fn new(harness: &Harness, scenario: &Scenario, case: Case, settings: Settings) -> Self {
        let mode = settings.set.iter().find(|set| set.name == "mode");
        let name = match mode {
            Some(mode) => format!("{}-{}", harness.name, mode.value),
            None => harness.name.clone(),
        };
        Planned {
            harness: harness.clone(),
            scenario: scenario.clone(),
            case,
            settings,
            name,
            clean: 0,
            total: 0,
            failed: false,
        }
    }

    fn place(&self) -> String {
        format!("{}/{}", self.scenario.name, self.case.name)
    }

    fn is(&self, run: &Measurement) -> bool {
        self.name == run.harness && self.scenario.name == run.scenario && self.case.name == run.case
    }

    fn count(&mut self, clean: bool) {
        self.total += 1;
        self.clean += usize::from(clean);
    }

    /// The higher, the later it is this case's turn.
    fn score(&self) -> f64 {
        self.clean as f64 + DISTURBED * (self.total - self.clean) as f64
    }

    async fn run(&self) -> Result<Measurement> {
        let job = Job::prepare(
            self.harness.clone(),
            self.scenario.clone(),
            self.case.clone(),
            &self.settings,
        )?;
        job.run(&self.settings, self.total, None).await
    }
}

/// Runs all cases until each has enough clean runs, or the time is over. Runs that `--out` holds already count.
///
/// # Errors
/// A file is missing or wrong, or cases failed; all others have run then.
pub async fn run(args: &CampaignArgs) -> Result<()> {
    let mut planned = plan(args)?;
    if let Some(out) = &args.settings.out {
        resume(&mut planned, out)?;
    }
    let start = Instant::now();
    let minutes = || start.elapsed().as_secs_f64() / 60.0;
    while minutes() < args.deadline {
        if planned
            .iter()
            .all(|case| case.failed || case.clean >= args.want)
        {
            break;
        }
        let quiet = is_quiet(LISTEN).await;
        if !quiet && minutes() < args.dirty_after {
            sleep(PAUSE).await;
            continue;
        }
        let Some(case) = next(&mut planned, args.want, quiet) else {
            sleep(PAUSE).await;
            continue;
        };
        match case.run().await {
            Ok(run) => {
                case.count(run.clean);
                println!("{:5.1} min  {}", minutes(), run.line());
            }
            Err(error) => {
                case.failed = true;
                println!(
                    "{:5.1} min  FAILED {} {}: {error:#}",
                    minutes(),
                    case.name,
                    case.place()
                );
            }
        }
    }
    report(&planned, args.want, minutes())
}

/// All cases, those that will be compared next to each other.
fn plan(args: &CampaignArgs) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for source in &args.worker {
        let harness = Harness::load(&source.harness)?;
        for scenario in Scenario::load_all(&source.scenarios)? {
            for case in scenario.cases() {
                let settings = args.settings.clone();
                planned.push(Planned::new(&harness, &scenario, case.clone(), settings));
            }
        }
    }
    if let Some(source) = &args.ceiling {
        let harness = Harness::load(&source.harness)?;
        for scenario in Scenario::load_all(&source.scenarios)? {
            for case in scenario.cases() {
                for ceiling in &case.ceilings {
                    let mut case = case.clone();
                    case.bundles = ceiling.bundles.unwrap_or(case.bundles);
                    let mut settings = args.settings.clone();
                    settings.set.push(Assignment {
                        name: "mode".to_owned(),
                        value: ceiling.mode.clone(),
                    });
                    planned.push(Planned::new(&harness, &scenario, case, settings));
                }
            }
        }
    }
    let matches = |place: &str, texts: &[String]| texts.iter().any(|text| place.contains(text));
    planned.retain(|case| {
        let place = case.place();
        (args.only.is_empty() || matches(&place, &args.only)) && !matches(&place, &args.skip)
    });
    if planned.is_empty() {
        bail!("no case is left to run");
    }
    // Stable: workers keep their order within a case.
    planned.sort_by_key(Planned::place);
    Ok(planned)
}

/// Counts the runs of an earlier campaign.
fn resume(planned: &mut [Planned], out: &Path) -> Result<()> {
    for run in Measurement::read_all(out)? {
        if let Some(case) = planned.iter_mut().find(|case| case.is(&run)) {
            case.count(run.clean);
        }
    }
    Ok(())
}

/// The case whose turn it is. Under load, only those that have too few runs of any kind.
fn next(planned: &mut [Planned], want: usize, quiet: bool) -> Option<&mut Planned> {
    let waiting = planned.iter_mut().filter(|case| {
        let runs = if quiet { case.clean } else { case.total };
        !case.failed && case.clean < want && runs < want
    });
    waiting.min_by(|a, b| a.score().total_cmp(&b.score()))
}

fn report(planned: &[Planned], want: usize, minutes: f64) -> Result<()> {
    println!("the campaign took {minutes:.1} min");
    for case in planned {
        if !case.failed && case.clean < want {
            println!(
                "{} {}: {} clean runs of {}",
                case.name,
                case.place(),
                case.clean,
                case.total
            );
        }
    }
    match planned.iter().filter(|case| case.failed).count() {
        0 => Ok(()),
        failed => bail!("{failed} cases failed"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    const SCENARIO: &str = r#"{"name": "NAME", "descriptor": "d",
        "source": {"transform_id": "s", "templates": "t"},
        "cases": [{"name": "a", "elements_per_bundle": 1, "bundles": 3,
                   "ceilings": [{"mode": "recode", "bundles": 20}, {"mode": "echo"}]},
                  {"name": "b", "elements_per_bundle": 1, "bundles": 3}]}"#;

    fn planned(folder: &Path, more: &[&str]) -> Vec<Planned> {
        for name in ["one", "two"] {
            let scenario = folder.join("scenarios").join(name);
            fs::create_dir_all(&scenario).unwrap();
            let text = SCENARIO.replace("NAME", name);
            fs::write(scenario.join("scenario.json"), text).unwrap();
        }
        for name in ["rust", "python", "sink"] {
            let text = format!(r#"{{"name": "{name}", "command": ["true"]}}"#);
            fs::write(folder.join(name), text).unwrap();
        }
        let source = |name: &str| {
            let scenarios = folder.join("scenarios");
            format!("{}:{}", folder.join(name).display(), scenarios.display())
        };
        let (rust, python, sink) = (source("rust"), source("python"), source("sink"));
        let mut words = vec![
            "fnbench", "campaign", "--worker", &rust, "--worker", &python,
        ];
        words.extend(["--ceiling", &sink]);
        words.extend(more);
        match Cli::parse_from(words).command {
            Command::Campaign(args) => plan(&args).unwrap(),
            _ => Vec::new(),
        }
    }

    fn names(planned: &[Planned]) -> Vec<String> {
        let name = |case: &Planned| format!("{} {}", case.name, case.place());
        planned.iter().map(name).collect()
    }

    #[test]
    fn what_is_compared_runs_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let cases = planned(folder.path(), &["--only", "one/"]);
        assert_eq!(
            names(&cases),
            [
                "rust one/a",
                "python one/a",
                "sink-recode one/a",
                "sink-echo one/a",
                "rust one/b",
                "python one/b"
            ]
        );
        assert_eq!((cases[2].case.bundles, cases[3].case.bundles), (20, 3));
        let cases = planned(folder.path(), &["--skip", "one/", "--skip", "/a"]);
        assert_eq!(names(&cases), ["rust two/b", "python two/b"]);
    }

    #[test]
    fn the_case_with_the_fewest_clean_runs_is_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut cases = planned(folder.path(), &["--only", "one/b"]);
        assert_eq!(next(&mut cases, 2, true).unwrap().name, "rust");
        cases[0].count(false);
        assert_eq!(next(&mut cases, 2, true).unwrap().name, "python");
        cases[1].count(true);
        assert_eq!(next(&mut cases, 2, true).unwrap().name, "rust");
        cases[0].count(false);
        // Under load, two runs of any kind are enough.
        assert_eq!(next(&mut cases, 2, false).unwrap().name, "python");
        cases[1].failed = true;
        assert!(next(&mut cases, 2, false).is_none());
    }
}
