"""From a Python pipeline to the descriptor of one of its fused stages."""

import apache_beam as beam
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners import pipeline_context, pipeline_utils
from apache_beam.runners.portability.fn_api_runner import translations
from apache_beam.runners.worker import bundle_processor
from apache_beam.transforms import environments
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

SOURCE_URN = bundle_processor.DATA_INPUT_URN
SINK_URN = bundle_processor.DATA_OUTPUT_URN

# The driver puts its own addresses where the descriptor names any.
ADDRESS = "driver"


class Placeholder(beam.DoFn):
    """Stands where the stage begins and ends. The stage is cut out there, so it never runs."""

    def process(self, element):
        raise NotImplementedError("only the stage between the placeholders runs")


class Stage:
    """A bundle descriptor, its source transform, and the source's coder."""

    def __init__(self, descriptor, source, coder):
        self.descriptor = descriptor
        self.source = source
        self._coder = coder

    def encode(self, value):
        """Bytes of one element at time zero in the global window, as on the data plane."""
        element = WindowedValue(value, 0, (GlobalWindow(),))
        return self._coder.encode_nested(element)


def build(body, element_type, state_backed=False):
    """The fused stage of `body`, which reads elements of `element_type`.

    The stage is the one with a transform whose name contains BENCH. With `state_backed`, grouped values may continue
    in state.
    """
    pipeline = beam.Pipeline()
    source = (
        pipeline
        | "Impulse" >> beam.Impulse()
        | "SRC" >> beam.ParDo(Placeholder()).with_output_types(element_type)
    )
    body(source) | "SNK" >> beam.ParDo(Placeholder())
    context, stages = _fuse(pipeline, state_backed)
    [stage] = [stage for stage in stages if _is_measured(stage)]
    return _describe(stage, context)


def _is_measured(stage):
    return any(
        "BENCH" in transform.unique_name and transform.environment_id
        for transform in stage.transforms
    )


def _fuse(pipeline, state_backed):
    pipeline.visit(pipeline_utils.group_by_key_input_visitor(True))
    environment = environments.SubprocessSDKEnvironment.from_command_string("unused")
    proto = pipeline.to_runner_api(default_environment=environment)
    return translations.create_and_optimize_stages(
        pipeline_utils.merge_common_environments(proto),
        phases=[
            translations.annotate_downstream_side_inputs,
            translations.fix_side_input_pcoll_coders,
            translations.pack_combiners,
            translations.lift_combiners,
            translations.expand_sdf,
            translations.expand_gbk,
            _cut_at_placeholders,
            translations.sink_flattens,
            translations.greedily_fuse,
            translations.sort_stages,
            translations.setup_timer_mapping,
            translations.populate_data_channel_coders,
        ],
        known_runner_urns=frozenset(
            primitive.urn
            for primitive in (
                common_urns.primitives.FLATTEN,
                common_urns.primitives.GROUP_BY_KEY,
                common_urns.primitives.IMPULSE,
            )
        ),
        use_state_iterables=state_backed,
    )


def _cut_at_placeholders(stages, context):
    """An optimiser phase: placeholders become a source and a sink."""
    for stage in stages:
        transform = stage.transforms[0]
        if transform.unique_name.startswith("SRC"):
            port = dict(unique_name="SRC/Read", outputs=transform.outputs)
            yield _port("SRC", SOURCE_URN, port)
        elif transform.unique_name.startswith("SNK"):
            port = dict(unique_name="SNK/Write", inputs=transform.inputs)
            yield _port("SNK", SINK_URN, port)
        else:
            yield stage


def _port(name, urn, fields):
    spec = beam_runner_api_pb2.FunctionSpec(urn=urn, payload=name.encode())
    transform = beam_runner_api_pb2.PTransform(spec=spec, **fields)
    return translations.Stage(name, [transform], downstream_side_inputs=frozenset())


def _describe(stage, context):
    descriptor = beam_fn_api_pb2.ProcessBundleDescriptor()
    sources = []
    for transform in stage.transforms:
        copy = descriptor.transforms[transform.unique_name]
        copy.CopyFrom(transform)
        if transform.spec.urn not in (SOURCE_URN, SINK_URN):
            continue
        is_source = transform.spec.urn == SOURCE_URN
        [collection] = (transform.outputs if is_source else transform.inputs).values()
        coder = context.data_channel_coders[collection]
        port = beam_fn_api_pb2.RemoteGrpcPort(coder_id=coder)
        port.api_service_descriptor.url = ADDRESS
        copy.spec.payload = port.SerializeToString()
        if is_source:
            sources.append((transform.unique_name, coder))
    [(source, coder)] = sources
    for transform in stage.transforms:
        _add_referenced(descriptor, transform, context)
    descriptor.state_api_service_descriptor.url = ADDRESS
    coders = pipeline_context.PipelineContext(context.components).coders
    return Stage(descriptor, source, coders[coder].get_impl())


def _add_referenced(descriptor, transform, context):
    """Copies what a transform refers to."""
    known = context.components
    for collection in [*transform.inputs.values(), *transform.outputs.values()]:
        descriptor.pcollections[collection].CopyFrom(known.pcollections[collection])
        _add_coder(descriptor, known.pcollections[collection].coder_id, known)
        if collection in context.data_channel_coders:
            _add_coder(descriptor, context.data_channel_coders[collection], known)
        windowing = known.pcollections[collection].windowing_strategy_id
        strategy = known.windowing_strategies[windowing]
        descriptor.windowing_strategies[windowing].CopyFrom(strategy)
        _add_coder(descriptor, strategy.window_coder_id, known)
    if transform.environment_id:
        environment = known.environments[transform.environment_id]
        descriptor.environments[transform.environment_id].CopyFrom(environment)
    if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
        payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
        for state in payload.state_specs.values():
            spec = getattr(state, state.WhichOneof("spec"))
            single = state.HasField("read_modify_write_spec")
            _add_coder(
                descriptor, spec.coder_id if single else spec.element_coder_id, known
            )
    elif "combine_per_key" in transform.spec.urn:
        payload = beam_runner_api_pb2.CombinePayload.FromString(transform.spec.payload)
        _add_coder(descriptor, payload.accumulator_coder_id, known)


def _add_coder(descriptor, coder, known):
    if coder in descriptor.coders:
        return
    descriptor.coders[coder].CopyFrom(known.coders[coder])
    for component in known.coders[coder].component_coder_ids:
        _add_coder(descriptor, component, known)
