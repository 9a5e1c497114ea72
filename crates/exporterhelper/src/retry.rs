//! The times at which a request is tried again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use otlp_profiles::ProfilesRequest;
use tokio::time::{Instant, sleep};
use tower::retry::{Policy, RetryLayer};
use tracing::info;

use crate::config::{QueueConfig, RetryConfig};
use crate::{Delivered, DeliverySettings, SendError, Stop};

/// The longest that a server may ask us to wait: a server that asks for years is broken, and the exporter is not to
/// stop for good.
const MAX_THROTTLE: Duration = Duration::from_secs(600);

/// Tries a request of that queue again by the policy of the exporter's `retry_on_failure`.
#[must_use]
pub fn retry_layer(
    settings: &DeliverySettings,
    config: &RetryConfig,
    queue: &QueueConfig,
    stop: &Stop,
) -> RetryLayer<RetryPolicy> {
    let max_elapsed_time = config.max_elapsed_time(queue);
    RetryLayer::new(RetryPolicy { max_elapsed_time, ..RetryPolicy::new(settings, config, stop) })
}

/// The Collector's `retry_on_failure`: intervals that grow, off by chance so that agents do not all come at
/// once, and never shorter than the server asks for,
/// which counts up to ten minutes.
///
/// Once the stream has [stopped](Stop), a request that waits is tried one last time at once, and nothing is tried
/// again.
#[derive(Clone)]
pub struct RetryPolicy {
    config: Arc<RetryConfig>,
    /// Time after which a request is dropped; zero for never.
    max_elapsed_time: Duration,
    settings: DeliverySettings,
    stop: Stop,
    /// Returns a random number from 0 to 1.
    chance: fn() -> f64,
    /// Interval before the next attempt.
    interval: Duration,
    /// Start of the first attempt.
    started: Instant,
    /// Attempts that are over; 0 in the policy that each request takes a copy of.
    attempts: u32,
}

impl RetryPolicy {
    fn new(settings: &DeliverySettings, config: &RetryConfig, stop: &Stop) -> Self {
        Self {
            config: Arc::new(config.clone()),
            max_elapsed_time: config.max_elapsed_time(&QueueConfig::default()),
            settings: settings.clone(),
            stop: stop.clone(),
            chance: fastrand::f64,
            interval: config.initial_interval,
            started: Instant::now(),
            attempts: 0,
        }
    }

    /// Returns the time until the next attempt, before the server's wish is considered.
    fn backoff(&mut self) -> Duration {
        let RetryConfig { randomization_factor, multiplier, max_interval, .. } = *self.config;
        let off = randomization_factor * (2.0 * (self.chance)() - 1.0);
        let backoff = scaled(self.interval, 1.0 + off);
        self.interval = scaled(self.interval, multiplier).min(max_interval);
        backoff
    }
}

