//! What a command line asks for.

use std::net::IpAddr;
use std::path::PathBuf;

use super::args::Args;
use super::describe::Format;
use crate::error::{Error, Result};
use crate::expansion::Start;
use crate::harness::{Budgets, Options};

/// The port that Beam's own expansion services are started on by convention.
const SERVE_PORT: u16 = 8097;

/// The port that Beam's own worker pools listen on by convention.
const POOL_PORT: u16 = 50_000;

/// Set by runners that start a worker as a subprocess.
pub(super) const CONTROL_VARIABLE: &str = "CONTROL_API_SERVICE_DESCRIPTOR";

/// Flags that may have their value after a space.
const VALUED: &[&str] = &[
    "address",
    "artifact",
    "artifact_endpoint",
    "bind",
    "control_endpoint",
    "env",
    "format",
    "id",
    "image",
    "logging_endpoint",
    "port",
    "provision_endpoint",
    "semi_persist_dir",
    "service_port",
    "status_endpoint",
];

/// Flags that only a worker has: a line with one of them needs no command.
const OF_WORKERS: &[&str] = &["id", "control_endpoint", "provision_endpoint"];

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// Offer transforms, with a pool of workers.
    Serve(Serve),
    /// Be a worker.
    Worker(Worker),
    /// Start workers when runners ask.
    Pool(Listen),
    /// Print the names of all that can be asked for.
    List,
    /// Print what the transforms are.
    Describe(Format, String),
    /// Print how to use the binary.
    Help,
    /// Print the version.
    Version,
}

/// Where to listen.
#[derive(Debug, PartialEq)]
pub(super) struct Listen {
    /// Zero for any free one.
    pub(super) port: u16,
    /// One address, instead of this machine's own two loopback addresses.
    pub(super) bind: Option<IpAddr>,
}

/// How to serve.
#[derive(Debug, PartialEq)]
pub(super) struct Serve {
    pub(super) listen: Listen,
    /// Host, or host and port, under which runners reach the pool.
    pub(super) address: Option<String>,
    pub(super) starts: Vec<Start>,
    pub(super) image: Option<String>,
    /// Files for workers, and the names that these find them under.
    pub(super) artifacts: Vec<(PathBuf, String)>,
}

/// Where a worker finds its runner.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Worker {
    pub(super) id: String,
    pub(super) provision: Option<String>,
    pub(super) control: Option<String>,
    pub(super) logging: Option<String>,
    pub(super) status: Option<String>,
}

impl From<Worker> for Options {
    fn from(worker: Worker) -> Self {
        Options {
            id: worker.id,
            provision_endpoint: worker.provision,
            control_endpoint: worker.control,
            logging_endpoint: worker.logging,
            status_endpoint: worker.status,
            budgets: Budgets::of_this_machine(),
            ..Options::default()
        }
    }
}

/// Parses the arguments after the program's name; `variable` reads the environment. Returns what was not understood,
/// too: it is not worth failing for.
///
/// # Errors
/// A line that asks for nothing, or a value that makes no sense.
pub(super) fn parse(
    args: impl IntoIterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Command, Vec<String>)> {
    let mut args = Args::parse(args, |flag| VALUED.contains(&flag));
    let command = command(&mut args, &variable)?;
    Ok((command, args.left_over()))
}

fn command(args: &mut Args, variable: impl Fn(&str) -> Option<String>) -> Result<Command> {
    if args.take_switch("help") {
        return Ok(Command::Help);
    }
    if args.take_switch("version") {
        return Ok(Command::Version);
    }
    let word = args.word().map(str::to_owned);
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.as_deref() {
        Some(port) if is_number(port) => serve(args).map(Command::Serve),
        Some(name) => {
            args.take_word();
            named(name, args, variable)
        }
        None if OF_WORKERS.iter().any(|flag| args.has(flag)) => {
            worker(args, variable).map(Command::Worker)
        }
        // How a container of Beam's own is told to be a pool.
        None if args.take_switch("worker_pool") || args.has("service_port") => {
            listen(args, "service_port", POOL_PORT).map(Command::Pool)
        }
        None if args.has("port") => serve(args).map(Command::Serve),
        None if variable(CONTROL_VARIABLE).is_some() => worker(args, variable).map(Command::Worker),
        None => Err(Error::config("say what to do; --help tells what there is")),
    }
}

