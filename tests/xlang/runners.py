"""Runners for pipelines of tests, and what is known not to work on them.

`FERROBEAM_RUNNERS` names those to use. `FERROBEAM_XTASK` is the program that starts job services.
"""

import csv
import os
import pathlib
import subprocess
import time
import typing

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

RUNNERS = "FERROBEAM_RUNNERS"
XTASK = "FERROBEAM_XTASK"

# Those that a pipeline takes less than a second on.
QUICK = "default,python,prism"

# What starts the job service of each runner, and what its pipelines need beside its address.
JOB_SERVICES = {
    "python": (["job-server", "python"], []),
    "prism": (["prism"], []),
    "flink": (["job-server", "flink"], ["--parallelism=1"]),
    "flink_streaming": (["job-server", "flink"], ["--parallelism=1", "--streaming"]),
    "spark": (["job-server", "spark"], ["--environment_cache_millis=10000"]),
}


KNOWN = ["default", *JOB_SERVICES]


def chosen():
    names = (os.environ.get(RUNNERS) or QUICK).split(",")
    check(RUNNERS, names)
    return names


def check(where, names):
    unknown = set(names).difference(KNOWN)
    if unknown:
        raise ValueError(f"{where} names {sorted(unknown)}; there are {', '.join(KNOWN)}")


class Runner:
    """A runner that pipelines can be given to, until it is stopped."""

    def __init__(self, name, log):
        self.name = name
        self.log = log
        self.flags = []
        self.process = None
        if name == "default":
            return
        command, flags = JOB_SERVICES[name]
        xtask = os.environ.get(XTASK)
        if not xtask:
            raise RuntimeError(f"{XTASK} is not set: run these tests by `cargo verify xlang`")
        self.process = subprocess.Popen(
            [xtask, *command, "--log", log], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line.startswith("ENDPOINT="):
            self.stop()
            raise RuntimeError(f"{name} did not start; what it said stands above")
        endpoint = line.strip().removeprefix("ENDPOINT=")
        self.flags = [
            "--runner=PortableRunner",
            f"--job_endpoint={endpoint}",
            "--environment_type=LOOPBACK",
            *flags,
        ]

    def pipeline(self):
        return beam.Pipeline(options=PipelineOptions(self.flags))

    def stop(self):
        if self.process:
            # It goes when its input ends.
            self.process.stdin.close()
            self.process.wait(timeout=30)
            self.process.stdout.close()


class Exclusion(typing.NamedTuple):
    """A test that cannot pass on a runner, and why."""

    runner: str
    test: str
    hangs: str
    reason: str
    link: str


def exclusions():
    with open(pathlib.Path(__file__).parent / "exclusions.tsv", newline="") as table:
        head, *rows = csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
    if head != list(Exclusion._fields):
        raise ValueError(f"exclusions.tsv has the columns {head}")
    excluded = [Exclusion(*row) for row in rows]
    check("exclusions.tsv", [one.runner for one in excluded])
    for one in excluded:
        if one.hangs not in ("", "hangs") or not one.reason:
            raise ValueError(f"exclusions.tsv: {one.test} needs a reason, and \"hangs\" or nothing")
    return excluded


def eventually(found, seconds=10):
    """What `found` returns, once that is something: other processes write when they like."""
    deadline = time.monotonic() + seconds
    while True:
        result = found()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(0.02)
