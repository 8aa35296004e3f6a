"""Writes the scenarios, with functions for the Python worker.

    python export_scenarios.py FOLDER

Each scenario is a folder with a bundle descriptor, encoded elements and scenario.json, which benches/README.md
describes. The functions live in this file because Beam sends what is defined in the main module by value: the worker
needs nothing but the descriptor.
"""

import json
import pathlib
import random
import struct
import sys
import typing

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec

import stage

Pair = typing.Tuple[bytes, bytes]

# An encoded element begins with eight bytes of time, four of window count, none of global window and one of pane.
HEADER = 13

# Inputs and vocabulary are the same each time.
RANDOM = random.Random(42)


class Identity(beam.DoFn):
    def process(self, element):
        yield element


class FilterPercent(beam.DoFn):
    """Keeps the values that begin with a zero byte: one in a hundred."""

    def process(self, element):
        if element[1][0] == 0:
            yield element


class SplitWords(beam.DoFn):
    def process(self, line):
        for word in line.split(" "):
            yield (word, 1)


class CountPerKey(beam.DoFn):
    """Reads, changes and writes a value for each element."""

    COUNT = ReadModifyWriteStateSpec("count", coders.VarIntCoder())

    def process(self, element, count=beam.DoFn.StateParam(COUNT)):
        number = (count.read() or 0) + 1
        count.write(number)
        yield (element[0], number)


class BatchPerKey(beam.DoFn):
    """Adds each element to a bag, and reads and empties it at every tenth of a key."""

    COUNT = ReadModifyWriteStateSpec("count", coders.VarIntCoder())
    BATCH = BagStateSpec("batch", coders.BytesCoder())

    def process(
        self,
        element,
        count=beam.DoFn.StateParam(COUNT),
        batch=beam.DoFn.StateParam(BATCH),
    ):
        number = (count.read() or 0) + 1
        batch.add(element[1][:16])
        if number < 10:
            count.write(number)
            return
        length = sum(len(part) for part in batch.read())
        batch.clear()
        count.clear()
        yield (element[0], length)


class SumLengths(beam.DoFn):
    def process(self, element):
        length = 0
        for value in element[1]:
            length += len(value)
        yield (element[0], length)


def par_do(function, result=Pair):
    """A body of one measured function."""
    return lambda source: source | "BENCH" >> beam.ParDo(function).with_output_types(result)


def chain(source):
    for index in range(10):
        step = beam.ParDo(Identity()).with_output_types(Pair)
        source = source | f"BENCH{index}" >> step
    return source | "BENCHFilter" >> beam.ParDo(FilterPercent()).with_output_types(Pair)


def count_words(source):
    split = beam.ParDo(SplitWords()).with_output_types(typing.Tuple[str, int])
    return source | "BENCHSplit" >> split | "Count" >> beam.CombinePerKey(sum)


def group(source):
    return par_do(SumLengths(), typing.Tuple[bytes, int])(source | "GBK" >> beam.GroupByKey())


def value(index, length=100):
    """Pseudo-random bytes after one that FilterPercent looks at."""
    return bytes([index % 100]) + RANDOM.randbytes(length - 1)


def case(name, elements, ceilings=(), **others):
    """A case. Ceilings are modes of fnsink with the number of bundles, None for that of the case."""
    return {
        "name": name,
        "elements_per_bundle": elements,
        "bundles": 3,
        "warmup_bundles": 1,
        "concurrency": 1,
        "ceilings": [
            {"mode": mode} if bundles is None else {"mode": mode, "bundles": bundles}
            for mode, bundles in ceilings
        ],
        **others,
    }


def key_patch(modulo=0):
    """Eight bytes of key after the header and the key's length become the element's index."""
    return [{"offset": HEADER + 1, "width": 8, "modulo": modulo}]


def write_elements(path, elements):
    with open(path, "wb") as file:
        for element in elements:
            file.write(struct.pack("<I", len(element)))
            file.write(element)


def write(folder, name, about, built, elements, cases, patch=(), units=1, state=None):
    """Writes one scenario. `state` is the key, the elements and the number of a tail that the runner keeps."""
    path = pathlib.Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    built.descriptor.id = name
    serialized = built.descriptor.SerializeToString(deterministic=True)
    (path / "descriptor.pb").write_bytes(serialized)
    write_elements(path / "input.tpl", elements)
    tails = []
    if state is not None:
        key, tail, count = state
        write_elements(path / "state.tpl", tail)
        tails.append({"runner_key": key, "templates": "state.tpl", "count": count})
    scenario = {
        "name": name,
        "about": about,
        "descriptor": "descriptor.pb",
        "source": {
            "transform_id": built.source,
            "templates": "input.tpl",
            "patch": list(patch),
        },
        "units_per_element": units,
        "state": tails,
        "cases": cases,
    }
    (path / "scenario.json").write_text(json.dumps(scenario, indent=1) + "\n")


