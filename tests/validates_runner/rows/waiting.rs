//! Behaviours that are shown elsewhere, and those that wait for what they need.

use crate::behaviour::How;

const fn elsewhere(file: &'static str, test: &'static str) -> How {
    How::Elsewhere { file, test }
}

const EXPANSION: &str = "tests/xlang/test_expansion.py";

pub(crate) const ROWS: &[(&str, How)] = &[
    (
        "pardo_unknown_coder_passthrough",
        elsewhere(EXPANSION, "def test_elements_of_any_type_can_be_counted("),
    ),
    (
        "pardo_pipeline_options",
        elsewhere(
            EXPANSION,
            "def test_options_of_the_pipeline_reach_the_transform(",
        ),
    ),
    (
        "xlang_thirty_expansions",
        elsewhere(
            EXPANSION,
            "def test_thirty_expansions_share_one_environment(",
        ),
    ),
    (
        "xlang_no_output",
        elsewhere(EXPANSION, "def test_a_sink_has_no_outputs("),
    ),
    ("pardo_logging", How::Waits("more of the builder")),
    (
        "gbk_output_timestamp_end",
        How::Waits("more of the builder"),
    ),
    (
        "gbk_output_timestamp_earliest",
        How::Waits("more of the builder"),
    ),
    (
        "gbk_output_timestamp_latest",
        How::Waits("more of the builder"),
    ),
    ("cogbk_two", How::Waits("more of the builder")),
    ("cogbk_three", How::Waits("more of the builder")),
    ("combine_global_top", How::Waits("more of the builder")),
    ("combine_global_sample", How::Waits("more of the builder")),
    ("combine_hot_key", How::Waits("more of the builder")),
    ("combine_tuple", How::Waits("more of the builder")),
    ("window_custom", How::Waits("triggers and test streams")),
    (
        "window_custom_merging",
        How::Waits("triggers and test streams"),
    ),
    (
        "window_observe_sliding",
        How::Waits("triggers and test streams"),
    ),
    (
        "window_not_observed",
        How::Waits("triggers and test streams"),
    ),
    (
        "window_end_of_time",
        How::Waits("triggers and test streams"),
    ),
    (
        "trigger_after_count",
        How::Waits("triggers and test streams"),
    ),
    (
        "trigger_early_late",
        How::Waits("triggers and test streams"),
    ),
    (
        "trigger_discarding",
        How::Waits("triggers and test streams"),
    ),
    (
        "trigger_accumulating",
        How::Waits("triggers and test streams"),
    ),
    ("late_data_dropped", How::Waits("triggers and test streams")),
    (
        "late_data_within_lateness",
        How::Waits("triggers and test streams"),
    ),
    ("side_from_other_sdk", How::Waits("more of the builder")),
    ("state_after_failure", How::Waits("state")),
    (
        "state_unkeyed_refused",
        elsewhere(
            "tests/compile_fail/cases/timers.rs",
            "state and timers need a keyed input",
        ),
    ),
    ("timer_event_window_end", How::Waits("timers")),
    ("timer_event_relative", How::Waits("timers")),
    ("timer_processing_relative", How::Waits("timers")),
    ("timer_clear", How::Waits("timers")),
    ("timer_reset_later", How::Waits("timers")),
    ("timer_reset_earlier", How::Waits("timers")),
    ("timer_two_families", How::Waits("timers")),
    ("timer_dynamic_tags", How::Waits("timers")),
    ("timer_sets_timer", How::Waits("timers")),
    ("timer_sets_earlier_timer_in_bundle", How::Waits("timers")),
    ("timer_output_timestamp", How::Waits("timers")),
    ("timer_hold", How::Waits("timers")),
    ("timer_reads_state", How::Waits("timers")),
    ("timer_key_available", How::Waits("timers")),
    ("timer_past_window_refused", How::Waits("timers")),
    ("on_window_expiration", How::Waits("timers")),
    ("timer_after_drain", How::Waits("timers")),
    ("sdf_offsets", How::Waits("splittable functions")),
    ("sdf_initial_splits", How::Waits("splittable functions")),
    ("sdf_checkpoint_resume", How::Waits("splittable functions")),
    ("sdf_resume_delay", How::Waits("splittable functions")),
    ("sdf_runner_split", How::Waits("splittable functions")),
    ("sdf_multi_window", How::Waits("splittable functions")),
    ("sdf_side_input", How::Waits("splittable functions")),
    ("sdf_multi_output", How::Waits("splittable functions")),
    ("sdf_state_refused", How::Waits("splittable functions")),
    (
        "sdf_unbounded_watermark",
        How::Waits("splittable functions"),
    ),
    ("sdf_truncate_on_drain", How::Waits("splittable functions")),
    ("sdf_unclaimed_error", How::Waits("splittable functions")),
    ("sdf_progress", How::Waits("splittable functions")),
    (
        "sdf_large_restriction_size",
        How::Waits("splittable functions"),
    ),
    ("file_read_splits", How::Waits("splittable functions")),
    ("metric_counter", How::Waits("more of the builder")),
    ("metric_distribution", How::Waits("more of the builder")),
    ("metric_gauge", How::Waits("more of the builder")),
    ("metric_string_set", How::Waits("more of the builder")),
    ("metric_bounded_trie", How::Waits("more of the builder")),
    ("metric_histogram", How::Waits("more of the builder")),
    ("metric_in_failed_bundle", How::Waits("more of the builder")),
    (
        "metric_names_with_odd_characters",
        How::Waits("more of the builder"),
    ),
    ("metric_element_counts", How::Waits("more of the builder")),
    (
        "metric_sampled_byte_size",
        How::Waits("more of the builder"),
    ),
    ("metric_exec_time", How::Waits("more of the builder")),
    ("finalize_once", How::Waits("more of the builder")),
    ("finalize_expired", How::Waits("more of the builder")),
    ("resource_hints", How::Waits("more of the builder")),
    ("annotations", How::Waits("more of the builder")),
    ("display_data", How::Waits("more of the builder")),
    ("data_sampling", How::Waits("more of the builder")),
    ("exception_sampling", How::Waits("more of the builder")),
    ("drain", How::Waits("more of the builder")),
    ("cancel", How::Waits("more of the builder")),
    ("wait_timeout", How::Waits("more of the builder")),
    ("requirements_declared", How::Waits("more of the builder")),
    (
        "xlang_python_rust_python",
        How::Waits("a pipeline in Python"),
    ),
    ("xlang_windowed", How::Waits("a pipeline in Python")),
    (
        "xlang_gbk_on_foreign_key",
        How::Waits("a pipeline in Python"),
    ),
    ("xlang_side_foreign", How::Waits("a pipeline in Python")),
    ("xlang_two_services", How::Waits("a pipeline in Python")),
    ("xlang_multi_output", How::Waits("a pipeline in Python")),
    ("xlang_no_input", How::Waits("a pipeline in Python")),
    ("xlang_composite_names", How::Waits("a pipeline in Python")),
];
