use serde_json::{Value, json};

use super::values::tests::from_json;
use super::*;

const GB: u64 = 1 << 30;

fn parse(options: Value) -> (WorkerOptions, Vec<String>) {
    WorkerOptions::parse(from_json(options), Some(16 * GB))
}

#[track_caller]
fn valid(options: Value) -> WorkerOptions {
    let (options, warnings) = parse(options);
    assert_eq!(warnings, Vec::<String>::new());
    options
}

#[test]
fn without_options_everything_has_its_default() {
    let options = valid(json!({}));
    assert_eq!(options.state_cache_bytes, 16 * GB / 10);
    assert_eq!(options.flush_bytes, 1 << 20);
    assert_eq!(options.flush_every, None);
    assert!(!options.streaming && !options.data_sampling);
    assert_eq!(options.exception_sampling, None);
    assert_eq!(options.element_timeout, None);
    assert_eq!((options.sampling_period, options.lull), (None, None));
    assert_eq!(options.log_levels, None);
    assert_eq!(options.harness_threads, None);
    assert_eq!(options.inbound_budget, None);
    assert_eq!(options.outbound_budget, None);
    assert_eq!(options.keepalive, None);
    assert_eq!(options.memory_limit, None);
}

#[test]
fn flat_options_with_numbers_as_text_are_read() {
    let options = valid(json!({
        "beam:option:streaming:v1": true,
        "beam:option:max_cache_memory_usage_mb:v1": "256",
        "beam:option:element_processing_timeout_minutes:v1": "7",
        "beam:option:harness_threads:v1": "12",
        "beam:option:inbound_budget_mb:v1": "64",
        "beam:option:outbound_budget_mb:v1": 8,
        "beam:option:grpc_keepalive_s:v1": "300",
        "beam:option:memory_limit_pct:v1": "50",
        "beam:option:default_sdk_harness_log_level:v1": "WARNING",
        "beam:option:sdk_harness_log_level_overrides:v1": {"shop.prices": "DEBUG"},
        "beam:option:experiments:v1":
            ["enable_data_sampling", "data_buffer_size_limit=4096", "state_sampling_period_millis=20"],
        "beam:option:somebody_elses:v1": {"x": 1},
    }));
    assert!(options.streaming && options.data_sampling);
    assert_eq!(options.flush_every, Some(STREAMING_FLUSH));
    assert_eq!(options.flush_bytes, 4096);
    assert_eq!(options.state_cache_bytes, 256 * MB);
    assert_eq!(options.element_timeout, Some(Duration::from_secs(7 * 60)));
    assert_eq!(options.harness_threads, Some(12));
    assert_eq!(options.inbound_budget, Some(64 << 20));
    assert_eq!(options.outbound_budget, Some(8 << 20));
    assert_eq!(options.keepalive, Some(Duration::from_secs(300)));
    assert_eq!(options.memory_limit, Some(16 * GB / 100 * 50));
    assert_eq!(options.sampling_period, Some(Duration::from_millis(20)));
    let levels = options.log_levels.expect("given");
    assert_eq!(levels.of("other"), LevelFilter::WARN);
    assert_eq!(levels.of("shop::prices"), LevelFilter::DEBUG);
    let others = options.submitted.get("somebodyElses");
    assert_eq!(others, Some(&json!({"x": 1})));
}

#[test]
fn older_options_in_camel_case_are_read() {
    let options = valid(json!({
        "options": {
            "streaming": "false",
            "maxCacheMemoryUsagePercent": 25,
            "elementProcessingTimeoutMinutes": -1,
            "defaultSdkHarnessLogLevel": "TRACE",
            "sdkHarnessLogLevelOverrides": "{\"a\": \"OFF\"}",
            "experiments": "state_sampling_period_millis=5,log_lull_timeout=90s, enable_always_on_exception_sampling,data_buffer_time_limit_ms=70",
        },
        "display_data": [],
    }));
    assert!(!options.streaming);
    assert_eq!(options.state_cache_bytes, 16 * GB / 100 * 25);
    assert_eq!(options.element_timeout, None);
    assert_eq!(options.exception_sampling, Some(true));
    assert_eq!(options.flush_every, Some(Duration::from_millis(70)));
    assert_eq!(options.sampling_period, Some(Duration::from_millis(5)));
    assert_eq!(options.lull, Some(Duration::from_secs(90)));
    let levels = options.log_levels.expect("given");
    assert_eq!(levels.of("a::b"), LevelFilter::OFF);
    assert_eq!(levels.of("b"), LevelFilter::TRACE);
}

