"""Services for pipelines to ask, and what these pipelines have in common.

`FERROBEAM_BIN` is the path of the built `ferrobeam`; the examples lie in the folder `examples` beside it. A running
service may be named instead: `FERROBEAM_SERVICE=host:port` is used wherever the binary's own catalogue is meant. The module
`runners` says what else runs on which runners.
"""

import os
import pathlib
import subprocess

import grpc
import pytest
from apache_beam.portability.api import beam_expansion_api_pb2_grpc

import runners

SERVICE = "FERROBEAM_SERVICE"
BINARY = "FERROBEAM_BIN"


def binary(example=None):
    path = os.environ.get(BINARY)
    if not path:
        pytest.fail(f"{BINARY} is not set: run these tests by `cargo verify xlang`")
    path = pathlib.Path(path)
    return path.parent / "examples" / example if example else path


class Service:
    """A process that serves transforms on a port of its own."""

    def __init__(self, program, log, *args):
        self.log = log
        with open(log, "w") as stderr:
            self.process = subprocess.Popen(
                [program, "serve", "0", *args], stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        line = self.process.stdout.readline()
        if not line.startswith("PORT="):
            self.stop()
            raise RuntimeError(f"{program} did not start: {log.read_text()}")
        self.port = int(line[len("PORT="):])
        self.address = f"localhost:{self.port}"

    def stop(self):
        self.process.terminate()
        # A service has a second to end.
        assert self.process.wait(timeout=5) == 0
        self.process.stdout.close()


def running(program, log):
    service = Service(program, log)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def words(logs):
    """The address of the ready-made catalogue."""
    address = os.environ.get(SERVICE)
    if address:
        yield address
        return
    for service in running(binary(), logs / "ferrobeam.log"):
        yield service.address


@pytest.fixture(scope="session")
def schema_transforms(logs):
    """The address of the example with schema transforms."""
    for service in running(binary("schema_transforms"), logs / "schema_transforms.log"):
        yield service.address


@pytest.fixture(scope="session")
def suite(logs):
    """The address of the example with the transforms of Beam's suite."""
    for service in running(binary("xlang_suite"), logs / "xlang_suite.log"):
        yield service.address


@pytest.fixture(scope="session")
def behaviours(logs):
    """The service with the transforms of `service`."""
    yield from running(binary("xlang_behaviours"), logs / "xlang_behaviours.log")


@pytest.fixture(scope="session")
def more_behaviours(logs):
    """Another process of the same service."""
    yield from running(binary("xlang_behaviours"), logs / "more_xlang_behaviours.log")


@pytest.fixture(scope="session")
def runner(request, logs):
    """Each runner that was chosen. A test that takes it runs on all of them."""
    runner = runners.Runner(request.param, logs / f"{request.param}.log")
    yield runner
    runner.stop()


def pytest_generate_tests(metafunc):
    if "runner" in metafunc.fixturenames:
        metafunc.parametrize("runner", runners.chosen(), indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    """What is excluded must fail, or is not tried if it would never end."""
    for item in items:
        if "runner" not in item.fixturenames:
            continue
        for excluded in runners.exclusions():
            if not hasattr(item.module, excluded.test):
                raise pytest.UsageError(f"exclusions.tsv names {excluded.test}, which is no test")
            if (excluded.test, excluded.runner) != (item.originalname, item.callspec.params["runner"]):
                continue
            mark = pytest.mark.skip if excluded.hangs else pytest.mark.xfail(strict=True)
            item.add_marker(mark(reason=excluded.reason))


@pytest.fixture
def expansion():
    """Makes stubs of the expansion service at an address."""
    channels = []

    def stub(address):
        channels.append(grpc.insecure_channel(address))
        return beam_expansion_api_pb2_grpc.ExpansionServiceStub(channels[-1])

    yield stub
    for channel in channels:
        channel.close()
