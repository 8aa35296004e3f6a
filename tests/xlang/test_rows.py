"""Rows that come from Python, and rows that go to it."""

import typing

import apache_beam as beam
import pytest
from apache_beam.portability.api import external_transforms_pb2, schema_pb2
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.external import SchemaAwareExternalTransform
from apache_beam.transforms.external_transform_provider import ExternalTransformProvider


def rows_of(named_tuple):
    """Lets Python encode a named tuple as a row; it pickles it otherwise."""
    beam.coders.registry.register_coder(named_tuple, beam.coders.RowCoder)
    return named_tuple


RENAME = "beam:schematransform:org.apache.beam:rename:v1"


@rows_of
class Item(typing.NamedTuple):
    id: str
    count: int
    index: int


@rows_of
class Loose(typing.NamedTuple):
    index: int
    unused: bytes
    count: typing.Optional[int]
    id: str


def test_a_configuration_may_have_a_keyword_for_a_field(schema_transforms):
    """Python does not write it, but other clients do; the published name is `from_`."""
    text = schema_pb2.FieldType(atomic_type=schema_pb2.STRING)
    schema = schema_pb2.Schema(
        fields=[schema_pb2.Field(name="from", type=text), schema_pb2.Field(name="to", type=text)],
        id="00000000-0000-4000-8000-0000000000f1",
    )
    payload = external_transforms_pb2.SchemaTransformPayload(
        identifier=RENAME, configuration_schema=schema, configuration_row=b"\x02\x00\x01a\x01b"
    )
    by_keyword = beam.ExternalTransform(
        "beam:expansion:payload:schematransform:v1", payload.SerializeToString(), schema_transforms
    )
    by_name = SchemaAwareExternalTransform(RENAME, schema_transforms, from_="a", to="b")
    with beam.Pipeline() as pipeline:
        rows = pipeline | beam.Create([1]) | beam.Select(a=int)
        for label, rename in (("keyword", by_keyword), ("name", by_name)):
            renamed = rows | label >> rename | label + " dict" >> beam.Map(lambda row: row._asdict())
            assert_that(renamed, equal_to([{"b": 1}]), label=label + " check")


def test_fields_may_be_called_like_methods_of_tuples(schema_transforms):
    rust = ExternalTransformProvider(schema_transforms)
    with beam.Pipeline() as pipeline:
        items = pipeline | beam.Create([Item("a", 2, 3), Item("b", 9, 0)]).with_output_types(Item)
        by_size = items | rust.Split(limit=5)
        fields = beam.Map(lambda row: (row.id, row.count, row.index))
        assert_that(by_size["small"] | "Small" >> fields, equal_to([("a", 2, 3)]), label="small")
        assert_that(by_size["large"] | "Large" >> fields, equal_to([("b", 9, 0)]), label="large")


def test_fields_are_matched_by_name(schema_transforms):
    """Another order, and one field more."""
    rust = ExternalTransformProvider(schema_transforms)
    with beam.Pipeline() as pipeline:
        rows = pipeline | beam.Create([5]) | beam.Select(
            index=lambda n: int(n), unused=lambda n: b"x", count=lambda n: int(2 * n), id=lambda n: str(n)
        )
        small = (rows | rust.Split(limit=100))["small"]
        assert_that(small | beam.Map(tuple), equal_to([("5", 10, 5)]))


def test_a_nullable_field_is_no_required_one(schema_transforms):
    rust = ExternalTransformProvider(schema_transforms)
    pipeline = beam.Pipeline()
    rows = pipeline | beam.Create([Loose(1, b"", None, "a")]).with_output_types(Loose)
    with pytest.raises(RuntimeError, match="field `count`.*nullable"):
        rows | rust.Split(limit=5)


def test_rows_of_any_shape(schema_transforms):
    rust = ExternalTransformProvider(schema_transforms)
    with beam.Pipeline() as pipeline:
        rows = pipeline | beam.Create([Loose(1, b"x", None, "a"), Loose(2, b"", 3, "b")]).with_output_types(Loose)
        scaled = rows | rust.Scale(field="count", factor=0.5)
        assert_that(scaled | beam.Map(tuple), equal_to([(1, b"x", None, "a"), (2, b"", 1.5, "b")]))
