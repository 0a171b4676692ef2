"""What a script of pandas, pymongo and NumPy takes for the load and the descriptive part of a calendar study, beside the product.

    pip install -r requirements.txt
    candlemill-bench study --python /path/to/python

The benchmark calls it with the URI of its own server: `study.py URI DATABASE START END DRAWS` (UTC ms). It reads the same candles by as
many cursors, describes the same groupings of the same four measures, and draws the same bootstrap; it tests nothing (no HAC errors, no
omnibus, no ranks, no sub-periods). The figures of the returns are its last line, for the benchmark to compare.
"""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pymongo

CURSORS = 4
MINUTE = 60_000
MEMBERS = {"_id": 0, "t": 1, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
QUANTILES = [0.05, 0.25, 0.75, 0.95]
DRAWS_AT_ONCE = 50

# One document of those members as it lies in BSON: type, name and value of each, all of fixed length.
ROW = np.dtype(
    [("length", "<i4"), ("t_head", "S3"), ("t", "<i8")]
    + [part for name in "ohlcv" for part in ((f"{name}_head", "S3"), (f"{name}_low", "<u8"), (f"{name}_high", "<u8"))]
    + [("end", "u1")]
)


def say(name, value):
    print(f"{name:<52} {value}", flush=True)


def decimals(rows, name):
    """Decimal128 as float64: exact up to one rounding while the digits fit into 53 bits."""
    high, digits = rows[f"{name}_high"], rows[f"{name}_low"]
    exponent = (high >> np.uint64(49)).astype(np.int64) - 6176
    if (high & np.uint64((1 << 49) - 1)).any() or digits.max() >= 1 << 53 or exponent.min() < -22 or exponent.max() > 22:
        sys.exit("a figure has more digits than this script reads")
    digits = digits.astype(np.float64)
    return np.where(exponent < 0, digits / 10.0 ** -np.minimum(exponent, 0), digits * 10.0 ** np.maximum(exponent, 0))


def find(collection, start, end):
    return {"_id": {"$gte": f"BTCUSDT_{start:013}", "$lt": f"BTCUSDT_{end:013}"}}


def load(collection, start, end):
    """Every candle of the range as a frame; the batches are looked at as arrays, no document becomes an object."""

    def part(at):
        width = (end - start) // CURSORS
        until = end if at + 1 == CURSORS else start + width * (at + 1)
        batches = collection.find_raw_batches(find(collection, start + width * at, until), MEMBERS, batch_size=10_000)
        return b"".join(batches.sort("_id", 1))

    with ThreadPoolExecutor(CURSORS) as threads:
        rows = np.frombuffer(b"".join(threads.map(part, range(CURSORS))), ROW)
    if not ((rows["length"] == ROW.itemsize).all() and all((rows[f"{n}_head"] == b"\x13" + n.encode()).all() for n in "ohlcv")):
        sys.exit("the documents do not have the layout that this script reads")
    frame = pd.DataFrame({name: decimals(rows, name) for name in "ohlcv"})
    frame.index = pd.to_datetime(rows["t"], unit="ms", utc=True)
    return frame


def load_plainly(collection, start, end):
    """The same by documents and objects, as most scripts do it."""
    frame = pd.DataFrame(list(collection.find(find(collection, start, end), MEMBERS).sort("_id", 1).batch_size(10_000)))
    for name in "ohlcv":
        frame[name] = [float(figure.to_decimal()) for figure in frame[name]]
    return frame.set_index("t")


def session_starts(index):
    days = pd.date_range(index[0].tz_localize(None).normalize() - pd.Timedelta("1D"), index[-1].tz_localize(None) + pd.Timedelta("2D"))
    clocks = [("09:00:00", "Asia/Tokyo"), ("08:00:00", "Europe/London"), ("09:30:00", "America/New_York"), ("16:00:00", "America/New_York")]
    columns = [(days + pd.Timedelta(clock)).tz_localize(zone).tz_convert("UTC") for clock, zone in clocks]
    starts = pd.DatetimeIndex(np.stack([column.tz_localize(None) for column in columns], axis=1).ravel()).tz_localize("UTC")
    return starts, np.tile(np.arange(4), len(days))


def observations(frame, starts, ends):
    """Whole stretches of candles folded into one row each."""
    folded = frame.groupby(starts).agg(h=("h", "max"), l=("l", "min"), c=("c", "last"), v=("v", "sum"), n=("c", "size"))
    before = folded["c"].shift(1)
    whole = folded["n"].to_numpy() == (ends(folded.index) - folded.index) // pd.Timedelta("1min")
    return measured(folded, before)[whole]


def measured(folded, before):
    returns = np.log(folded["c"] / before)
    return pd.DataFrame({
        "return": returns, "absolute_return": returns.abs(), "range": np.log(folded["h"] / folded["l"]), "volume": folded["v"],
    })


def groupings(frame):
    """Name, measures, bucket and unit of each observation, number of buckets."""
    index = frame.index
    minutes = measured(frame, frame["c"].shift(1))
    yield "minute_of_hour", minutes, index.minute, index.floor("h"), 60
    hours = observations(frame, index.floor("h"), lambda start: start + pd.Timedelta("1h"))
    week = lambda at: (at.normalize() - pd.to_timedelta(at.day_of_week, unit="D"))
    yield "hour", hours, hours.index.hour, hours.index.normalize(), 24
    yield "hour_of_week", hours, hours.index.day_of_week * 24 + hours.index.hour, week(hours.index), 168
    days = observations(frame, index.normalize(), lambda start: start + pd.Timedelta("1D"))
    day = days.index.day
    month = days.index.year * 12 + days.index.month
    yield "weekday", days, days.index.day_of_week, week(days.index), 7
    turn = np.where(day == days.index.days_in_month, 0, np.where(day <= 3, day, 4))
    yield "turn_of_month", days, turn, month, 5
    first_of_month = lambda at: (at.normalize() - pd.to_timedelta(at.day - 1, unit="D"))
    months = observations(frame, first_of_month(index), lambda start: start + pd.DateOffset(months=1))
    yield "month", months, months.index.month - 1, months.index.year, 12
    starts, names = session_starts(index)
    session = observations(
        frame, starts[starts.searchsorted(index, side="right") - 1], lambda start: starts[starts.searchsorted(start, side="right")])
    yield "session", session, names[starts.searchsorted(session.index)], session.index.normalize(), 4


def describe(values, codes, count):
    groups = values.groupby(codes)
    table = groups.agg(["size", "mean", "median", "std"])
    table["win_rate"] = (values > 0).groupby(codes).mean()
    quantiles = groups.quantile(QUANTILES).unstack()
    return pd.concat([table, quantiles], axis=1).reindex(range(count))


def bootstrap(values, codes, units, count, draws, random):
    """Stationary bootstrap of whole units: 95 % interval of each bucket's mean minus the mean of the rest. Blocks of mean length ∛units."""
    unit = pd.factorize(units)[0]
    number = unit[-1] + 1
    place = unit * count + codes
    sums = np.bincount(place, values, number * count).reshape(number, count)
    sizes = np.bincount(place, minlength=number * count).reshape(number, count).astype(np.float64)
    length = number ** (1 / 3)
    blocks = int(number / length * 1.5) + 50
    found = []
    for first in range(0, draws, DRAWS_AT_ONCE):
        rows = min(DRAWS_AT_ONCE, draws - first)
        start = random.integers(0, number, (rows, blocks))
        end = np.minimum(np.cumsum(random.geometric(1 / length, (rows, blocks)), axis=1), number)
        block = np.diff(end, axis=1, prepend=0)
        # Where blocks begin and end on a line of twice the units, folded into a circle afterwards.
        row = np.arange(rows)[:, None] * (2 * number + 1)
        steps = np.bincount((row + start).ravel(), minlength=rows * (2 * number + 1))
        steps -= np.bincount((row + start + block).ravel(), minlength=rows * (2 * number + 1))
        line = np.cumsum(steps.reshape(rows, -1), axis=1)[:, :-1]
        often = (line[:, :number] + line[:, number:]).astype(np.float64)
        sum_of, size_of = often @ sums, often @ sizes
        rest, rest_size = sum_of.sum(1, keepdims=True) - sum_of, size_of.sum(1, keepdims=True) - size_of
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(sum_of / size_of - rest / rest_size)
    found = np.concatenate(found)
    return np.nanquantile(found[:, ~np.isnan(found).all(0)], [0.025, 0.975], axis=0)


def main():
    uri, database = sys.argv[1:3]
    start, end, draws = map(int, sys.argv[3:])
    collection = pymongo.MongoClient(uri)[database]["klines.binance.1m"]

    plain = start + (end - start) // MINUTE // 20 * MINUTE
    began = time.perf_counter()
    rows = len(load_plainly(collection, start, plain))
    took = time.perf_counter() - began
    say("pandas: documents to a frame, plainly", f"{rows / took:.0f}/s ({rows} in {took:.2f} s)")

    took = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        frame = load(collection, start, end)
        took = min(took, time.perf_counter() - began)
    say("pandas: raw batches to a frame by NumPy", f"{len(frame) / took:.0f}/s ({len(frame)} in {took:.2f} s)")

    began = time.perf_counter()
    returns, tables, samples = {}, 0, []
    for name, measures, codes, units, count in groupings(frame):
        codes, units = np.asarray(codes), np.asarray(units)
        for measure in measures:
            values = measures[measure]
            kept = values.notna().to_numpy()
            values, own, unit = values[kept].reset_index(drop=True), codes[kept], units[kept]
            if measure != "return":
                values = values / values.groupby(unit).transform("mean")
            table = describe(values, own, count)
            tables += 1
            samples.append((values.to_numpy(), own, unit, count))
            if measure == "return":
                returns[name] = [[None if np.isnan(figure) else figure for figure in row] for row in table.to_numpy()]
    say(f"pandas: describing {tables} groupings × measures", f"{time.perf_counter() - began:.2f} s")

    if draws:
        began = time.perf_counter()
        random = np.random.default_rng(1)
        for sample in samples:
            bootstrap(*sample, draws, random)
        say(f"pandas: {draws} draws of them by NumPy", f"{time.perf_counter() - began:.2f} s")
    say("pandas: memory at its peak", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    print(json.dumps(returns))


main()
