//! Behaviours that other tests show.

use crate::behaviour::How;

const fn by(file: &'static str, test: &'static str) -> How {
    How::Elsewhere { file, test }
}

const EXPANSION: &str = "tests/xlang/test_expansion.py";

/// It runs on the same runners as what stands here.
const XLANG: &str = "tests/xlang/test_behaviours.py";

pub(crate) const ROWS: &[(&str, How)] = &[
    (
        "pardo_unknown_coder_passthrough",
        by(EXPANSION, "def test_elements_of_any_type_can_be_counted("),
    ),
    (
        "pardo_pipeline_options",
        by(
            EXPANSION,
            "def test_options_of_the_pipeline_reach_the_transform(",
        ),
    ),
    (
        "xlang_thirty_expansions",
        by(
            EXPANSION,
            "def test_thirty_expansions_share_one_environment(",
        ),
    ),
    (
        "xlang_no_output",
        by(EXPANSION, "def test_a_sink_has_no_outputs("),
    ),
    (
        "pardo_logging",
        by(
            "tests/job_service/logs.rs",
            "fn log_entries_reach_the_log_of_the_runner(",
        ),
    ),
    (
        "side_from_other_sdk",
        by(XLANG, "def test_side_from_other_sdk("),
    ),
    (
        "state_unkeyed_refused",
        by(
            "tests/compile_fail/cases/state.rs",
            "state and timers need a keyed input",
        ),
    ),
    (
        "on_window_expiration",
        by("tests/job_service/timers.rs", "fn windows_expire("),
    ),
    (
        "sdf_state_refused",
        by(
            "tests/compile_fail/cases/splittable.rs",
            "a splittable function is no DoFn: it cannot have state or timers",
        ),
    ),
    (
        "sdf_truncate_on_drain",
        by(
            "tests/rim/splittable/mod.rs",
            "fn draining_ends_what_would_not_end(",
        ),
    ),
    (
        "sdf_progress",
        by(
            "tests/rim/splittable/cuts.rs",
            "fn progress_is_that_of_the_element_in_hand(",
        ),
    ),
    (
        "metric_string_set",
        by(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    (
        "metric_bounded_trie",
        by(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    (
        "metric_histogram",
        by(
            "tests/job_service/observed.rs",
            "fn metrics_of_all_kinds_and_an_option_of_our_own(",
        ),
    ),
    // No runner here asks for samples.
    (
        "data_sampling",
        by(
            "tests/rim/sampling.rs",
            "fn samples_of_all_collections_have_the_coders_of_the_descriptor(",
        ),
    ),
    (
        "exception_sampling",
        by(
            "tests/rim/sampling.rs",
            "fn the_element_that_a_bundle_failed_at_is_kept(",
        ),
    ),
    (
        "cancel",
        by("tests/job_service/jobs.rs", "fn a_job_can_be_cancelled("),
    ),
    (
        "wait_timeout",
        by("tests/job_service/jobs.rs", "fn waiting_has_an_end("),
    ),
    (
        "xlang_python_rust_python",
        by(XLANG, "def test_python_rust_python("),
    ),
    ("xlang_windowed", by(XLANG, "def test_windowed(")),
    (
        "xlang_gbk_on_foreign_key",
        by(XLANG, "def test_gbk_on_foreign_key("),
    ),
    ("xlang_side_foreign", by(XLANG, "def test_side_foreign(")),
    ("xlang_two_services", by(XLANG, "def test_two_services(")),
    ("xlang_multi_output", by(XLANG, "def test_multi_output(")),
    ("xlang_no_input", by(XLANG, "def test_no_input(")),
    (
        "xlang_composite_names",
        by(XLANG, "def test_composite_names("),
    ),
];
