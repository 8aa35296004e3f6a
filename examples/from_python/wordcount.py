"""Counts words in a Python pipeline whose words come from Rust.

Start `ferrobeam serve 8097`, then

    python wordcount.py --service localhost:8097

Options that this program does not know go to Beam: `--runner=...`, `--job_endpoint=...`.
"""

import argparse
import logging
import pathlib

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.external_transform_provider import ExternalTransformProvider

TEXT = pathlib.Path(__file__).parent.parent / "data" / "lighthouse.txt"


def parse(args=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", required=True, help="host:port of the ferrobeam service")
    parser.add_argument("--input", type=pathlib.Path, default=TEXT, help="a text file")
    parser.add_argument("--top", type=int, default=20, help="how many words are printed")
    return parser.parse_known_args(args)


def main():
    args, beam_args = parse()
    # The classes of the Rust transforms, made from what the service publishes.
    rust = ExternalTransformProvider(args.service)
    lines = args.input.read_text(encoding="utf-8").splitlines()

    pipeline = beam.Pipeline(options=PipelineOptions(beam_args))
    (
        pipeline
        | "Lines" >> beam.Create(lines)
        | "Rows" >> beam.Select(line=str)
        | "Split" >> rust.RustSplitWords()
        | "Count" >> rust.RustCountWords()
        | "Top" >> beam.combiners.Top.Of(args.top, key=lambda row: (row.count, row.word))
        | "Print" >> beam.FlatMap(lambda rows: map(print_row, rows))
    )
    result = pipeline.run()
    result.wait_until_finish()
    print_metrics(result)


def print_row(row):
    # One write: workers of a parallel runner share the terminal.
    print(f"{row.count:5} {row.word}\n", end="", flush=True)


def print_metrics(result):
    """The counters and distributions of the Rust functions, whose namespaces are the functions' names."""
    metrics = result.metrics().query()
    print()
    for kind in ("counters", "distributions"):
        for found in metrics[kind]:
            if not found.key.metric.namespace.startswith("ferrobeam."):
                continue
            value = found.result
            if kind == "distributions":
                value = f"{value.min}..{value.max}, mean {value.mean:.1f}"
            print(f"{found.key.metric.name}={value}")


if __name__ == "__main__":
    # Beam warns of every optional package that is not installed.
    logging.getLogger().setLevel(logging.ERROR)
    main()
