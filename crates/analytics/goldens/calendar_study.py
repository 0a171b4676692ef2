"""Golden figures of the calendar study, computed from the recorded candles without any code of the project.

    pip install -r requirements.txt
    python calendar_study.py ../../../data/klines . [case…]

Writes calendar-*.json. Returns, folding, buckets and units are pandas'; t and the omnibus are statsmodels' OLS with HAC errors;
Holm and Benjamini-Hochberg statsmodels'; Kruskal-Wallis and analysis of variance scipy's; block lengths and intervals arch's.
"""

import json
import math
import platform
import sys
from pathlib import Path

import arch
import numpy as np
import pandas as pd
import scipy
import scipy.stats
import statsmodels
import statsmodels.api as sm
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from statsmodels.stats.multitest import multipletests

ENOUGH = 30

# Of groupings with many buckets only every third or eighth is written, to keep the files small.
def written(count):
    return range(0, count, 8 if count > 31 else 3 if count >= 24 else 1)

DRAWS = 20_000
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
STEP = {"15m": "15min", "1h": "1h", "1d": "1D"}

# Cases: file, interval, first and last rows, zone, groupings, draws of the bootstrap.
CASES = {
    "hourly-utc": ("BTCUSDT_1h_2018_2026.csv.gz", "1h", "2018-01-01", "2019-07-01", "UTC",
                   ["hour", "weekday", "hour_of_week", "turn_of_month", "session"], DRAWS),
    "hourly-berlin": ("BTCUSDT_1h_2018_2026.csv.gz", "1h", "2018-01-01", "2026-05-01", "Europe/Berlin",
                      ["weekday", "day_of_month", "turn_of_month", "month", "quarter"], 0),
    "quarters-new-york": ("BTCUSDT_15m_2025H2.csv.gz", "15m", "2025-07-01", "2026-01-01", "America/New_York",
                          ["minute_of_hour", "hour", "weekday", "session"], 0),
}


def read(folder, file, start, end):
    frame = pd.read_csv(folder / file, usecols=["open_time", "open", "high", "low", "close", "volume"])
    frame.index = pd.to_datetime(frame.pop("open_time"), unit="ms", utc=True)
    return frame[(frame.index >= pd.Timestamp(start, tz="UTC")) & (frame.index < pd.Timestamp(end, tz="UTC"))]


def session_starts(first, last):
    starts = []
    for day in pd.date_range(first.normalize(), last.normalize() + pd.Timedelta("1D"), freq="D"):
        date = day.strftime("%Y-%m-%d")
        for name, clock, zone in [("asia", "09:00", "Asia/Tokyo"), ("europe", "08:00", "Europe/London"),
                                  ("us", "09:30", "America/New_York"), ("off", "16:00", "America/New_York")]:
            starts.append((pd.Timestamp(f"{date} {clock}", tz=zone).tz_convert("UTC"), name))
    return starts


def observation_start(index, grouping, zone):
    local = index.tz_convert(zone)
    if grouping == "minute_of_hour":
        return index
    if grouping in ("hour", "hour_of_week"):
        # Whole hours of UTC are whole hours of the zones of the cases.
        return index.floor("h")
    if grouping == "session":
        starts = pd.DatetimeIndex([start for start, _ in session_starts(index[0], index[-1])])
        return starts[starts.searchsorted(index, side="right") - 1]
    naive = local.tz_localize(None)
    if grouping in ("weekday", "day_of_month", "turn_of_month"):
        start = naive.normalize()
    elif grouping == "month":
        start = naive.to_period("M").start_time
    else:
        start = naive.to_period("Q").start_time
    return pd.DatetimeIndex(start).tz_localize(zone).tz_convert("UTC")


def observation_end(starts, grouping, zone, step):
    local = starts.tz_convert(zone)
    if grouping == "minute_of_hour":
        return starts + step
    if grouping in ("hour", "hour_of_week"):
        return starts + pd.Timedelta("1h")
    if grouping == "session":
        all_starts = pd.DatetimeIndex([start for start, _ in session_starts(starts[0], starts[-1])])
        return all_starts[all_starts.searchsorted(starts, side="right")]
    offset = {"month": pd.DateOffset(months=1), "quarter": pd.DateOffset(months=3)}.get(grouping, pd.DateOffset(days=1))
    return pd.DatetimeIndex(local.tz_localize(None) + offset).tz_localize(zone).tz_convert("UTC")


