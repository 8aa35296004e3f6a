"""Runs pipelines on Python's default runner, in this process.

Each line of standard input is a JSON object with `id`, the file of a `pipeline` proto, a file for its `metrics`, `options`,
and whether it `drains`. The answer is a line with `id` and `error`, which is null if the pipeline did what it had to do.
"""

import json
import resource
import sys
import threading
import traceback

MEMORY = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.runner import PipelineState

answering = threading.Lock()


def run(ask):
    with open(ask["pipeline"], "rb") as file:
        pipeline = beam_runner_api_pb2.Pipeline.FromString(file.read())
    runner = fn_runner.FnApiRunner(is_drain=ask["drains"])
    result = runner.run_via_runner_api(pipeline, PipelineOptions(ask["options"]))
    state = result.wait_until_finish()
    if state != PipelineState.DONE:
        raise RuntimeError(f"the pipeline is {state}")
    metrics = beam_job_api_pb2.MetricResults(attempted=list(result.monitoring_infos()))
    with open(ask["metrics"], "wb") as file:
        file.write(metrics.SerializeToString())


def answer(ask):
    error = None
    try:
        run(ask)
    except BaseException:  # whatever it was, the other side waits for an answer
        error = traceback.format_exc()
    with answering:
        print(json.dumps({"id": ask["id"], "error": error}), flush=True)


for line in sys.stdin:
    threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
