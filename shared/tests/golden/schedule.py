"""Golden due instants of cron patterns, computed without any code of the project.

    pip install -r requirements.txt
    python schedule.py .

Writes schedule.json: five years of each pattern in each zone, as count and SHA-256 of the UTC seconds in decimal, one a line; and
all instants within one day of each change of the zone's offset, as the first local time and the seconds from each to the next
("900*7" is seven times 900).

Instants are cronsim's, which follows the cron of Debian: fixed times of a gap at the first minute after it, of a fold once;
wildcards by the wall clock. Zones are zoneinfo's, with the database of the package tzdata and no other.

Within a day of a change wildcards are also counted minute by minute (with seconds: second by second), by asking the wall clock.
Where cronsim skips some of them, the count is taken and the file names the case under "counted": cronsim goes from hour to hour
in steps of 3,600 seconds, and after a change by half an hour (Lord Howe) it passes by the beginning of an hour.

Differences by rule, which is why these forms are not among the patterns (the tests beside hold ours):

- Six fields: cronsim has its rules for gaps and folds for five fields only. `0 30 2 * * *` is `30 2 * * *` to us.
- A day of the month that begins with a star but is not one, with a weekday: `0 0 */2 * MON` is "odd days that are Mondays" to cronsim
  and Debian, "odd days, and Mondays" to us, and `0 0 */2 * +MON` says the former.
- `5/10` is a step from 5 on to cronsim; we refuse it. We know `15W`, cronsim doesn't.
"""

import hashlib
import json
import platform
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cronsim
import tzdata

zoneinfo.reset_tzpath([])

UTC = timezone.utc
DAY = 86_400

# Years from, until. Sao Paulo and Apia changed their clocks in the past only.
NOW, PAST = (2026, 2031), (2017, 2022)
ZONES = {
    "UTC": NOW,
    "America/New_York": NOW,
    "Europe/Berlin": NOW,
    "Europe/London": NOW,
    "Asia/Kolkata": NOW,
    "Australia/Lord_Howe": NOW,  # by half an hour
    "Africa/Cairo": NOW,  # at midnight
    "America/Nuuk": NOW,  # forward from 23:00 to the next day
    "America/Sao_Paulo": PAST,  # at midnight
    "Pacific/Apia": PAST,
}

PATTERNS = [
    "30 2 * * *",
    "30 1 * * *",
    "0 0 * * *",
    "30 23 * * *",
    "0,30 1-3 * * *",
    "15 0,2,23 * * 6,0",
    "30 2 * * 0L",
    "30 2 * * SUN#2",
    "0 12 L * *",
    "5 4 LW * *",
    "10-50/20 6 * * *",
    "0 9 * JAN-MAR,OCT MON-FRI",
    "0 0 1,15 * FRI",
    "0 0 */7 * *",
    "*/15 * * * *",
    "0 * * * *",
    "*/30 1-3 * * *",
    "30 */2 * * *",
    "20 */3 29-31 * *",
    "10,40 0 */3 * * *",
]


def seconds(instant):
    return int(instant.timestamp())


def offset(second, zone):
    return datetime.fromtimestamp(second, zone).utcoffset()


def changes(zone, start, end):
    """Seconds at which the offset changes."""
    found = []
    for hour in range(start, end, 3_600):
        if offset(hour, zone) != offset(hour + 3_600, zone):
            low, high = hour, hour + 3_600
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle, zone) == offset(hour, zone) else (low, middle)
            found.append(high)
    return found


def due(pattern, zone, start, end):
    """What cronsim says, start excluded, end excluded."""
    found = []
    for instant in cronsim.CronSim(pattern, datetime.fromtimestamp(start, zone)):
        second = seconds(instant)
        if second >= end:
            return found
        found.append(second)


def counted(pattern, zone, start, end):
    """What the wall clock says, start excluded, end excluded."""
    fields = cronsim.CronSim(pattern, datetime(2000, 1, 1, tzinfo=UTC))
    step = 1 if len(pattern.split()) == 6 else 60
    found = []
    for second in range(start - start % step + step, end, step):
        shown = datetime.fromtimestamp(second, zone)
        if (shown.second in fields.seconds and shown.minute in fields.minutes and shown.hour in fields.hours
                and shown.month in fields.months and fields.match_day(shown.date())):
            found.append(second)
    return found


def wildcard(pattern):
    return "*" in "".join(pattern.split()[:-3])


def written(instants, zone):
    """First local time, then seconds to the next."""
    if not instants:
        return ""
    runs = []
    for one, other in zip(instants, instants[1:]):
        if runs and runs[-1][0] == other - one:
            runs[-1][1] += 1
        else:
            runs.append([other - one, 1])
    parts = [datetime.fromtimestamp(instants[0], zone).isoformat()]
    parts += [f"{gap}*{count}" if count > 1 else f"{gap}" for gap, count in runs]
    return " ".join(parts)


def case(pattern, name, zone, start, end, at):
    instants = due(pattern, zone, start, end)
    corrected = []
    if wildcard(pattern):
        for change in at:
            window = (change - DAY, change + DAY)
            truth = counted(pattern, zone, *window)
            told = [second for second in instants if window[0] < second < window[1]]
            if truth != told:
                corrected.append(datetime.fromtimestamp(change, UTC).isoformat())
                assert set(told) < set(truth), (pattern, name, change)
                rest = [second for second in instants if not window[0] < second < window[1]]
                instants = sorted(rest + truth)
    text = "\n".join(map(str, instants))
    around = [written([second for second in instants if abs(second - change) < DAY], zone) for change in at]
    found = {"pattern": pattern, "count": len(instants), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if any(around):
        found["around"] = around
    if corrected:
        found["counted"] = corrected
    return found


def main(folder):
    zones = []
    for name, (first, last) in ZONES.items():
        zone = zoneinfo.ZoneInfo(name)
        start, end = (seconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (first, last))
        at = changes(zone, start + DAY, end - DAY)
        cases = [case(pattern, name, zone, start, end, at) for pattern in PATTERNS]
        zones.append({"zone": name, "start": start, "end": end, "changes": at, "cases": cases})
        print(name, len(at), [found["pattern"] for found in cases if "counted" in found])
    golden = {
        "by": {"python": platform.python_version(), "cronsim": "2.8", "tzdata": tzdata.IANA_VERSION},
        "zones": zones,
    }
    Path(folder, "schedule.json").write_text(json.dumps(golden, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