def observe(candles, grouping, zone, step):
    start = observation_start(candles.index, grouping, zone)
    before = pd.Series(candles.index, index=candles.index).shift(1)
    previous_close = candles["close"].shift(1).where(before == candles.index - step)
    frame = candles.assign(start=start, previous=previous_close)
    folded = frame.groupby("start", sort=True).agg(
        high=("high", "max"), low=("low", "min"), close=("close", "last"), volume=("volume", "sum"), n=("close", "size"))
    # groupby's "first" skips NaN; the first row's own value is wanted.
    folded["previous"] = frame.groupby("start", sort=True)["previous"].nth(0).to_numpy()
    ends = observation_end(folded.index, grouping, zone, step)
    grid = pd.date_range(candles.index[0].floor("D") - pd.Timedelta("400D"), candles.index[-1] + pd.Timedelta("400D"), freq=step)
    expected = grid.searchsorted(ends) - grid.searchsorted(folded.index)
    whole = folded["n"].to_numpy() == expected
    # Stretches between the first and the last candle, those without any candle included.
    everything = pd.date_range(candles.index[0], candles.index[-1], freq=step)
    possible = observation_start(everything, grouping, zone).nunique()
    folded = folded[whole]
    return folded, ends[whole], possible - int(whole.sum())


def bucket_names(grouping, step):
    if grouping == "minute_of_hour":
        return [f"{m:02d}" for m in range(0, 60, int(step / pd.Timedelta("1min")))]
    if grouping == "hour":
        return [f"{h:02d}" for h in range(24)]
    if grouping == "weekday":
        return WEEKDAYS
    if grouping == "hour_of_week":
        return [f"{d} {h:02d}" for d in WEEKDAYS for h in range(24)]
    if grouping == "day_of_month":
        return [str(d) for d in range(1, 32)]
    if grouping == "turn_of_month":
        return ["-1", "+1", "+2", "+3", "other"]
    if grouping == "month":
        return MONTHS
    if grouping == "quarter":
        return ["Q1", "Q2", "Q3", "Q4"]
    return ["asia", "europe", "us", "off"]


def buckets_and_units(starts, grouping, zone):
    local = starts.tz_convert(zone)
    naive = local.tz_localize(None)
    if grouping == "minute_of_hour":
        return [f"{m:02d}" for m in local.minute], starts.floor("h")
    if grouping == "hour":
        return [f"{h:02d}" for h in local.hour], naive.normalize()
    if grouping == "weekday":
        return [WEEKDAYS[d] for d in local.day_of_week], naive.to_period("W-SUN")
    if grouping == "hour_of_week":
        return [f"{WEEKDAYS[d]} {h:02d}" for d, h in zip(local.day_of_week, local.hour)], naive.to_period("W-SUN")
    if grouping == "day_of_month":
        return [str(d) for d in local.day], naive.to_period("M")
    if grouping == "turn_of_month":
        last = local.days_in_month
        return ["-1" if d == n else f"+{d}" if d <= 3 else "other" for d, n in zip(local.day, last)], naive.to_period("M")
    if grouping == "month":
        return [MONTHS[m - 1] for m in local.month], naive.year
    if grouping == "quarter":
        return [f"Q{q}" for q in local.quarter], naive.year
    names = dict(session_starts(starts[0], starts[-1]))
    return [names[start] for start in starts], starts.floor("D")


CYCLE = {"hour": 24, "weekday": 7, "hour_of_week": 168, "day_of_month": 31, "turn_of_month": 31, "month": 12, "quarter": 4,
         "session": 4}


def lag_of(count, cycle):
    return max(math.floor(4 * (count / 100) ** (2 / 9)), cycle)


