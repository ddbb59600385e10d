//! `GET /metrics`: the figures of the manager, in the text format of OpenMetrics, which Prometheus reads.

mod list;

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use self::list::METRICS;
use super::{auth::Authenticated, openapi::answers::LoginNeeded, problem::Problem};
use crate::app::{App, AppError, figures::Figures};

/// The content type of the format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Snapshot(Figures);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for metric in METRICS {
            let (name, unit) = metric.name_and_unit();
            let mut all = encoder.encode_descriptor(name, metric.help, unit.as_ref(), metric.r#type)?;
            let samples = (metric.samples)(&self.0);
            if metric.labels.is_empty() {
                if let Some((_, value)) = samples.first() {
                    encode(metric.r#type, *value, all)?;
                }
                continue;
            }
            for (values, value) in samples {
                let labels: Vec<(&str, String)> = metric.labels.iter().copied().zip(values).collect();
                encode(metric.r#type, value, all.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode(r#type: MetricType, value: f64, encoder: MetricEncoder<'_>) -> std::fmt::Result {
    match r#type {
        MetricType::Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(value).encode(encoder),
    }
}

fn write(figures: Figures) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(figures)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The figures of the manager, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "manager",
    responses(
        (
            status = 200,
            description = "The figures, in the text format of OpenMetrics",
            body = String,
            content_type = "application/openmetrics-text",
        ),
        LoginNeeded,
    ),
)]
pub async fn metrics(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    let text = write(app.figures(&caller).await?).map_err(|error| AppError::Internal(error.into()))?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        app,
        grid::access::{Caller, Role},
    };

    /// The documentation of what is here.
    const DOCS: &str = include_str!("../../../../docs/METRICS.md");

    async fn text() -> String {
        let (_dir, app) = app::temporary::app().await;
        let caller = Caller::at_socket("me".to_owned(), Some(Role::Viewer));
        write(app.figures(&caller).await.unwrap()).unwrap()
    }

    fn name_of(sample: &str) -> &str {
        sample.split(['{', ' ']).next().unwrap()
    }

    #[tokio::test]
    async fn every_metric_is_told_and_nothing_else() {
        let text = text().await;
        assert!(text.ends_with("# EOF\n"), "{text}");
        let told: BTreeSet<&str> = text.lines().filter(|line| !line.starts_with('#')).map(name_of).collect();
        let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(told, known);
    }

    #[tokio::test]
    async fn samples_are_written_with_their_labels() {
        let text = text().await;
        for line in [
            "# TYPE tomcat_grid_services gauge",
            "tomcat_grid_services{type=\"instance\",state=\"not_available\"} 0.0",
            "# TYPE tomcat_grid_events counter",
            "tomcat_grid_events_total{kind=\"manager.started\"} 1.0",
            "tomcat_grid_triggers_total{action=\"stop\",outcome=\"done\"} 0.0",
            "# UNIT tomcat_grid_journal_lag_seconds seconds",
            "tomcat_grid_disk_full 0.0",
        ] {
            assert!(text.lines().any(|told| told == line), "`{line}` is not in\n{text}");
        }
    }

    #[test]
    fn the_documentation_lists_every_metric() {
        let rows: Vec<String> = METRICS.iter().map(list::Metric::row).collect();
        let documented: Vec<&str> = DOCS.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(documented, rows, "docs/METRICS.md must hold these rows:\n{}", rows.join("\n"));
    }
}
