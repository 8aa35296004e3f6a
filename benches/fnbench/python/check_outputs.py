"""Runs a small bundle of every scenario, and compares the output with what it should be.

    python check_outputs.py FNBENCH HARNESS.json FOLDER [argument of `fnbench run`...]

A worker that is fast because it is wrong is worth nothing: check before measuring.
"""

import collections
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from apache_beam.coders import coder_impl
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners import pipeline_context

import stage

# Elements of a bundle, where the usual number makes no sense.
ELEMENTS = {"gbk_state": 1, "big": 20, "gbk_inline": 50}
USUAL = 30_000

# One run starts a worker and runs two bundles.
TIME_LIMIT_S = 120


class Scenario:
    """The files of a scenario, and what its worker is to make of them."""

    def __init__(self, folder):
        self.folder = folder
        self.name = folder.name
        self.json = json.loads((folder / "scenario.json").read_text())
        binary = (folder / "descriptor.pb").read_bytes()
        self.descriptor = beam_fn_api_pb2.ProcessBundleDescriptor.FromString(binary)
        self.elements = ELEMENTS.get(self.name, USUAL)
        self.case = self.json["cases"][0]

    def ceiling(self):
        """What the sink is to do to show the ceiling of this scenario, if it can."""
        modes = [ceiling["mode"] for ceiling in self.case["ceilings"]]
        return modes[0] if modes else None

    def decode(self, urn, data):
        """Elements in the coder of the only port of this kind."""
        [transform] = [
            transform
            for transform in self.descriptor.transforms.values()
            if transform.spec.urn == urn
        ]
        port = beam_fn_api_pb2.RemoteGrpcPort.FromString(transform.spec.payload)
        components = beam_runner_api_pb2.Components(
            coders=self.descriptor.coders,
            windowing_strategies=self.descriptor.windowing_strategies,
        )
        coder = pipeline_context.PipelineContext(components).coders[port.coder_id]
        stream = coder_impl.create_InputStream(data)
        while stream.size() > 0:
            yield coder.get_impl().decode_from_stream(stream, True)

    def input(self):
        """The encoded elements of a bundle."""
        templates = []
        data = (self.folder / self.json["source"]["templates"]).read_bytes()
        while data:
            [length] = struct.unpack_from("<I", data)
            templates.append(data[4 : 4 + length])
            data = data[4 + length :]
        for index in range(self.elements):
            element = bytearray(templates[index % len(templates)])
            for patch in self.json["source"]["patch"]:
                start, width = patch["offset"], patch["width"]
                number = index % patch["modulo"] if patch["modulo"] else index
                element[start : start + width] = number.to_bytes(width, "big")
            yield bytes(element)

    def values(self):
        """The decoded elements of a bundle."""
        encoded = b"".join(self.input())
        return [element.value for element in self.decode(stage.SOURCE_URN, encoded)]

    def is_right(self, output):
        """Whether the output of the second bundle, after one of the same input, is what it should be."""
        elements = list(self.decode(stage.SINK_URN, output))
        values = [element.value for element in elements]
        if any(len(element.windows) != 1 for element in elements):
            return False
        if self.name == "wordcount":
            return self._counts(values) == self._counts_of_input()
        if any(element.timestamp != 0 for element in elements):
            return False
        if self.name.startswith("identity") or self.name == "big":
            return output == b"".join(self.input())
        if self.name == "chain10":
            return values == [pair for pair in self.values() if pair[1][0] == 0]
        if self.name == "gbk_inline":
            return values == [(key, sum(map(len, all_))) for key, all_ in self.values()]
        if self.name == "gbk_state":
            return [length for _, length in values] == [100_000_000]
        if self.name == "state_value":
            return values == self._second_bundle(lambda count: count)
        if self.name == "state_bag":
            return values == self._second_bundle(lambda count: None if count % 10 else 160)
        raise ValueError(f"no one knows what {self.name} should put out")

    @staticmethod
    def _counts(pairs):
        """Partial counts added up. Some of Python's accumulators are lists."""
        counts = collections.Counter()
        for word, count in pairs:
            counts[word] += sum(count) if isinstance(count, list) else count
        return counts

    def _counts_of_input(self):
        return collections.Counter(word for line in self.values() for word in line.split(" "))

    def _second_bundle(self, result):
        """What a count for each key makes of the same input for the second time."""
        counts, output, values = collections.Counter(), [], self.values()
        for bundle in (1, 2):
            for key, _ in values:
                counts[key] += 1
                value = result(counts[key])
                if bundle == 2 and value is not None:
                    output.append((key, value))
        return output


def run(fnbench, harness, scenario, arguments, folder):
    """The output of the second bundle."""
    dump = pathlib.Path(folder) / "output"
    command = [fnbench, "run", "--harness", harness, "--scenario", scenario.folder]
    command += ["--case", scenario.case["name"], "--set", f"mode={scenario.ceiling()}"]
    command += ["--elements", str(scenario.elements), "--bundles", "1", "--warmup", "1"]
    # Small messages, so that elements are torn and joined.
    command += ["--settle-ms", "0", "--chunk-kb", "64", "--log-dir", folder]
    command += ["--dump-output", dump, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=TIME_LIMIT_S)
    return dump.read_bytes()


def main(fnbench, harness, folder, *arguments):
    wrong = 0
    is_sink = json.loads(pathlib.Path(harness).read_text())["name"] == "sink"
    for path in sorted(pathlib.Path(folder).glob("*/scenario.json")):
        scenario = Scenario(path.parent)
        if is_sink and scenario.ceiling() is None:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                right = scenario.is_right(run(fnbench, harness, scenario, arguments, scratch))
            except Exception as error:  # Wrong bytes can fail anywhere in a coder.
                print(f"{type(error).__name__}: {error}")
                right = False
        print(f"{scenario.name:12} {'right' if right else 'WRONG'}", flush=True)
        wrong += not right
    return wrong


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(bool(main(*sys.argv[1:])))
