//! What each field of a pattern may hold, told field by field.

use croner::Cron;
use croner::errors::CronError;
use std::str::FromStr;

/// Largest number of characters of a pattern.
pub const MAX_PATTERN_CHARS: usize = 256;

/// Nicknames of patterns.
const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

/// Characters of a wrong field that its refusal repeats.
const MAX_SHOWN: usize = 40;

/// Characters of most fields.
const MARKS: &str = "*,-/";

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One field of a pattern.
#[derive(Debug)]
struct Field {
    name: &'static str,
    /// Largest number.
    max: u16,
    names: &'static [&'static str],
    /// Characters that it may hold beside letters and digits.
    marks: &'static str,
    allowed: &'static str,
}

static FIELDS: [Field; 6] = [
    Field { name: "second", max: 59, names: &[], marks: MARKS, allowed: "0-59 with * , - /" },
    Field { name: "minute", max: 59, names: &[], marks: MARKS, allowed: "0-59 with * , - /" },
    Field { name: "hour", max: 23, names: &[], marks: MARKS, allowed: "0-23 with * , - /" },
    Field {
        name: "day of the month",
        max: 31,
        names: &[],
        marks: "*,-/?",
        allowed: "1-31 with * , - / ?, L, LW or 15W",
    },
    Field { name: "month", max: 12, names: MONTHS, marks: MARKS, allowed: "1-12 or JAN-DEC with * , - /" },
    Field {
        name: "weekday",
        max: 7,
        names: WEEKDAYS,
        marks: "*,-/?#",
        allowed: "0-7 or SUN-SAT (0 and 7 are Sunday) with * , - / ?, MON#2, FRIL, or + in front",
    },
];

/// What the fields of an admitted pattern say.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Whether seconds, minutes and hours are all told without `*`.
    pub(super) fixed_time: bool,
}

/// Whether `text` has the form of a pattern. Whether a date fits it is not looked at.
///
/// # Errors
/// Every wrong field, with what it may hold.
pub(super) fn admit(text: &str) -> Result<Admitted, String> {
    let chars = text.chars().count();
    if chars > MAX_PATTERN_CHARS {
        return Err(format!("the pattern has {chars} characters; at most {MAX_PATTERN_CHARS}"));
    }
    if text.starts_with('@') {
        let known =
            NICKNAMES.iter().find(|name| name.eq_ignore_ascii_case(text)).ok_or_else(|| nickname_fault(text))?;
        return Ok(Admitted { fixed_time: *known != "@hourly" });
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let fields = match parts.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        count => {
            return Err(format!(
                "the pattern has {count} fields; 5 are needed (minute, hour, day of the month, month, weekday), or 6 with the second \
                 first"
            ));
        }
    };
    let faults: Vec<String> = fields.iter().zip(&parts).filter_map(|(field, part)| field.fault(part)).collect();
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    Ok(Admitted { fixed_time: !parts[..parts.len() - 3].iter().any(|part| part.contains('*')) })
}

fn nickname_fault(text: &str) -> String {
    if text.eq_ignore_ascii_case("@reboot") {
        return "@reboot is no time: a schedule is due at times only".to_owned();
    }
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    format!("{shown:?} is no known name of a pattern; known are {}", NICKNAMES.join(" "))
}

impl Field {
    /// What is wrong with `part` as this field.
    fn fault(&self, part: &str) -> Option<String> {
        let why = self.refuse(part)?;
        let shown: String = part.chars().take(MAX_SHOWN).collect();
        Some(format!("{} {shown:?}: {why}; allowed are {}", self.name, self.allowed))
    }

    fn refuse(&self, part: &str) -> Option<String> {
        let inner = if self.max == 7 { part.strip_prefix('+').unwrap_or(part) } else { part };
        if let Some(odd) = inner.chars().find(|c| !c.is_ascii_alphanumeric() && !self.marks.contains(*c)) {
            return Some(format!("{odd:?} has no meaning here"));
        }
        if inner.split(',').any(str::is_empty) {
            return Some("an entry of the list is empty".to_owned());
        }
        if let Some(odd) = inner.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| !self.knows(word)) {
            return Some(format!("{odd:?} is no number and no name"));
        }
        let has = |entry: &str| inner.split(',').any(|other| other.eq_ignore_ascii_case(entry));
        if has("L") && has("LW") {
            return Some("L and LW can't stand together".to_owned());
        }
        if let Some(step) = inner
            .split(',')
            .filter_map(|entry| entry.split_once('/'))
            .find_map(|(_, step)| step.parse::<u16>().ok().filter(|step| *step > self.max))
        {
            return Some(format!("a step of {step} is longer than the field"));
        }
        self.parse(part).err().map(|why| match why {
            CronError::ComponentError(why) | CronError::InvalidPattern(why) | CronError::IllegalCharacters(why) => {
                let why = why.trim_end_matches('.');
                let mut chars = why.chars();
                chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
            }
            CronError::EmptyPattern | CronError::InvalidDate | CronError::InvalidTime => "it has no meaning".to_owned(),
            CronError::TimeSearchLimitExceeded => "it fits no time".to_owned(),
        })
    }

    /// Whether `word`, which has letters and digits only, can stand in this field. The parser itself replaces names anywhere.
    fn knows(&self, word: &str) -> bool {
        let word = word.to_ascii_uppercase();
        if word.is_empty() {
            return true;
        }
        let number = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let named = |text: &str| self.names.contains(&text);
        let last = word.strip_suffix('L').unwrap_or(&word);
        match self.max {
            31 => number(&word) || word == "L" || word == "LW" || word.strip_suffix('W').is_some_and(number),
            7 => number(last) || named(last),
            _ => number(&word) || named(&word),
        }
    }

    /// The pattern that has `part` here and any value elsewhere.
    fn parse(&self, part: &str) -> Result<Cron, CronError> {
        let parts: Vec<&str> = FIELDS.iter().map(|field| if field.name == self.name { part } else { "*" }).collect();
        Cron::from_str(&parts.join(" "))
    }
}
