//! Seconds since 1970 and dates of the proleptic Gregorian calendar, UTC.

pub(super) const DAY: i64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01. Years that begin in March have the leap day at their end.
const TO_EPOCH: i64 = 719_468;
/// Days of 400 years.
const ERA: i64 = 146_097;

/// A moment as a clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Date {
    pub(super) fn of(unix: i64) -> Self {
        let days = unix.div_euclid(DAY).saturating_add(TO_EPOCH);
        let second = unix.rem_euclid(DAY);
        let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months from March on.
        let month = (5 * day_of_year + 2) / 153;
        Self {
            year: era * 400 + year_of_era + i64::from(month >= 10),
            month: if month < 10 { month + 3 } else { month - 9 },
            day: day_of_year - (153 * month + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// Seconds since 1970. Fields may be out of range by what fits a byte: they carry over.
    pub(super) fn unix(&self) -> i64 {
        let months = self.month - 3;
        let (year, month) = (self.year + months.div_euclid(12), months.rem_euclid(12));
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = 365 * year + leap_days + (153 * month + 2) / 5 + self.day - 1 - TO_EPOCH;
        days * DAY + self.hour * 3600 + self.minute * 60 + self.second
    }
}

/// 1 = Sunday to 7.
pub(super) fn weekday(unix: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (unix.div_euclid(DAY).rem_euclid(7) + 4) % 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_is_the_one_after_the_day_before() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day, mut unix) = (1600, 1, 1, -11_676_096_000);
        while year < 2400 {
            let date = Date {
                year,
                month,
                day,
                hour: 23,
                minute: 59,
                second: 58,
            };
            let moment = unix + DAY - 2;
            assert_eq!(Date::of(moment), date);
            assert_eq!(date.unix(), moment);
            let days = match month {
                2 => 28 + i64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            unix += DAY;
            day += 1;
            if day > days {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn weekdays_and_fields_out_of_range() {
        assert_eq!(weekday(0), 5);
        assert_eq!(weekday(-1), 4);
        // 2024-02-29, a Thursday.
        assert_eq!(weekday(1_709_164_800), 5);
        let date = Date {
            year: 2024,
            month: 14,
            day: 0,
            hour: 24,
            minute: 60,
            second: 61,
        };
        assert_eq!(
            Date::of(date.unix()),
            Date {
                year: 2025,
                month: 2,
                day: 1,
                hour: 1,
                minute: 1,
                second: 1
            }
        );
        for unix in [i64::MIN, i64::MAX] {
            Date::of(unix);
            weekday(unix);
        }
    }
}