fn named(
    name: &str,
    args: &mut Args,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command> {
    match name {
        "serve" => serve(args).map(Command::Serve),
        "worker" => worker(args, variable).map(Command::Worker),
        "pool" => listen(args, "port", POOL_PORT).map(Command::Pool),
        "list" => Ok(Command::List),
        "describe" => {
            let format = args.take("format")?.unwrap_or_else(|| "md".into());
            let address = args.take("address")?;
            let address = address.unwrap_or_else(|| format!("localhost:{SERVE_PORT}"));
            Ok(Command::Describe(format.parse()?, address))
        }
        "help" | "-h" => Ok(Command::Help),
        "version" | "-V" => Ok(Command::Version),
        _ => Err(Error::config(format!(
            "there is no command {name:?}; the commands are serve, worker, pool, list, describe and help"
        ))),
    }
}

fn serve(args: &mut Args) -> Result<Serve> {
    let listen = listen(args, "port", SERVE_PORT)?;
    let starts = match args.take("env")?.as_deref() {
        None | Some("anyof") => Vec::new(),
        Some(ways) => ways.split('+').map(str::parse).collect::<Result<_>>()?,
    };
    Ok(Serve {
        listen,
        address: args.take("address")?,
        starts,
        image: args.take("image")?,
        artifacts: args
            .take_all("artifact")?
            .iter()
            .map(|text| artifact(text))
            .collect::<Result<_>>()?,
    })
}

/// `PATH` or `NAME=PATH`.
fn artifact(text: &str) -> Result<(PathBuf, String)> {
    if let Some((name, path)) = text.split_once('=') {
        return Ok((path.into(), name.into()));
    }
    let path = PathBuf::from(text);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name =
        name.ok_or_else(|| Error::config(format!("{text:?} does not end in a file name")))?;
    Ok((path, name))
}

fn listen(args: &mut Args, flag: &str, otherwise: u16) -> Result<Listen> {
    let flag = args.take(flag)?;
    let port = match args.take_word().or(flag) {
        None => otherwise,
        Some(text) => text
            .parse()
            .map_err(|_| Error::config(format!("{text:?} is no port: a number up to 65535")))?,
    };
    let bind = match args.take("bind")? {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Error::config(format!("{text:?} is no IP address to listen on")))?,
        ),
    };
    Ok(Listen { port, bind })
}

fn worker(args: &mut Args, variable: impl Fn(&str) -> Option<String>) -> Result<Worker> {
    let descriptor = |name: &str| variable(name).map(|text| url(name, &text)).transpose();
    let mut worker = Worker {
        id: args.take("id")?.unwrap_or_default(),
        provision: args.take("provision_endpoint")?,
        control: args.take("control_endpoint")?,
        logging: args.take("logging_endpoint")?,
        status: args.take("status_endpoint")?,
    };
    // Runners pass these, too; the provision service tells what is needed of them.
    for ignored in ["artifact_endpoint", "semi_persist_dir"] {
        args.take(ignored)?;
    }
    // A subprocess gets no flags. Its environment may be that of a runner in a container, so flags come first.
    if worker.control.is_none() && worker.provision.is_none() {
        worker.control = descriptor(CONTROL_VARIABLE)?;
        worker.logging = descriptor("LOGGING_API_SERVICE_DESCRIPTOR")?;
        worker.status = descriptor("STATUS_API_SERVICE_DESCRIPTOR")?;
        if worker.id.is_empty() {
            worker.id = variable("WORKER_ID").unwrap_or_default();
        }
    }
    if worker.control.is_none() && worker.provision.is_none() {
        return Err(Error::config(format!(
            "a worker needs --id and --provision_endpoint or --control_endpoint, or the variable {CONTROL_VARIABLE}"
        )));
    }
    Ok(worker)
}

