//! How long a server takes to answer.

use std::time::Duration;

/// How many of the latest samples the minimum is taken of.
const REMEMBERED: usize = 10;

/// How few samples tell nothing of the minimum.
const TOO_FEW: usize = 2;

/// The round trip times of one server: their moving average and their recent minimum.
///
/// The average decides which servers are near ("Calculation of Average Round Trip Times" of the
/// server selection specification); the minimum is what a time limit leaves for the network
/// (client side operations timeout specification).
#[derive(Clone, Debug, Default)]
pub struct RoundTripTimes {
    average: Option<Duration>,
    recent: [Duration; REMEMBERED],
    count: usize,
}

impl RoundTripTimes {
    /// Times of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the time of one check.
    ///
    /// The first sample becomes the average; each later one counts for a fifth.
    pub fn record(&mut self, sample: Duration) {
        self.average = Some(match self.average {
            None => sample,
            Some(average) => average.saturating_mul(4).saturating_add(sample) / 5,
        });
        if let Some(place) = self.recent.get_mut(self.count % REMEMBERED) {
            *place = sample;
        }
        self.count += 1;
    }

    /// The moving average; `None` before the first sample.
    pub fn average(&self) -> Option<Duration> {
        self.average
    }

    /// The least of the last ten samples; zero while there are fewer than two.
    pub fn minimum(&self) -> Duration {
        if self.count < TOO_FEW {
            return Duration::ZERO;
        }
        let recent = self.recent.iter().take(self.count).copied();
        recent.min().unwrap_or_default()
    }

    /// Forgets everything, as when the server can no longer be reached.
    pub fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(samples: impl IntoIterator<Item = u64>) -> RoundTripTimes {
        let mut times = RoundTripTimes::new();
        for sample in samples {
            times.record(Duration::from_millis(sample));
        }
        times
    }

    #[test]
    fn the_latest_sample_weighs_a_fifth() {
        assert_eq!(
            recorded([125, 25]).average(),
            Some(Duration::from_millis(105))
        );
    }

    #[test]
    fn a_disconnected_server_begins_anew() {
        let mut times = recorded([125, 25]);
        times.reset();
        assert_eq!(times.average(), None);
        assert_eq!(times.minimum(), Duration::ZERO);
        times.record(Duration::from_millis(7));
        assert_eq!(times.average(), Some(Duration::from_millis(7)));
    }

    #[test]
    fn one_sample_is_too_few_for_a_minimum() {
        assert_eq!(recorded([5]).minimum(), Duration::ZERO);
        assert_eq!(recorded([5, 9]).minimum(), Duration::from_millis(5));
    }

    #[test]
    fn the_minimum_forgets_what_is_older_than_ten_samples() {
        let times = recorded([1].into_iter().chain(20..30));
        assert_eq!(times.minimum(), Duration::from_millis(20));
    }
}
