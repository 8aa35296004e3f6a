"""What pipelines of several SDKs may expect, on each runner: `tests/validates_runner/behaviours.tsv` lists it."""

import dataclasses
import typing

import apache_beam as beam
import numpy
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.external import ImplicitSchemaPayloadBuilder
from apache_beam.transforms.external_transform_provider import ExternalTransformProvider
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from runners import eventually

# Pipelines of a few elements take seconds, but a runner must start first, on a machine that may be busy.
pytestmark = pytest.mark.timeout(120)


def rust(name, service, **config):
    """A transform of `tests/xlang/service`."""
    payload = ImplicitSchemaPayloadBuilder(config) if config else None
    return beam.ExternalTransform(f"ferrobeam:test:{name}", payload, service.address)


def suite_transform(name, suite):
    return beam.ExternalTransform(f"beam:transforms:xlang:{name}", None, suite)


PAIR = typing.Tuple[str, int]


def create(pipeline, label, kind, *elements):
    """Elements that are not spread over workers: that would cost runners a stage each."""
    return pipeline | label >> beam.Create(elements, reshuffle=False).with_output_types(kind)


class Place(typing.NamedTuple):
    city: str
    floor: typing.Optional[int]


class Reading(typing.NamedTuple):
    name: str
    count: int
    small: numpy.int32
    ratio: float
    valid: bool
    data: bytes
    note: typing.Optional[str]
    tags: typing.Sequence[str]
    sizes: typing.Mapping[str, int]
    place: Place
    at: Timestamp


for row in (Place, Reading):
    beam.coders.registry.register_coder(row, beam.coders.RowCoder)


READINGS = [
    Reading("a", 1, 2, 0.5, True, b"\0", None, ["x", "y"], {"s": 1}, Place("Aix", None), Timestamp(micros=1_000)),
    Reading("", -1, -(2**31) + 1, -1e300, False, b"", "", [], {}, Place("", -1), Timestamp(micros=-1_000)),
]

CORRECTED = [
    ("A", 0, -2, 1.0, False, b"\0\xff", "noted", ["y", "x"], {"s!": 2}, ("Aix West", None), Timestamp(micros=2_000)),
    ("", -2, 2**31 - 1, -2e300, True, b"\xff", None, [], {}, (" West", 0), Timestamp(0)),
]

# What goes there, what Rust makes of it, and Python's type of both.
VALUES = {
    "not": (bool, [True, False], [False, True]),
    "negate": (int, [0, 1, -(2**63) + 1], [0, -1, 2**63 - 1]),
    "halve": (float, [1.0, -3e-300, float("inf")], [0.5, -1.5e-300, float("inf")]),
    "reverse": (str, ["", "añ🦀"], ["", "🦀ña"]),
    "reverse_bytes": (bytes, [b"", b"\0\xff"], [b"", b"\xff\0"]),
    "reverse_list": (typing.Iterable[int], [[], [1, -2, 3]], [[], [3, -2, 1]]),
    "exchange": (typing.Optional[str], [None, "x"], ["something", None]),
    "swap": (typing.Tuple[str, typing.Tuple[int, str]], [("a", (1, "b"))], [((1, "b"), "a")]),
}


def plain(row):
    """The fields of a row of Rust, with plain rows and lists within."""
    fields = tuple(row)
    return (*fields[:7], list(fields[7]), dict(fields[8]), tuple(fields[9]), fields[10])


class Seen:
    """What a pipeline is to yield. It is compared all at once: a runner has few stages to run then."""

    def __init__(self):
        self.tagged = []
        self.expected = []

    def add(self, tag, collection, *elements):
        """In any order. Elements must be plain values, not rows."""
        globally = collection | f"{tag} in all" >> beam.WindowInto(GlobalWindows())
        self.tagged.append(globally | f"{tag} seen" >> beam.Map(lambda element, tag: (tag, element), tag))
        self.expected += [(tag, element) for element in elements]

    def check(self):
        assert_that(self.tagged | beam.Flatten(), equal_to(self.expected))