/// The product of an interval and a factor; if it does not fit, the longest duration.
fn scaled(interval: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(interval.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

impl Policy<ProfilesRequest, Delivered, SendError> for RetryPolicy {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        _request: &mut ProfilesRequest,
        result: &mut Result<Delivered, SendError>,
    ) -> Option<Self::Future> {
        self.attempts = self.attempts.saturating_add(1);
        let Err(SendError::Retryable { reason, after }) = result else { return None };
        if !self.config.enabled || self.stop.has_ended() {
            return None;
        }
        let interval = self.backoff().max(after.unwrap_or_default().min(MAX_THROTTLE));
        let max = self.max_elapsed_time;
        if !max.is_zero() && self.started.elapsed().saturating_add(interval) > max {
            *reason = format!("no more retries left: {reason}");
            return None;
        }
        self.settings.status.failed(reason);
        info!(exporter = %self.settings.id, error = %reason, ?interval, "Exporting failed. Will retry the request after interval.");
        let stop = self.stop.clone();
        Some(Box::pin(async move {
            tokio::select! {
                () = sleep(interval) => {}
                () = stop.ended() => {}
            }
        }))
    }

    fn clone_request(&mut self, request: &ProfilesRequest) -> Option<ProfilesRequest> {
        // Called before each attempt, and before the first one on the policy of all requests.
        if self.attempts == 0 {
            self.started = Instant::now();
        }
        Some(request.clone())
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(config: RetryConfig, chance: fn() -> f64, stop: &Stop) -> RetryPolicy {
        RetryPolicy { chance, ..RetryPolicy::new(&DeliverySettings::new("otlp"), &config, stop) }
    }

    /// The time of each attempt, in milliseconds, and the outcome of the last, if the server responds with `answers`
    /// and repeats the last of them.
    async fn attempts(
        policy: RetryPolicy,
        answers: Vec<Result<Delivered, SendError>>,
    ) -> (Vec<u128>, Result<Delivered, SendError>) {
        let began = Instant::now();
        let log = Arc::new(Mutex::new(Vec::new()));
        let server = service_fn({
            let log = log.clone();
            move |_: ProfilesRequest| {
                let mut log = log.lock().unwrap();
                let answer = answers.get(log.len()).or(answers.last()).unwrap().clone();
                log.push(began.elapsed().as_millis());
                async { answer }
            }
        });
        let mut service = RetryLayer::new(policy).layer(server);
        let result = service.ready().await.unwrap().call(request()).await;
        let log = log.lock().unwrap().clone();
        (log, result)
    }

    fn request() -> ProfilesRequest {
        ProfilesRequest { bytes: b"r".as_slice().into(), samples: 1 }
    }

    fn unavailable() -> Result<Delivered, SendError> {
        Err(SendError::retryable("unavailable"))
    }

    fn throttled(seconds: u64) -> Result<Delivered, SendError> {
        let after = Some(Duration::from_secs(seconds));
        Err(SendError::Retryable { reason: "slow down".to_owned(), after })
    }

    #[tokio::test(start_paused = true)]
    async fn intervals_grow_to_the_longest_and_end_before_they_would_pass_the_time_for_all() {
        let (made, result) =
            attempts(policy(RetryConfig::default(), || 0.5, &Stop::default()), vec![unavailable()]).await;
        // 5 s, 7.5, 11.25, 16.875, 25.3125, then 30 s each, to 5 minutes at most.
        assert_eq!(
            made,
            [
                0, 5_000, 12_500, 23_750, 40_625, 65_938, 95_938, 125_938, 155_938, 185_938, 215_938,
                245_938, 275_938
            ]
        );
        assert_eq!(result, Err(SendError::retryable("no more retries left: unavailable")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_is_off_by_at_most_its_share() {
        for (chance, second) in [((|| 0.0) as fn() -> f64, 2_500), (|| 1.0, 7_500)] {
            let answers = vec![unavailable(), Ok(Delivered::default())];
            let (made, result) =
                attempts(policy(RetryConfig::default(), chance, &Stop::default()), answers).await;
            assert_eq!((made, result), (vec![0, second], Ok(Delivered::default())));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_may_ask_for_a_longer_interval_but_not_for_a_shorter_one() {
        let answers = vec![throttled(60), throttled(1), Ok(Delivered::default())];
        let (made, _) = attempts(policy(RetryConfig::default(), || 0.5, &Stop::default()), answers).await;
        assert_eq!(made, [0, 60_000, 67_500]);
        let (made, result) =
            attempts(policy(RetryConfig::default(), || 0.5, &Stop::default()), vec![throttled(301)]).await;
        assert_eq!(made, [0], "it would be too late then");
        assert!(result.is_err());
    }

    /// `Retry-After: 18446744073709551615`.
    #[tokio::test(start_paused = true)]
    async fn no_server_stops_an_exporter_for_good() {
        let config = RetryConfig { max_elapsed_time: Some(Duration::ZERO), ..RetryConfig::default() };
        let answers = vec![throttled(u64::MAX), Ok(Delivered::default())];
        let (made, result) = attempts(policy(config, || 0.5, &Stop::default()), answers).await;
        assert_eq!((made, result), (vec![0, 600_000], Ok(Delivered::default())));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_end_it_is_tried_for_ever() {
        let config = RetryConfig { max_elapsed_time: Some(Duration::ZERO), ..RetryConfig::default() };
        let mut answers = vec![unavailable(); 1000];
        answers.push(Ok(Delivered::default()));
        let (made, result) = attempts(policy(config, || 0.5, &Stop::default()), answers).await;
        assert_eq!((made.len(), result), (1001, Ok(Delivered::default())));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_permanent_or_not_to_be_tried_again_is_tried_once() {
        let never = Err(SendError::permanent("no such method"));
        let (made, result) =
            attempts(policy(RetryConfig::default(), || 0.5, &Stop::default()), vec![never.clone()]).await;
        assert_eq!((made, result), (vec![0], never));
        let disabled = RetryConfig { enabled: false, ..RetryConfig::default() };
        let (made, result) = attempts(policy(disabled, || 0.5, &Stop::default()), vec![unavailable()]).await;
        assert_eq!((made, result), (vec![0], unavailable()));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_of_the_stream_what_waits_is_tried_once_more_at_once() {
        let stop = Stop::default();
        let waiting =
            tokio::spawn(attempts(policy(RetryConfig::default(), || 0.5, &stop), vec![unavailable()]));
        sleep(SECOND).await;
        stop.end();
        let (made, result) = waiting.await.unwrap();
        assert_eq!((made, result), (vec![0, 1_000], unavailable()));
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_has_its_own_time() {
        let service = service_fn(|_: ProfilesRequest| async { unavailable() });
        let policy = policy(RetryConfig::default(), || 0.5, &Stop::default());
        let mut service = RetryLayer::new(policy).layer(service);
        for _ in 0..2 {
            let began = Instant::now();
            let _given_up = service.ready().await.unwrap().call(request()).await;
            assert_eq!(began.elapsed().as_secs(), 275);
        }
    }
}