def hac(values, inside, cycle):
    """t and p of bucket against rest: ordinary least squares on a constant and a dummy, Newey-West errors."""
    n, count = int(inside.sum()), len(values)
    if n == 0 or n == count:
        return None, None, None
    design = np.column_stack([np.ones(count), inside.astype(float)])
    difference = values[inside].mean() - values[~inside].mean()
    if count <= 2:
        return difference, None, None
    fit = sm.OLS(values, design).fit(
        cov_type="HAC", cov_kwds={"maxlags": lag_of(count, cycle), "use_correction": False}, use_t=True)
    t, p = float(fit.tvalues[1]), float(fit.pvalues[1])
    return difference, t, p


def omnibus(values, codes, count, lag):
    occupied = [code for code in range(count) if (codes == code).any()]
    if len(occupied) < 2 or min((codes == code).sum() for code in occupied) < ENOUGH:
        return None
    design = np.column_stack([(codes == code).astype(float) for code in occupied])
    fit = sm.OLS(values, design).fit(cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": False}, use_t=False)
    restrictions = np.hstack([np.eye(len(occupied) - 1), -np.ones((len(occupied) - 1, 1))])
    test = fit.wald_test(restrictions, use_f=False, scalar=True)
    return [float(test.statistic), len(occupied) - 1, float(test.pvalue)]


def block_length(values, codes, units, count):
    lengths = []
    for code in range(count):
        inside = codes == code
        n = inside.sum()
        if n == 0 or n == len(values):
            continue
        part = np.where(inside, (values - values[inside].mean()) / n, -(values - values[~inside].mean()) / (len(values) - n))
        series = pd.Series(part).groupby(units).sum().to_numpy()
        if len(series) < 9 or series.std() <= 1e-12 * abs(series.mean()):
            continue
        lengths.append(float(optimal_block_length(series)["stationary"].iloc[0]))
    return max(1.0, float(np.mean(lengths))) if lengths else 1.0


def intervals(values, codes, units, count, length, draws):
    unit_count = int(units.max()) + 1
    sums, sizes = np.zeros((unit_count, count)), np.zeros((unit_count, count))
    np.add.at(sums, (units, codes), values)
    np.add.at(sizes, (units, codes), 1)

    def difference(rows):
        total, size = sums[rows].sum(axis=0), sizes[rows].sum(axis=0)
        return total / size - (total.sum() - total) / (size.sum() - size)

    bootstrap = StationaryBootstrap(length, np.arange(unit_count), seed=np.random.default_rng(20261127))
    drawn = np.array([difference(data[0][0]) for data in bootstrap.bootstrap(draws)])
    return np.quantile(drawn, [0.025, 0.975], axis=0)


def analyse(folded, ends, incomplete, grouping, measure, zone, step, draws):
    starts = folded.index
    names = bucket_names(grouping, step)
    labels, unit_keys = buckets_and_units(starts, grouping, zone)
    codes = np.array([names.index(label) for label in labels])
    returns = np.log(folded["close"].to_numpy() / folded["previous"].to_numpy())
    raw = {"return": returns, "absolute_return": np.abs(returns),
           "range": np.log(folded["high"].to_numpy() / folded["low"].to_numpy()), "volume": folded["volume"].to_numpy()}[measure]
    kept = ~np.isnan(raw)
    keys = pd.Series(unit_keys)
    values = raw
    if measure != "return":
        means = pd.Series(np.where(kept, raw, np.nan)).groupby(keys).transform("mean").to_numpy()
        kept &= means > 0
        values = raw / np.where(means > 0, means, 1)
    left_out = len(raw) - int(kept.sum())
    values, raw, codes, starts = values[kept], raw[kept], codes[kept], starts[kept]
    units = pd.factorize(keys[kept])[0]
    count, cycle = len(names), CYCLE.get(grouping) or int(pd.Timedelta("1h") / step)
    lag = lag_of(len(values), cycle)
    first, end = starts[0].value // 10**6, ends[-1].value // 10**6
    ms = starts.astype("int64").to_numpy() // (10**6 if starts.unit == "ns" else 10**3 if starts.unit == "us" else 1)
    part_of = sum((ms >= first + (end - first) * part // 5).astype(int) for part in range(1, 5))
    groups = [values[codes == code] for code in range(count) if (codes == code).any()]
    kruskal = scipy.stats.kruskal(*groups)
    variance = scipy.stats.f_oneway(*groups)
    length = block_length(values, codes, units, count)
    ends_of = intervals(values, codes, units, count, length, draws) if draws else None
    buckets = []
    for code, name in enumerate(names):
        inside = codes == code
        own, own_raw = pd.Series(values[inside]), pd.Series(raw[inside])
        n = int(inside.sum())
        difference, t, p = hac(values, inside, cycle)
        test = {"bucket": name, "n": n, "test": [difference, t, p]}
        if code not in written(count):
            buckets.append(test)
            continue
        parts = [hac(values[part_of == part], inside[part_of == part], cycle) for part in range(5)]
        without = None
        if difference is not None:
            sign = math.copysign(1, difference)
            known = [(part_t * sign, part) for part, (_, part_t, _) in enumerate(parts)
                     if part_t is not None and math.isfinite(part_t)]
            if known:
                strongest = max(known)[1]
                without = hac(values[part_of != strongest], inside[part_of != strongest], cycle)[2]
        buckets.append(test | {
            "figures": [own.mean(), own.median(), own.std(), *own.quantile([0.05, 0.25, 0.75, 0.95])] if n else [],
            "win": float((own > 0).mean()) if n and measure == "return" else None,
            "raw": [own_raw.mean(), own_raw.median(), own_raw.std()] if n and measure != "return" else [],
            "parts": [[part[0], part[1]] for part in parts], "without": without,
            "interval": [float(ends_of[0][code]), float(ends_of[1][code])] if draws else []})
    return {"grouping": grouping, "measure": measure, "observations": len(values), "incomplete": incomplete + left_out,
            "lag": lag, "block_length": length, "omnibus": omnibus(values, codes, count, lag),
            "kruskal_wallis": [float(kruskal.statistic), len(groups) - 1, float(kruskal.pvalue)],
            "anova": [float(variance.statistic), len(groups) - 1, len(values) - len(groups), float(variance.pvalue)],
            "buckets": buckets}


def correct(reports, measure):
    """Holm and Benjamini-Hochberg over all buckets of a measure with enough observations."""
    family = [bucket for report in reports if report["measure"] == measure for bucket in report["buckets"]
              if bucket["n"] >= ENOUGH and bucket["test"][2] is not None]
    p = [bucket["test"][2] for bucket in family]
    if p:
        for bucket, holm, q in zip(family, multipletests(p, method="holm")[1], multipletests(p, method="fdr_bh")[1]):
            bucket["family"] = [float(holm), float(q)]
    for report in reports:
        if report["measure"] == measure:
            report["family"] = len(p)


def rounded(value):
    """11 significant digits are enough for 1e-9."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.10e}") if math.isfinite(value) else None
    return value


def main():
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    for name, (file, interval, start, end, zone, groupings, draws) in CASES.items():
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        candles, step = read(folder, file, start, end), pd.Timedelta(STEP[interval])
        reports = []
        for grouping in groupings:
            folded, ends, incomplete = observe(candles, grouping, zone, step)
            for measure in ["return", "absolute_return", "range", "volume"]:
                reports.append(analyse(folded, ends, incomplete, grouping, measure, zone, step, draws))
        for measure in ["return", "absolute_return", "range", "volume"]:
            correct(reports, measure)
        for report in reports:
            report["buckets"] = [bucket for bucket in report["buckets"] if "figures" in bucket]
        document = {
            "provenance": {"command": "python calendar_study.py ../../../data/klines .", "python": platform.python_version(),
                           "numpy": np.__version__, "pandas": pd.__version__, "scipy": scipy.__version__,
                           "statsmodels": statsmodels.__version__, "arch": arch.__version__},
            "file": file, "interval": interval, "from": start, "to": end, "zone": zone, "groupings": groupings, "draws": draws,
            "reports": rounded(reports)}
        (target / f"calendar-{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


main()