def test_python_rust_python(runner, behaviours):
    seen = Seen()
    with runner.pipeline() as pipeline:
        for name, (kind, values, expected) in VALUES.items():
            there = create(pipeline, f"{name} there", kind, *values)
            back = there | name >> rust(name, behaviours)
            if name == "reverse_list":
                # It may be any iterable on the way.
                back |= beam.Map(list)
            seen.add(name, back, *expected)
        readings = create(pipeline, "Readings", Reading, *READINGS)
        seen.add("rows", readings | "Rows" >> rust("correct", behaviours) | beam.Map(plain), *CORRECTED)
        seen.check()


class TellTime(beam.DoFn):
    def process(self, element, at=beam.DoFn.TimestampParam, window=beam.DoFn.WindowParam):
        yield element, float(at), float(window.start), float(window.end)


class TellWindow(beam.DoFn):
    def process(self, element, window=beam.DoFn.WindowParam):
        yield element, float(window.start), float(window.end)


def timed(pipeline, label, kind, *elements):
    untimed = create(pipeline, f"{label} untimed", typing.Tuple[kind, float], *elements)
    return untimed | label >> beam.MapTuple(TimestampedValue).with_output_types(kind)


def test_windowed(runner, behaviours, suite):
    seen = Seen()
    with runner.pipeline() as pipeline:
        letters = timed(pipeline, "Letters", str, ("a", 1), ("b", 8.5), ("b", 12), ("c", -3))

        # Rust sees the windows of Python, and Python the timestamps of Rust.
        fixed = letters | "Fixed" >> beam.WindowInto(FixedWindows(10, 5))
        told = fixed | rust("tell_time", behaviours)
        told |= beam.Map(lambda row: (row.text, *(float(time) for time in row[1:]))) | beam.ParDo(TellTime())
        seen.add(
            "times",
            told,
            (("a", 1, -5, 5), 2, -5, 5),
            (("b", 8.5, 5, 15), 9.5, 5, 15),
            (("b", 12, 5, 15), 13, 5, 15),
            (("c", -3, -5, 5), -2, -5, 5),
        )

        # Windows of Python group in Rust.
        def counted(tag, windowed, *expected):
            counts = windowed | f"Count {tag}" >> suite_transform("count", suite)
            seen.add(tag, counts | f"Tell {tag}" >> beam.ParDo(TellWindow()), *expected)

        counted("fixed", fixed, (("a", 1), -5, 5), (("c", 1), -5, 5), (("b", 2), 5, 15))
        counted(
            "sliding",
            letters | "Slide" >> beam.WindowInto(SlidingWindows(20, 10)),
            (("a", 1), -10, 10),
            (("a", 1), 0, 20),
            (("b", 1), -10, 10),
            (("b", 2), 0, 20),
            (("b", 1), 10, 30),
            (("c", 1), -20, 0),
            (("c", 1), -10, 10),
        )
        sessions = letters | "Sessions" >> beam.WindowInto(Sessions(4))
        counted("sessions", sessions, (("a", 1), 1, 5), (("b", 2), 8.5, 16), (("c", 1), -3, 1))

        # Windows of Rust group in Python.
        keyed = letters | rust("fixed_windows", behaviours) | "Key" >> beam.Map(lambda letter: (letter, letter))
        counts = keyed | beam.GroupByKey() | beam.MapTuple(lambda letter, all: (letter, len(list(all))))
        by_rust = [(("a", 1), 0, 10), (("b", 1), 0, 10), (("b", 1), 10, 20), (("c", 1), -10, 0)]
        seen.add("by Rust", counts | beam.ParDo(TellWindow()), *by_rust)
        seen.check()


@dataclasses.dataclass(frozen=True)
class Point:
    """A key that only Python can read."""

    x: int
    y: int


