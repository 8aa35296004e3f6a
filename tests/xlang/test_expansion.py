"""Expansion as Python's pipelines and bare clients meet it."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import (
    beam_expansion_api_pb2,
    beam_runner_api_pb2,
    external_transforms_pb2,
    schema_pb2,
)
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.external import ImplicitSchemaPayloadBuilder, SchemaAwareExternalTransform

PREFIX = "beam:transforms:xlang:test:prefix"
SCHEMA_TRANSFORM = "beam:schematransform:org.apache.beam:"


def prefix(address, text):
    return beam.ExternalTransform(PREFIX, ImplicitSchemaPayloadBuilder({"data": text}), address)


def foreign_environments(pipeline):
    proto = pipeline.to_runner_api()
    return [e for e in proto.components.environments.values() if e.urn == "beam:env:external:v1"], proto


def test_one_transform_twice(suite):
    with beam.Pipeline() as pipeline:
        letters = pipeline | beam.Create(["a", "b"]).with_output_types(str)
        assert_that(letters | "P1" >> prefix(suite, "0"), equal_to(["0a", "0b"]), label="first")
        assert_that(letters | "P2" >> prefix(suite, "1"), equal_to(["1a", "1b"]), label="second")
        environments, proto = foreign_environments(pipeline)
    assert len(environments) == 1
    names = [transform.unique_name for transform in proto.components.transforms.values()]
    assert len(names) == len(set(names))


def test_thirty_expansions_share_one_environment(suite):
    with beam.Pipeline() as pipeline:
        letters = pipeline | beam.Create(["a"]).with_output_types(str)
        for i in range(30):
            letters = letters | f"Step {i}" >> prefix(suite, str(i % 10))
        assert_that(letters, equal_to(["9876543210" * 3 + "a"]))
        environments, _ = foreign_environments(pipeline)
    assert len(environments) == 1


def test_options_of_the_pipeline_reach_the_transform(schema_transforms):
    options = PipelineOptions(["--my_flag=7", "--job_name=j", "--experiments=a", "--experiments=b=c"])
    names = ["my_flag", "job_name", "experiments", "absent"]
    with beam.Pipeline(options=options) as pipeline:
        seen = pipeline | SchemaAwareExternalTransform(SCHEMA_TRANSFORM + "options:v1", schema_transforms, names=names)
        pairs = seen | beam.Map(lambda row: (row.name, sorted(row.values)))
        expected = [("my_flag", ["7"]), ("job_name", ["j"]), ("absent", [])]

        def check(actual):
            actual = dict(actual)
            assert {"a", "b=c"} <= set(actual.pop("experiments"))
            assert actual == dict(expected)

        assert_that(pairs, check)


def test_elements_of_any_type_can_be_counted(suite):
    words = ["a", "b", "a", ("t", 1), ("t", 1)]
    with beam.Pipeline() as pipeline:
        counts = pipeline | beam.Create(words) | beam.ExternalTransform("beam:transforms:xlang:count", None, suite)
        assert_that(counts, equal_to([("a", 2), ("b", 1), (("t", 1), 2)]))


def test_a_sink_has_no_outputs(suite):
    with beam.Pipeline() as pipeline:
        letters = pipeline | beam.Create(["a"])
        nothing = letters | beam.ExternalTransform("beam:transforms:xlang:test:nooutput", None, suite)
        assert nothing == {}


def expect_error(address, transform, collection, pattern):
    pipeline = beam.Pipeline()
    source = pipeline | collection if collection else pipeline
    with pytest.raises(RuntimeError, match=pattern) as caught:
        source | transform
    return str(caught.value)


def test_errors_name_the_transform_and_the_field(schema_transforms):
    repeat = SCHEMA_TRANSFORM + "repeat:v1"

    def transform(**config):
        return SchemaAwareExternalTransform(repeat, schema_transforms, **config)

    text = expect_error(schema_transforms, transform(times=2), None, "field `data`")
    assert repeat in text
    assert "times" not in text.split("missing from")[0]
    expect_error(schema_transforms, transform(data="x", extra=1), None, "field `extra` is unknown; the fields are data, times")
    expect_error(schema_transforms, transform(data="x", times=-1), None, "`times` is -1")
    expect_error(schema_transforms, transform(data=1), None, "field `data`: int64 does not fit string")


def test_unknown_transforms_get_a_suggestion(suite):
    transform = beam.ExternalTransform("beam:transforms:xlang:test:prefx", None, suite)
    text = expect_error(suite, transform, beam.Create(["a"]), "did you mean")
    assert PREFIX in text.splitlines()[0]
    assert "beam:transforms:xlang:test:gbk" in text


def test_elements_of_an_unknown_type_are_explained(suite):
    expect_error(suite, prefix(suite, "0"), beam.Create(["a", 1]), "with_output_types")


def request(transform, **fields):
    return beam_expansion_api_pb2.ExpansionRequest(namespace="external_1", transform=transform, **fields)


def string_field(name, **more):
    kind = schema_pb2.FieldType(atomic_type=schema_pb2.STRING)
    return schema_pb2.Field(name=name, type=kind, **more)


def strings(collection, **coders):
    """Components with one collection of strings."""

    def spec(urn):
        return beam_runner_api_pb2.FunctionSpec(urn=urn)

    for name, urn in (("c0", "beam:coder:string_utf8:v1"), ("c1", "beam:coder:global_window:v1")):
        coders[name] = beam_runner_api_pb2.Coder(spec=spec(urn))
    windowing = beam_runner_api_pb2.WindowingStrategy(
        window_fn=spec("beam:window_fn:global_windows:v1"), window_coder_id="c1"
    )
    elements = beam_runner_api_pb2.PCollection(unique_name=collection, coder_id="c0", windowing_strategy_id="w0")
    return beam_runner_api_pb2.Components(
        coders=coders, pcollections={collection: elements}, windowing_strategies={"w0": windowing}
    )


def test_callers_may_name_the_output(suite, expansion):
    """As Go does."""
    schema = schema_pb2.Schema(fields=[string_field("Data")], id="00000000-0000-4000-8000-000000000001")
    payload = external_transforms_pb2.ExternalConfigurationPayload(schema=schema, payload=b"\x01\x00\x010")
    components = strings("n1")

    def outputs(named):
        spec = beam_runner_api_pb2.FunctionSpec(urn=PREFIX, payload=payload.SerializeToString())
        transform = beam_runner_api_pb2.PTransform(
            unique_name="External", spec=spec, inputs={"unnamed": "n1"}, outputs={tag: "n1" for tag in named}
        )
        response = expansion(suite).Expand(request(transform, components=components))
        return dict(response.transform.outputs), response.error

    (tag, fresh), = outputs(["setOutput"])[0].items()
    assert tag == "setOutput" and fresh.startswith("external_1")
    assert list(outputs([])[0]) == ["output"]
    _, error = outputs(["one", "two"])
    assert "['one', 'two']" in error.replace('"', "'") and "output" in error


def test_requests_without_sense_are_answered(suite, expansion):
    for transform in (None, beam_runner_api_pb2.PTransform()):
        response = expansion(suite).Expand(request(transform))
        assert "transform" in response.error
    lookup = beam_runner_api_pb2.FunctionSpec(urn="beam:expansion:payload:java_class_lookup:v1")
    response = expansion(suite).Expand(request(beam_runner_api_pb2.PTransform(spec=lookup)))
    assert "no Java classes" in response.error


def test_large_requests_are_read(suite, expansion):
    """The whole pipeline of a client may be in a request; its answer must stay small enough for all clients."""
    big = beam_runner_api_pb2.Coder(spec=beam_runner_api_pb2.FunctionSpec(urn="x", payload=bytes(6 << 20)))
    spec = beam_runner_api_pb2.FunctionSpec(urn="beam:transforms:xlang:test:flatten")
    transform = beam_runner_api_pb2.PTransform(unique_name="Big", spec=spec, inputs={"0": "n1"})
    response = expansion(suite).Expand(request(transform, components=strings("n1", big=big)))
    assert "clients accept less than 4194304" in response.error
