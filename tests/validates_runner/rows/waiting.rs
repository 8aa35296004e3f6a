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
    (
        "pardo_logging",
        elsewhere(
            "tests/rim/shutdown.rs",
            "fn log_entries_name_bundle_and_transform_and_arrive_before_the_end(",
        ),
    ),
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
    (
        "timer_hold",
        elsewhere("tests/rim/timers.rs", "fn holds_are_as_they_were_set("),
    ),
    (
        "on_window_expiration",
        elsewhere("tests/job_service/timers.rs", "fn windows_expire("),
    ),
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
    (
        "metric_string_set",
        elsewhere(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    (
        "metric_bounded_trie",
        elsewhere(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    (
        "metric_histogram",
        elsewhere(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    ("metric_in_failed_bundle", How::Waits("more of the builder")),
    (
        "metric_names_with_odd_characters",
        How::Waits("more of the builder"),
    ),
    ("metric_element_counts", How::Waits("more of the builder")),
    (
        "metric_sampled_byte_size",
        elsewhere(
            "tests/rim/metrics.rs",
            "fn payloads_are_exact_and_each_metric_comes_once(",
        ),
    ),
    (
        "metric_exec_time",
        elsewhere(
            "tests/rim/times.rs",
            "fn a_bundle_that_no_sample_hits_has_times_all_the_same(",
        ),
    ),
    (
        "finalize_once",
        elsewhere(
            "tests/rim/finalize.rs",
            "fn callbacks_are_called_once_after_the_commit(",
        ),
    ),
    (
        "finalize_expired",
        elsewhere(
            "tests/rim/finalize.rs",
            "fn expired_callbacks_are_not_called(",
        ),
    ),
    ("resource_hints", How::Waits("more of the builder")),
    ("annotations", How::Waits("more of the builder")),
    ("display_data", How::Waits("more of the builder")),
    (
        "data_sampling",
        elsewhere(
            "tests/rim/sampling.rs",
            "fn samples_of_all_collections_have_the_coders_of_the_descriptor(",
        ),
    ),
    (
        "exception_sampling",
        elsewhere(
            "tests/rim/sampling.rs",
            "fn the_element_that_a_bundle_failed_at_is_kept(",
        ),
    ),
    ("drain", How::Waits("more of the builder")),
    (
        "cancel",
        elsewhere("tests/job_service/jobs.rs", "fn a_job_can_be_cancelled("),
    ),
    (
        "wait_timeout",
        elsewhere("tests/job_service/jobs.rs", "fn waiting_has_an_end("),
    ),
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