def test_gbk_on_foreign_key(runner, behaviours, suite):
    points = [(Point(1, 2), 1), (Point(2, 1), 10), (Point(1, 2), 100)]
    seen = Seen()
    with runner.pipeline() as pipeline:
        pairs = create(pipeline, "Points", typing.Tuple[Point, int], *points)
        grouped = pairs | suite_transform("test:gbk", suite) | beam.MapTuple(lambda point, n: (point, sorted(n)))
        seen.add("grouped", grouped, (Point(1, 2), [1, 100]), (Point(2, 1), [10]))
        seen.add("counted", pairs | suite_transform("count", suite), *((pair, 1) for pair in points))
        sums = pairs | rust("tenfold_sums", behaviours)
        seen.add("summed", sums, (Point(1, 2), 1010), (Point(2, 1), 100))

        # And the other way: Python groups by rows of Rust.
        words = create(pipeline, "Words", str, "ab", "b", "ac", "xyz")
        sums = words | rust("measure", behaviours) | beam.CombinePerKey(sum)
        sums |= "Plain" >> beam.MapTuple(lambda measure, n: (measure.initial, measure.letters, n))
        seen.add("by rows", sums, ("a", 2, 2), ("b", 1, 1), ("x", 3, 1))
        seen.check()


def looked_up(row):
    return row.key, row.offset, list(row.all), row.one, list(row.many)


def test_side_foreign(runner, behaviours, suite):
    """Each SDK reads what the other one made, in one pipeline."""

    def read(key, total, listed, iterated, mapped, grouped):
        return key, total, sorted(listed), sorted(iterated), mapped[key], list(grouped[key])

    seen = Seen()
    with runner.pipeline() as pipeline:
        numbers = create(pipeline, "Numbers", int, 1, 2, 3)
        negative = numbers | rust("negate", behaviours)
        total = negative | suite_transform("test:comgl", suite)
        pairs = negative | suite_transform("count", suite)
        made = create(pipeline, "Keys", int, -1, -3) | beam.Map(
            read,
            beam.pvalue.AsSingleton(total),
            beam.pvalue.AsList(negative),
            beam.pvalue.AsIter(negative),
            beam.pvalue.AsDict(pairs),
            beam.pvalue.AsMultiMap(pairs),
        )
        each = (-6, [-3, -2, -1], [-3, -2, -1], 1, [1])
        seen.add("Python", made, (-1, *each), (-3, *each))
        sides = {
            "keys": create(pipeline, "Letters", str, "a"),
            # One side input is of Rust, the others are of Python.
            "offset": total,
            "all": numbers,
            "one": create(pipeline, "One", PAIR, ("a", 1)),
            "many": create(pipeline, "None", PAIR),
        }
        found = sides | rust("look_up", behaviours) | "Found" >> beam.Map(looked_up)
        seen.add("Rust", found, ("a", -6, [1, 2, 3], 1, []))
        seen.check()


def test_side_from_other_sdk(runner, behaviours):
    seen = Seen()
    with runner.pipeline() as pipeline:
        sides = {
            "keys": create(pipeline, "Keys", str, "a", "b", "c"),
            "offset": create(pipeline, "Offset", int, -7),
            "all": create(pipeline, "All", int, 3, 1, 2),
            "one": create(pipeline, "One", PAIR, ("a", 1), ("b", 2)),
            "many": create(pipeline, "Many", PAIR, ("a", 2), ("c", 3), ("a", 1)),
        }
        seen.add(
            "views",
            sides | rust("look_up", behaviours) | beam.Map(looked_up),
            ("a", -7, [1, 2, 3], 1, [1, 2]),
            ("b", -7, [1, 2, 3], 2, []),
            ("c", -7, [1, 2, 3], None, [3]),
        )

        # Each window has values of its own.
        windowed = {
            "keys": timed(pipeline, "Early and late", str, ("a", 1), ("a", 12)),
            "offset": timed(pipeline, "One each", int, (1, 0), (2, 19)),
            "all": timed(pipeline, "Late", int, (5, 15), (6, 10)),
            "one": timed(pipeline, "Early", PAIR, (("a", 7), 9)),
            "many": timed(pipeline, "Some", PAIR, (("a", 8), 0), (("a", 9), 10), (("b", 9), 0)),
        }
        windowed = {tag: side | f"Window {tag}" >> beam.WindowInto(FixedWindows(10)) for tag, side in windowed.items()}
        found = windowed | "Look up in windows" >> rust("look_up", behaviours) | "Windowed" >> beam.Map(looked_up)
        seen.add("windows", found, ("a", 1, [], 7, [8]), ("a", 2, [5, 6], None, [9]))
        seen.check()


