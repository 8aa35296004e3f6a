//! Pipeline options: how and where a pipeline runs.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::Deserialize;

use super::EnvironmentSpec;
use crate::error::{Error, Result};

/// Where the functions of a pipeline run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workers {
    /// In this very process. Other machines cannot reach it: for runners on this one.
    Loopback,
    /// Where an environment says.
    In(EnvironmentSpec),
}

/// How and where a pipeline runs.
///
/// Options come as flags, `--name=value`, `--name value` or `--name` alone, as in other SDKs. What is not known here is
/// kept and passed on: runners have options of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineOptions {
    /// `host:port` of the runner's job service: `--job_endpoint`.
    pub job_endpoint: Option<String>,
    /// The job's name: `--job_name`.
    pub job_name: String,
    /// Where functions run: `--environment_type` with `--environment_config`.
    pub workers: Workers,
    /// What is to be tried out: `--experiments`, several joined by commas.
    pub experiments: Vec<String>,
    others: BTreeMap<String, Setting>,
}

/// The value of an option that is not known here.
#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Flag(bool),
    Text(String),
    List(Vec<String>),
}

impl Default for PipelineOptions {
    fn default() -> Self {
        PipelineOptions {
            job_endpoint: None,
            job_name: "ferrobeam".into(),
            workers: Workers::Loopback,
            experiments: Vec::new(),
            others: BTreeMap::new(),
        }
    }
}

impl PipelineOptions {
    /// The options that command line arguments give, without the name of the program.
    ///
    /// # Errors
    /// An argument that is no flag, or an environment that cannot be made of its configuration.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = PipelineOptions::default();
        let mut environment = (None, None);
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
                return Err(Error::config(format!(
                    "{arg:?} is not a flag; write options as --name=value"
                )));
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, args.next_if(|next| !next.starts_with("--"))),
            };
            let required = |value: Option<String>| {
                value.ok_or_else(|| Error::config(format!("--{name} needs a value")))
            };
            match name {
                "job_endpoint" => options.job_endpoint = Some(required(value)?),
                "job_name" => options.job_name = required(value)?,
                "environment_type" => environment.0 = Some(required(value)?),
                "environment_config" => environment.1 = Some(required(value)?),
                "experiments" => {
                    let several = required(value)?;
                    options
                        .experiments
                        .extend(several.split(',').map(str::to_owned));
                }
                _ => options.add(name, value),
            }
        }
        if let Some(kind) = environment.0 {
            options.workers = workers(&kind, environment.1)?;
        }
        Ok(options)
    }

    /// Sets an option that is passed on to the runner. Given several times it becomes a list.
    pub fn add(&mut self, name: &str, value: Option<String>) {
        let setting = match value.as_deref() {
            None | Some("true") => Setting::Flag(true),
            Some("false") => Setting::Flag(false),
            Some(text) => Setting::Text(text.into()),
        };
        let setting = match self.others.remove(name) {
            None => setting,
            Some(before) => {
                let mut all = before.into_list();
                all.extend(setting.into_list());
                Setting::List(all)
            }
        };
        self.others.insert(name.into(), setting);
    }

    /// Takes out an option of your own, so that it is not passed on. The last value counts.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.others.remove(name)?.into_list().pop()
    }

    /// The options as the job service takes them: under `beam:option:<name>:v1`, numbers as text.
    pub fn to_struct(&self) -> Struct {
        let mut fields: BTreeMap<String, Value> = BTreeMap::new();
        for (name, setting) in &self.others {
            fields.insert(key(name), setting.to_value());
        }
        fields.insert(key("job_name"), text(&self.job_name));
        if !self.experiments.is_empty() {
            fields.insert(key("experiments"), list(&self.experiments));
        }
        Struct { fields }
    }
}

impl Setting {
    fn into_list(self) -> Vec<String> {
        match self {
            Setting::Flag(flag) => vec![flag.to_string()],
            Setting::Text(text) => vec![text],
            Setting::List(list) => list,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Setting::Flag(flag) => Value {
                kind: Some(Kind::BoolValue(*flag)),
            },
            Setting::Text(value) => text(value),
            Setting::List(values) => list(values),
        }
    }
}

