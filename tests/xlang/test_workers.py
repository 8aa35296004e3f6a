"""Workers that a service's pool starts for runners."""

import subprocess
import threading

import apache_beam as beam
import grpc
import pytest
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.external_transform_provider import ExternalTransformProvider
from conftest import Service, binary


def count_words(address, repeat):
    rust = ExternalTransformProvider(address)
    with beam.Pipeline() as pipeline:
        lines = pipeline | beam.Create(["to be or not to be"] * repeat) | beam.Select(line=str)
        counts = lines | rust.RustSplitWords() | rust.RustCountWords() | beam.Map(tuple)
        expected = [("to", 2 * repeat), ("be", 2 * repeat), ("or", repeat), ("not", repeat)]
        assert_that(counts, equal_to(expected))


def test_parallel_pipelines_use_one_pool(words):
    """Each runner calls its first worker by the same id."""
    failures = []

    def run(repeat):
        try:
            count_words(words, repeat)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(repeat,)) for repeat in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_user_metrics_come_back(words):
    rust = ExternalTransformProvider(words)
    pipeline = beam.Pipeline()
    lines = pipeline | beam.Create(["a bc", "def", ""]) | beam.Select(line=str)
    lines | rust.RustSplitWords()
    result = pipeline.run()
    result.wait_until_finish()
    metrics = result.metrics().query()
    counters = {found.key.metric.name: found.committed for found in metrics["counters"]}
    assert counters["lines"] == 3
    assert counters["empty_lines"] == 1
    (letters,) = metrics["distributions"]
    assert letters.key.metric.namespace == "ferrobeam.words.Find"
    assert (letters.committed.sum, letters.committed.count, letters.committed.min, letters.committed.max) == (6, 3, 1, 3)


def test_a_failing_function_fails_the_pipeline_with_its_words(schema_transforms):
    rust = ExternalTransformProvider(schema_transforms)
    with pytest.raises(Exception, match="is no number that could be scaled"):
        with beam.Pipeline() as pipeline:
            rows = pipeline | beam.Create([1, "x"]) | beam.Select(value=lambda value: value)
            rows | rust.Scale(field="value", factor=2.0)


def test_a_worker_that_cannot_reach_its_runner_is_an_error(words):
    nowhere = endpoints_pb2.ApiServiceDescriptor(url="localhost:1")
    with grpc.insecure_channel(words) as channel:
        pool = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        started = pool.StartWorker(
            beam_fn_api_pb2.StartWorkerRequest(worker_id="w", control_endpoint=nowhere), timeout=15
        )
    assert "localhost:1" in started.error


def test_only_published_files_are_served(logs, tmp_path):
    model = tmp_path / "model.bin"
    model.write_bytes(bytes(range(256)) * 10_000)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    service = Service(
        binary(), logs / "artifacts.log", f"--artifact=weights={model}", "--image=example/worker:1", "--env=docker"
    )
    try:
        rust = ExternalTransformProvider(service.address)
        pipeline = beam.Pipeline()
        lines = pipeline | beam.Create(["a"]) | beam.Select(line=str)
        # Python fetches the published file as soon as it has the expansion.
        lines | rust.RustSplitWords()
        (environment,) = (
            e for e in pipeline.to_runner_api().components.environments.values() if e.urn == "beam:env:docker:v1"
        )
        (artifact,) = environment.dependencies
        fetched = beam_runner_api_pb2.ArtifactFilePayload.FromString(artifact.type_payload)
        with open(fetched.path, "rb") as copy:
            assert copy.read() == model.read_bytes()

        with grpc.insecure_channel(service.address) as channel:
            stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
            for path in (secret, "/etc/hostname", model.parent / "x" / ".." / "model.bin"):
                payload = beam_runner_api_pb2.ArtifactFilePayload(path=str(path))
                wanted = beam_runner_api_pb2.ArtifactInformation(
                    type_urn="beam:artifact:type:file:v1", type_payload=payload.SerializeToString()
                )
                with pytest.raises(grpc.RpcError) as refused:
                    list(stub.GetArtifact(beam_artifact_api_pb2.GetArtifactRequest(artifact=wanted)))
                assert refused.value.code() == grpc.StatusCode.NOT_FOUND
                assert "secret" not in refused.value.details()
    finally:
        service.stop()


def test_workers_can_be_subprocesses(logs):
    service = Service(binary(), logs / "subprocess.log", "--env=subprocess")
    try:
        count_words(service.address, 1)
    finally:
        service.stop()


def test_a_pool_of_its_own(logs):
    pool = subprocess.Popen([binary(), "pool", "0"], stdout=subprocess.PIPE, text=True)
    try:
        port = pool.stdout.readline().strip().removeprefix("PORT=")
        service = Service(binary(), logs / "pool.log", f"--address=localhost:{port}")
        try:
            count_words(service.address, 1)
        finally:
            service.stop()
    finally:
        pool.terminate()
        assert pool.wait(timeout=5) == 0
        pool.stdout.close()