#[test]
fn an_experiment_may_turn_off_what_is_on() {
    let options = valid(json!({
        "streaming": true,
        "max_cache_memory_usage_mb": 100,
        "experiments": [
            "state_cache_size=0", "data_buffer_time_limit_ms=0",
            "enable_always_on_exception_sampling", "disable_always_on_exception_sampling",
        ],
    }));
    assert_eq!(options.state_cache_bytes, 0);
    assert_eq!(options.flush_every, None);
    assert_eq!(options.exception_sampling, Some(false));
}

#[test]
fn options_of_our_own_may_be_experiments() {
    let options = valid(json!({"experiments": ["inbound_budget_mb=2", "harness_threads=3"]}));
    assert_eq!(options.inbound_budget, Some(2 << 20));
    assert_eq!(options.harness_threads, Some(3));
}

#[test]
fn the_element_timeout_is_also_read_in_the_notation_of_go() {
    let timeout = |text: &str| valid(json!({"element_processing_timeout": text})).element_timeout;
    assert_eq!(timeout("5m"), Some(Duration::from_secs(300)));
    assert_eq!(timeout("0s"), None);
}

#[test]
fn the_state_cache_is_a_tenth_of_memory_but_not_too_small() {
    let cache = |memory| {
        let options = json!({"max_cache_memory_usage_mb": 0});
        let (options, _) = WorkerOptions::parse(from_json(options), memory);
        options.state_cache_bytes
    };
    assert_eq!(cache(Some(32 * GB)), 32 * GB / 10);
    assert_eq!(cache(Some(512 * MB)), 100 * MB);
    assert_eq!(cache(Some(128 * MB)), 32 * MB);
    assert_eq!(cache(None), 100 * MB);
    let half = json!({"memory_limit_pct": 50});
    let (options, _) = WorkerOptions::parse(from_json(half), Some(32 * GB));
    assert_eq!(options.memory_limit, Some(32 * GB / 100 * 50));
    assert_eq!(options.state_cache_bytes, 32 * GB / 100 * 50 / 10);
}

#[test]
fn a_bad_value_is_named_and_the_default_kept() {
    let (options, warnings) = parse(json!({
        "streaming": "maybe",
        "harness_threads": 0,
        "element_processing_timeout": "long",
        "default_sdk_harness_log_level": "LOUD",
        "sdk_harness_log_level_overrides": {"a": "LOUD", "b": "INFO"},
        "experiments": ["data_buffer_size_limit=big"],
    }));
    let (defaults, _) = parse(json!({}));
    assert_eq!(options.streaming, defaults.streaming);
    assert_eq!(options.harness_threads, defaults.harness_threads);
    assert_eq!(options.element_timeout, defaults.element_timeout);
    assert_eq!(options.flush_bytes, defaults.flush_bytes);
    let levels = options.log_levels.expect("one is good");
    assert_eq!(levels.of("a"), LevelFilter::INFO);
    let names = [
        ("streaming", r#""maybe""#),
        ("data_buffer_size_limit", r#""big""#),
        ("element_processing_timeout", r#""long""#),
        ("default_sdk_harness_log_level", r#""LOUD""#),
        ("sdk_harness_log_level_overrides", "LOUD"),
        ("harness_threads", "0"),
    ];
    assert_eq!(warnings.len(), names.len(), "{warnings:#?}");
    for ((name, value), warning) in names.iter().zip(&warnings) {
        assert!(
            warning.contains(&format!("option {name} is ignored")),
            "{warning}"
        );
        assert!(warning.contains(value), "{warning}");
    }
}