def pairs(built, count=100):
    """Pairs of 8 and 100 bytes. The key is patched."""
    return [built.encode((bytes(8), value(index))) for index in range(count)]


def export_identity(folder):
    built = stage.build(par_do(Identity()), Pair)
    elements = pairs(built)
    assert elements[0][HEADER] == 8 and len(elements[0]) == 123, elements[0]
    few = list(range(1, 11))
    cases = [
        case("a", 1_000_000, [("recode", 20), ("echo", 20), ("drain", 20)]),
        case("h", 100, [("echo", None)], bundles=20, warmup_bundles=0),
        case("c1", few, [("echo", None)], bundles=10_000, warmup_bundles=500),
        case(
            "c16",
            few,
            [("echo", 100_000)],
            bundles=10_000,
            warmup_bundles=500,
            concurrency=16,
        ),
    ]
    about = "one function that yields each pair of 8 and 100 bytes; h: cold start; c: 1 to 10 elements, 1 or 16 at a time"
    write(folder, "identity", about, built, elements, cases, key_patch())


def export_identity_map(folder):
    body = lambda source: source | "BENCH" >> beam.Map(lambda pair: pair).with_output_types(Pair)
    built = stage.build(body, Pair)
    cases = [case("a", 1_000_000, [("recode", 20)])]
    about = "as identity, but the function returns each pair"
    write(folder, "identity_map", about, built, pairs(built), cases, key_patch())


def export_chain(folder):
    built = stage.build(chain, Pair)
    cases = [case("b", 1_000_000, [("filter", 20)])]
    about = "ten functions that yield each pair, and a filter that one in a hundred passes"
    write(folder, "chain10", about, built, pairs(built), cases, key_patch())


def export_word_count(folder):
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(RANDOM.choices(letters, k=RANDOM.randint(2, 10))) for _ in range(10_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    lines = [" ".join(RANDOM.choices(words, weights, k=10)) for _ in range(20_000)]
    built = stage.build(count_words, str)
    elements = [built.encode(line) for line in lines]
    cases = [case("d", 200_000, [("wc", 20), ("drain", 20)])]
    about = "lines of 10 words of 10,000, split and counted before the shuffle; a unit is a word"
    write(folder, "wordcount", about, built, elements, cases, units=10)


def export_state(folder):
    for name, function, ceiling in [
        ("state_value", CountPerKey(), True),
        ("state_bag", BatchPerKey(), False),
    ]:
        built = stage.build(par_do(function, typing.Tuple[bytes, int]), Pair)
        some = dict(bundles=20, warmup_bundles=5)
        modes = [[("state", 20)], [("state", 200)], [("statenc", 50)]] if ceiling else [[]] * 3
        cases = [
            case("e1", 100_000, modes[0], cache_tokens=True),
            case("e20", 1000, modes[1], cache_tokens=True, **some),
            case("e20nc", 1000, modes[2], cache_tokens=False, **some),
        ]
        about = "state of 1000 keys; e1: 100 elements of each; e20: one of each in 20 bundles; nc: no cache tokens"
        write(folder, name, about, built, pairs(built), cases, key_patch(1000))


def export_big(folder):
    built = stage.build(par_do(Identity()), Pair)
    elements = [built.encode((bytes(8), RANDOM.randbytes(1 << 20)))]
    cases = [case("f", 1000, [("echo", None), ("drain", None)])]
    write(folder, "big", "as identity, with values of a MiB", built, elements, cases)


def export_grouped(folder):
    values = [value(index) for index in range(1000)]
    built = stage.build(group, Pair)
    elements = [built.encode((bytes(8), values))]
    cases = [case("g1", 1000, [("iter", 20)])]
    about = "the lengths of 1000 values for each of 1000 keys; a unit is a value"
    write(folder, "gbk_inline", about, built, elements, cases, key_patch(), units=1000)

    built = stage.build(group, Pair, state_backed=True)
    # Time, windows, pane, key, the unknown count of a state-backed iterable, a piece with its count, the mark of a
    # token, and the token with its length.
    head = built.encode((bytes(8), []))[: HEADER + 9]
    nested = [coders.BytesCoder().get_impl().encode_nested(each) for each in values]
    varint = coders.VarIntCoder().encode
    token = b"iter0"
    element = b"".join(
        [
            head,
            struct.pack(">i", -1),
            varint(len(values)),
            *nested,
            varint(-1),
            varint(len(token)),
            token,
        ]
    )
    cases = [case("g2", 1, [("iter", 20)])]
    about = "the lengths of a million values of one key, all but 1000 in pages of state; a unit is a value"
    tail = (token.decode(), nested, 999_000)
    write(folder, "gbk_state", about, built, [element], cases, units=1_000_000, state=tail)


def main(folder):
    export_identity(folder)
    export_identity_map(folder)
    export_chain(folder)
    export_word_count(folder)
    export_state(folder)
    export_big(folder)
    export_grouped(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
