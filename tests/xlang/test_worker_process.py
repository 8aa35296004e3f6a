"""The worker as a process: how it starts and how it ends."""

import signal
import subprocess
import threading
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2_grpc as fn_api

from conftest import binary


class Control(fn_api.BeamFnControlServicer):
    """Holds the control stream open until told otherwise."""

    def __init__(self):
        self.connected = threading.Event()
        self.done = threading.Event()
        self.worker_id = None

    def Control(self, responses, context):
        self.worker_id = dict(context.invocation_metadata()).get("worker_id")
        context.send_initial_metadata(())
        self.connected.set()
        self.done.wait(20)
        return iter(())


@pytest.fixture
def control():
    servicer = Control()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    fn_api.add_BeamFnControlServicer_to_server(servicer, server)
    servicer.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer
    servicer.done.set()
    server.stop(None)


def start(port, worker_id="worker-7"):
    flags = [f"--id={worker_id}", f"--control_endpoint=127.0.0.1:{port}"]
    return subprocess.Popen([binary(), "worker", *flags], stderr=subprocess.PIPE, text=True)


def test_the_end_of_the_control_stream_ends_the_worker_well(control):
    worker = start(control.port)
    assert control.connected.wait(10)
    assert control.worker_id == "worker-7"
    control.done.set()
    assert worker.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_well(control, number):
    worker = start(control.port)
    assert control.connected.wait(10)
    worker.send_signal(number)
    assert worker.wait(10) == 0


def test_quotes_around_an_id_are_not_part_of_it(control):
    # Prism starts processes with the id in quotes, and refuses one that keeps them.
    worker = start(control.port, "'job-1[job]_ref_Environment_1'")
    assert control.connected.wait(10)
    assert control.worker_id == "job-1[job]_ref_Environment_1"
    control.done.set()
    assert worker.wait(10) == 0


def test_a_runner_that_is_not_there_is_an_error_at_once():
    worker = start(1)
    assert worker.wait(10) == 1
    text = worker.stderr.read()
    assert "cannot reach the runner's control service" in text
    assert "127.0.0.1:1" in text