fn key(name: &str) -> String {
    format!("beam:option:{name}:v1")
}

fn text(value: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.into())),
    }
}

fn list(values: &[String]) -> Value {
    let values = values.iter().map(|value| text(value)).collect();
    Value {
        kind: Some(Kind::ListValue(ListValue { values })),
    }
}

/// What `--environment_config` says of a process.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessConfig {
    command: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

fn workers(kind: &str, config: Option<String>) -> Result<Workers> {
    let needed = |what: &str| {
        config.clone().ok_or_else(|| {
            Error::config(format!(
                "--environment_type={kind} needs {what} in --environment_config"
            ))
        })
    };
    Ok(match kind {
        "LOOPBACK" => Workers::Loopback,
        "DOCKER" => Workers::In(EnvironmentSpec::docker(needed("an image")?)),
        "EXTERNAL" => Workers::In(EnvironmentSpec::external(needed(
            "the host:port of a pool",
        )?)),
        "PROCESS" => {
            let config = needed("a program, or JSON such as {\"command\": \"/path\"},")?;
            if !config.trim_start().starts_with('{') {
                return Ok(Workers::In(EnvironmentSpec::process(config)));
            }
            let process: ProcessConfig = serde_json::from_str(&config).map_err(|e| {
                Error::config("--environment_config is not the JSON of a process").because(e)
            })?;
            Workers::In(EnvironmentSpec::Process {
                command: process.command,
                env: process.env,
            })
        }
        _ => {
            return Err(Error::config(format!(
                "--environment_type={kind} is not known; use LOOPBACK, DOCKER, EXTERNAL or PROCESS"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<PipelineOptions> {
        PipelineOptions::from_args(args.iter().map(|arg| (*arg).to_owned()))
    }

    #[test]
    fn flags_are_read_in_each_notation() {
        let mut options = parse(&[
            "--job_endpoint=localhost:8099",
            "--job_name",
            "words",
            "--streaming",
            "--parallelism=2",
            "--experiments=a,b",
            "--experiments",
            "c",
            "--x=1",
            "--x=2",
            "--input=/tmp/in",
        ])
        .expect("valid");
        assert_eq!(options.job_endpoint.as_deref(), Some("localhost:8099"));
        assert_eq!(options.take("input").as_deref(), Some("/tmp/in"));
        assert_eq!(options.take("input"), None);
        let texts = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
            list(&texts)
        };
        let fields = BTreeMap::from([
            (key("experiments"), texts(&["a", "b", "c"])),
            (key("job_name"), text("words")),
            (key("parallelism"), text("2")),
            (
                key("streaming"),
                Value {
                    kind: Some(Kind::BoolValue(true)),
                },
            ),
            (key("x"), texts(&["1", "2"])),
        ]);
        assert_eq!(options.to_struct(), Struct { fields });
        assert_eq!(key("x"), "beam:option:x:v1");
    }

    #[test]
    fn environments_come_from_type_and_configuration() {
        let workers = |kind: &str, config: &str| {
            let config = format!("--environment_config={config}");
            let kind = format!("--environment_type={kind}");
            parse(&[&kind, &config]).map(|options| options.workers)
        };
        assert_eq!(workers("LOOPBACK", "").expect("valid"), Workers::Loopback);
        assert_eq!(
            workers("EXTERNAL", "h:1").expect("valid"),
            Workers::In(EnvironmentSpec::external("h:1"))
        );
        assert_eq!(
            workers("PROCESS", "/bin/w").expect("valid"),
            Workers::In(EnvironmentSpec::process("/bin/w"))
        );
        assert_eq!(
            workers("PROCESS", r#"{"command": "/bin/w", "env": {"A": "b"}}"#).expect("valid"),
            Workers::In(EnvironmentSpec::Process {
                command: "/bin/w".into(),
                env: BTreeMap::from([("A".into(), "b".into())]),
            })
        );
        let error = parse(&["--environment_type=DOCKER"]).expect_err("no image");
        assert_eq!(
            error.to_string(),
            "--environment_type=DOCKER needs an image in --environment_config"
        );
        assert!(parse(&["input"]).is_err());
        assert!(parse(&["--job_name"]).is_err());
    }
}