/// The address in an `ApiServiceDescriptor` that is written as text: `url: "localhost:1234"`.
fn url(variable: &str, text: &str) -> Result<String> {
    let quoted = text
        .split_once("url:")
        .and_then(|(_, rest)| rest.trim_start().strip_prefix('"')?.split_once('"'));
    match quoted {
        Some((url, _)) if !url.is_empty() => Ok(url.to_owned()),
        _ => Err(Error::config(format!(
            "the variable {variable} holds {text:?}, and not an address as in url: \"localhost:1234\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Command, Vec<String>)> {
        parse(line.split_whitespace().map(str::to_owned), |_| None)
    }

    fn refused(line: &str) -> String {
        parsed(line).expect_err(line).to_string()
    }

    fn serve_on(port: u16) -> Serve {
        Serve {
            listen: Listen { port, bind: None },
            address: None,
            starts: Vec::new(),
            image: None,
            artifacts: Vec::new(),
        }
    }

    #[test]
    fn a_port_alone_means_serve() {
        for (line, port) in [
            ("8099", 8099),
            ("serve", 8097),
            ("serve 0", 0),
            ("--port=7", 7),
            ("serve --port 7", 7),
        ] {
            let (command, left) = parsed(line).expect(line);
            assert_eq!(command, Command::Serve(serve_on(port)), "{line}");
            assert_eq!(left, [""; 0]);
        }
        assert!(refused("99999").contains("no port"));
    }

    #[test]
    fn flags_of_other_services_are_left_over() {
        let (command, left) =
            parsed("8097 --filesToStage=a.jar --alsoStartLoopbackWorker").expect("serve");
        assert_eq!(command, Command::Serve(serve_on(8097)));
        assert_eq!(left, ["--filesToStage", "--alsoStartLoopbackWorker"]);
    }

    #[test]
    fn serving_has_options() {
        let (command, _) = parsed(
            "serve 1 --env=docker+external --image x:1 --address h:2 --bind=0.0.0.0 --artifact=a/m.pt --artifact=n=b",
        )
        .expect("serve");
        let expected = Serve {
            listen: Listen {
                port: 1,
                bind: Some(IpAddr::from([0, 0, 0, 0])),
            },
            address: Some("h:2".into()),
            starts: vec![Start::Docker, Start::External],
            image: Some("x:1".into()),
            artifacts: vec![("a/m.pt".into(), "m.pt".into()), ("b".into(), "n".into())],
        };
        assert_eq!(command, Command::Serve(expected));
        assert!(refused("serve --env=cloud").contains("no way to start a worker"));
        assert!(refused("serve --bind=here").contains("no IP address"));
    }

    #[test]
    fn flags_of_a_worker_mean_worker() {
        for line in [
            "--id='job-1[job]_e' --provision_endpoint=localhost:9",
            "worker --id job-1[job]_e --provision_endpoint localhost:9",
        ] {
            let (command, _) = parsed(line).expect(line);
            let expected = Worker {
                id: "job-1[job]_e".into(),
                provision: Some("localhost:9".into()),
                ..Worker::default()
            };
            assert_eq!(command, Command::Worker(expected), "{line}");
        }
        assert!(refused("worker --id=1").contains("--provision_endpoint"));
    }

    #[test]
    fn variables_of_a_subprocess_mean_worker() {
        let variable = |name: &str| {
            Some(match name {
                CONTROL_VARIABLE => "url: \"localhost:1\"\n".to_owned(),
                "LOGGING_API_SERVICE_DESCRIPTOR" => "url: \"localhost:2\"".to_owned(),
                "STATUS_API_SERVICE_DESCRIPTOR" => "url: \"localhost:3\"".to_owned(),
                "WORKER_ID" => "w".to_owned(),
                _ => return None,
            })
        };
        let (command, _) = parse([], variable).expect("worker");
        let expected = Worker {
            id: "w".into(),
            control: Some("localhost:1".into()),
            logging: Some("localhost:2".into()),
            status: Some("localhost:3".into()),
            ..Worker::default()
        };
        assert_eq!(command, Command::Worker(expected));
        let error = parse([], |_| Some("nonsense".into())).expect_err("no url");
        assert!(
            error.to_string().contains("url: \"localhost:1234\""),
            "{error}"
        );
        // Flags say more than an inherited environment.
        let flags = ["--id=x".to_owned(), "--provision_endpoint=y".to_owned()];
        let (command, _) = parse(flags, variable).expect("worker");
        let Command::Worker(worker) = command else {
            panic!("not a worker");
        };
        assert_eq!((&worker.id[..], worker.control), ("x", None));
    }

    #[test]
    fn pools_and_the_rest() {
        let pool = |port| Command::Pool(Listen { port, bind: None });
        assert_eq!(parsed("pool").expect("pool").0, pool(50_000));
        assert_eq!(parsed("pool 0").expect("pool").0, pool(0));
        assert_eq!(parsed("--worker_pool").expect("pool").0, pool(50_000));
        assert_eq!(
            parsed("--service_port=5 --worker_pool").expect("pool").0,
            pool(5)
        );
        assert_eq!(parsed("list").expect("list").0, Command::List);
        assert_eq!(parsed("serve --help").expect("help").0, Command::Help);
        assert_eq!(parsed("--version").expect("version").0, Command::Version);
        let (command, _) = parsed("describe --format=json").expect("describe");
        let expected = Command::Describe(Format::Json, "localhost:8097".into());
        assert_eq!(command, expected);
        assert!(refused("sevre").contains("the commands are"));
        assert!(refused("").contains("--help"));
    }
}
