//! The features `metrics` and `tracing`: what an application's recorder and subscriber are told.

use std::cell::RefCell;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tierce::Hub;
use tierce::store::Fault;
use tierce::testing::{ManualClock, Shelf};
use tracing::field::{Field, Visit};

#[tokio::test]
async fn a_recorder_is_told_the_counts_of_each_cache_by_name() {
    let hub = Hub::embedded();
    let cache = hub.local_cache::<u64, u64>("number").capacity(7).build();
    let load = || async { Ok::<_, std::io::Error>(1) };
    for _ in 0..3 {
        cache.get_or_load(&1, load).await.unwrap();
    }
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || hub.publish_metrics());
    let told = recorder.snapshotter().snapshot().into_vec();
    let value = |name: &str| {
        let (key, .., value) = told.iter().find(|(key, ..)| key.key().name() == name).unwrap();
        let labels: Vec<_> = key.key().labels().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels, [("cache", "number")], "{name}");
        match value {
            DebugValue::Counter(count) => *count as f64,
            DebugValue::Gauge(gauge) => gauge.0,
            DebugValue::Histogram(_) => panic!("{name} is a histogram"),
        }
    };
    let told = ["tierce_hits_total", "tierce_misses_total", "tierce_loads_total", "tierce_entries", "tierce_capacity"];
    assert_eq!(told.map(value), [2.0, 1.0, 1.0, 1.0, 7.0]);
}

#[tokio::test]
async fn a_recorder_is_told_how_the_store_is() {
    let shelf = Shelf::new(ManualClock::new().clock());
    let hub = Hub::builder().store(shelf.clone()).build();
    let cache = hub.cache::<u64, u64>("number").build();
    shelf.fail(Fault::Lost);
    for id in 0..3 {
        cache.get_or_load(&id, || async { Ok::<_, std::io::Error>(1) }).await.unwrap();
    }
    assert!(hub.invalidate_tag("numbers").await.is_err());
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || hub.publish_metrics());
    let told = recorder.snapshotter().snapshot().into_vec();
    let value = |name: &str| match &told.iter().find(|(key, ..)| key.key().name() == name).unwrap().3 {
        DebugValue::Counter(count) => *count as f64,
        DebugValue::Gauge(gauge) => gauge.0,
        DebugValue::Histogram(_) => panic!("{name} is a histogram"),
    };
    assert!(value("tierce_store_faults_total") >= 3.0);
    let told = ["tierce_store_away", "tierce_store_coherent", "tierce_store_untold", "tierce_store_damaged_total"];
    assert_eq!(told.map(value), [1.0, 0.0, 1.0, 0.0]);
}

thread_local! {
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each event of a thread as its fields' text. One for the whole process: subscribers of single threads miss
/// events whose place in the code was first reached by a thread without one.
struct Ear;

/// Hears from now on what happens on this thread.
fn listen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Ear).unwrap());
    HEARD.take();
}

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "tierce"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Words(String);
        impl Visit for Words {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if matches!(field.name(), "message" | "cache" | "outcome" | "tag") {
                    self.0 += &format!("{value:?} ");
                }
            }
        }
        let mut words = Words(String::new());
        event.record(&mut words);
        HEARD.with_borrow_mut(|heard| heard.push(words.0.trim().to_string()));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_subscriber_is_told_the_start_and_the_end_of_each_load_and_of_invalidated_tags() {
    listen();
    let hub = Hub::embedded();
    let cache = hub.local_cache::<u64, u64>("number").build();
    cache.get_or_load(&1, || async { Ok::<_, std::io::Error>(1) }).await.unwrap();
    cache.get_or_load(&1, || async { Ok::<_, std::io::Error>(2) }).await.unwrap();
    let failing = || async { Err::<u64, _>(std::io::Error::other("away")) };
    assert!(cache.get_or_load(&2, failing).await.is_err());
    hub.invalidate_tag("a").await.unwrap();
    let told = HEARD.take();
    let expected = [
        "load started \"number\"",
        "load ended \"number\" \"loaded\"",
        "load started \"number\"",
        "load ended \"number\" \"failed\"",
        "tag invalidated \"a\"",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_subscriber_is_told_of_a_value_that_was_not_kept() {
    listen();
    let hub = Hub::embedded();
    let cache = hub.local_cache::<u64, u64>("number").build();
    let load = || async move { hub.invalidate_tag("a").await.map(|()| 1) };
    assert_eq!(cache.entry(&1).tags(["a"]).get_or_load(load).await.unwrap(), 1);
    let told = HEARD.take();
    let expected = [
        "load started \"number\"",
        "tag invalidated \"a\"",
        "fill refused \"number\"",
        "load ended \"number\" \"loaded\"",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_recorder_is_told_load_times_as_counts_below_bounds() {
    let hub = Hub::embedded();
    let cache = hub.local_cache::<u64, u64>("number").build();
    for key in 0..5 {
        cache.get_or_load(&key, || async { Ok::<_, std::io::Error>(1) }).await.unwrap();
    }
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || hub.publish_metrics());
    let told = recorder.snapshotter().snapshot().into_vec();
    let bounds = told.iter().filter(|(key, ..)| key.key().name() == "tierce_load_time_total");
    let counts: Vec<_> =
        bounds.map(|(key, .., value)| (key.key().labels().any(|label| label.value() == "+Inf"), value)).collect();
    assert!(counts.len() > 1 && counts.contains(&(true, &DebugValue::Counter(5))), "{counts:?}");
}