def test_two_services(runner, behaviours, more_behaviours):
    """Workers run in the processes of their services."""
    with runner.pipeline() as pipeline:
        signed = create(pipeline, "Letters", str, "a", "b")
        for step, service in enumerate((behaviours, more_behaviours, behaviours)):
            signed |= f"Sign {step}" >> rust("sign", service)
        first, second = behaviours.process.pid, more_behaviours.process.pid
        assert first != second
        assert_that(signed, equal_to([f"{letter}/{first}/{second}/{first}" for letter in "ab"]))
        environments = pipeline.to_runner_api().components.environments.values()
        assert len([one for one in environments if one.urn == "beam:env:external:v1"]) == 2


TEXTS = ["12", "word", "a-b", "-1", ""]


def test_multi_output(runner, behaviours, suite):
    seen = Seen()
    with runner.pipeline() as pipeline:
        texts = create(pipeline, "Texts", str, *TEXTS)
        by_kind = texts | rust("sort", behaviours)
        seen.add("numbers", by_kind["numbers"], 12, -1)
        seen.add("words", by_kind["words"], "word", "")
        rejected = by_kind["rejected"] | beam.Map(lambda row: row._asdict())
        seen.add("rejected", rejected, {"text": "a-b", "reason": "neither number nor word"})

        # An output may have no elements, and one may have no reader.
        again = by_kind["words"] | "Again" >> rust("sort", behaviours)
        seen.add("no numbers", again["numbers"])

        # Outputs go on into Rust.
        parts = by_kind["numbers"] | suite_transform("test:partition", suite)
        seen.add("even", parts["0"], 12)
        seen.add("odd", parts["1"], -1)
        seen.check()


def test_no_input(runner, behaviours, schema_transforms):
    repeat = ExternalTransformProvider(schema_transforms).Repeat
    seen = Seen()
    with runner.pipeline() as pipeline:
        seen.add("twice", pipeline | "Twice" >> repeat(data="x", times=2) | beam.Map(tuple), ("x",), ("x",))
        seen.add("never", pipeline | "Never" >> repeat(data="y", times=0) | "Nothing" >> beam.Map(tuple))
        # A source that runners may split.
        seen.add("numbers", pipeline | rust("sequence", behaviours, length=1000), *range(1000))
        seen.check()


class Outer(beam.PTransform):
    def __init__(self, service):
        super().__init__()
        self.service = service

    def expand(self, texts):
        return texts | "Mine" >> rust("sort", self.service)


STEP = "Outer/Mine/Sort/By kind"


def run_outer(runner, behaviours, texts):
    """Names of transforms by their ids, and what came of the pipeline."""
    pipeline = runner.pipeline()
    create(pipeline, "Texts", str, *texts) | "Outer" >> Outer(behaviours)
    transforms = pipeline.to_runner_api().components.transforms
    result = pipeline.run()
    result.wait_until_finish()
    return {id: transform.unique_name for id, transform in transforms.items()}, result


def test_composite_names(runner, behaviours):
    names, result = run_outer(runner, behaviours, TEXTS)
    assert STEP in names.values()
    metrics = result.metrics().query()
    (rejections,) = [found for found in metrics["counters"] if found.key.metric.name == "rejections"]
    assert rejections.result == 1
    (letters,) = [found for found in metrics["distributions"] if found.key.metric.name == "word_letters"]
    assert (letters.result.sum, letters.result.count) == (4, 2)
    for found in (rejections, letters):
        # Some runners tell the step's id, which the pipeline has the name of.
        assert names.get(found.key.step, found.key.step) == STEP
        assert found.key.metric.namespace == "test.Sort"


def test_composite_names_in_logs(runner, behaviours, caplog):
    names, _ = run_outer(runner, behaviours, ["to-be-logged"])

    def logged():
        texts = [record.getMessage() for record in caplog.records]
        text = "\n".join(texts) + (runner.log.read_text() if runner.log.exists() else "")
        return text if "to-be-logged is rejected" in text else None

    # The log of another process may lag behind.
    text = eventually(logged)
    steps = [STEP, *(id for id, name in names.items() if name == STEP)]
    assert any(f'transform_id: "{step}"' in text for step in steps)
