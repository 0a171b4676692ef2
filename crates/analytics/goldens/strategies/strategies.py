"""Figures of the two strategies on recorded candles, computed apart from the program: indicators by NumPy (two passes over each window)
and checked against pandas, signals and account by a plain loop over rows, figures by pandas.

    python3 -m venv /tmp/goldens && /tmp/goldens/bin/pip install -r requirements.txt
    /tmp/goldens/bin/python strategies.py

writes strategies.json beside this file. The rules are those of the module documentation of `strategy.rs`.
"""

import json
import math
import pathlib
import platform

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
KLINES = HERE.parents[3] / "data" / "klines"
YEAR_MS = 365.25 * 86_400_000
LENGTH_MS = {"1h": 3_600_000, "1d": 86_400_000}
SAMPLES = 40

CASES = [
    ("BTCUSDT_1h_2018_2026", "1h", "sma_crossover", dict(fast=20, slow=100, sides="long_flat", fee_bps=10, out_of_sample=0.3)),
    ("BTCUSDT_1h_2018_2026", "1h", "sma_crossover", dict(fast=50, slow=200, sides="long_short", fee_bps=0, out_of_sample=0.25, embargo=500)),
    ("BTCUSDT_1h_2018_2026", "1h", "sma_crossover", dict(fast=1, slow=2, sides="long_short", fee_bps=2.5, out_of_sample=0.3)),
    ("BTCUSDT_1h_2018_2026", "1h", "mean_reversion", dict(window=48, entry=2.0, exit=0.5, sides="long_flat", fee_bps=10, out_of_sample=0.3)),
    ("BTCUSDT_1h_2018_2026", "1h", "mean_reversion", dict(window=24, entry=1.5, exit=0.0, sides="long_short", fee_bps=0, out_of_sample=0.5)),
    ("BTCUSDT_1d", "1d", "sma_crossover", dict(fast=20, slow=100, sides="long_short", fee_bps=10, out_of_sample=0.3)),
    ("BTCUSDT_1d", "1d", "mean_reversion", dict(window=20, entry=2.0, exit=0.5, sides="long_short", fee_bps=10, out_of_sample=0.3)),
    ("BTCUSDT_1d", "1d", "mean_reversion", dict(window=30, entry=2.0, exit=0.25, sides="long_flat", fee_bps=0, out_of_sample=0.3)),
]


def windows(values, window):
    return np.lib.stride_tricks.sliding_window_view(values, window)


def indicator(study, p, close, stretch):
    """Indicator per row and whether its window lies in one stretch; pandas computes the same stretch by stretch."""
    longest = p["slow"] if study == "sma_crossover" else p["window"]
    out = np.full(len(close), np.nan)
    run = pd.Series(stretch).groupby(stretch).cumcount().to_numpy() + 1
    pandas = pd.Series(close).groupby(stretch)
    rolling = lambda n, how: getattr(pandas.rolling(n), how)().reset_index(level=0, drop=True).sort_index().to_numpy()
    if study == "sma_crossover":
        fast, slow = np.full(len(close), np.nan), np.full(len(close), np.nan)
        fast[p["fast"] - 1:] = windows(close, p["fast"]).mean(axis=1)
        slow[p["slow"] - 1:] = windows(close, p["slow"]).mean(axis=1)
        out = fast - slow
        out[np.abs(out) <= 1e-13 * slow] = 0.0
        other = rolling(p["fast"], "mean") - rolling(p["slow"], "mean")
        scale = slow
    else:
        tail = windows(close, longest)
        mean, sd = tail.mean(axis=1), tail.std(axis=1, ddof=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[longest - 1:] = np.where(sd > 0, (tail[:, -1] - mean) / sd, np.nan)
        other = (close - rolling(longest, "mean")) / rolling(longest, "std")
        scale = 1.0
    out[run < longest] = np.nan
    both = np.isfinite(out) & np.isfinite(other)
    assert both.sum() >= np.isfinite(out).sum() - 5
    error = np.abs(out - other)[both] / (scale[both] if study == "sma_crossover" else 1.0)
    # pandas' own running deviation is off by up to 6e-9 of itself on these candles (1.4e-7 without the restarts).
    assert error.max() < (1e-9 if study == "sma_crossover" else 1e-7)
    return out, int((run < longest).sum())


def wants(study, p, now, x):
    short = -1 if p["sides"] == "long_short" else 0
    if study == "sma_crossover":
        return 1 if x > 0 else now if x == 0 else short
    if x <= -p["entry"] + 1e-9:
        return 1
    if short and x >= p["entry"] - 1e-9:
        return -1
    if (now == 1 and x >= -p["exit"] - 1e-9) or (now == -1 and x <= p["exit"] + 1e-9):
        return 0
    return now


def trade(study, p, t, o, c, v, x, stretch):
    f = p["fee_bps"] / 1e4
    cash, side, entry, entry_row, want, pending = 1.0, 0, None, None, 0, None
    equity, exposed, signals, trades = np.empty(len(c)), np.zeros(len(c), bool), [], []

    def close_out(row, price, still_open):
        nonlocal cash, side
        r = price / entry
        closing = 0.0 if still_open else f
        factor = (1 - f) * r * (1 - closing) if side == 1 else 1 + (1 - r) - f - closing * r
        trades.append(dict(side=side, entry_row=entry_row, row=row, entry=entry, exit=price, net=factor - 1, money=cash * (factor - 1),
                           candles=row - entry_row + still_open, outage=bool(stretch[row] != stretch[entry_row]), open=still_open))
        cash, side = cash * factor, 0

    for i in range(len(c)):
        if pending is not None and v[i] > 0:
            signals[pending].update(filled=i, fill=o[i])
            pending = None
            if side:
                close_out(i, o[i], False)
            if want:
                side, entry, entry_row = want, o[i], i
        r = c[i] / entry if side else None
        equity[i] = cash if not side else cash * (1 - f) * r if side == 1 else cash * (1 + (1 - r) - f)
        assert equity[i] > 0
        exposed[i] = side != 0
        if math.isfinite(x[i]):
            new = wants(study, p, want, x[i])
            if new != want:
                want = new
                pending = len(signals) if want != side else None
                signals.append(dict(row=i, position=want, indicator=x[i], filled=None, fill=None))
    if side:
        close_out(len(c) - 1, c[-1], True)
    return equity, exposed, signals, trades


def figures(t, length, equity, exposed, trades, a, b):
    if b <= a:
        return None
    before = 1.0 if a == 0 else equity[a - 1]
    curve = pd.Series(np.concatenate([[before], equity[a:b]]))
    ret = curve.pct_change().iloc[1:]
    year = YEAR_MS / length
    growth = curve.iloc[-1] / before
    falls = 1 - curve / curve.cummax()
    low = int(falls.to_numpy().argmax())
    peak = int(curve.iloc[:low + 1].to_numpy().argmax())
    later = np.flatnonzero(curve.to_numpy()[low:] >= curve.iloc[peak])
    deep = falls.iloc[low] > 0
    at = lambda place: int(t[a + max(place - 1, 0)])
    losses = math.sqrt((ret.clip(upper=0) ** 2).mean())
    mine = pd.DataFrame([k for k in trades if not k["open"] and a <= k["row"] < b], columns=["money"])["money"].astype(float)
    won, lost = mine[mine > 0].sum(), -mine[mine <= 0].sum()
    sd = ret.std(ddof=1)
    return dict(
        candles=b - a, total_return=growth - 1, cagr=growth ** (YEAR_MS / (t[b - 1] + length - t[a])) - 1,
        volatility=sd * math.sqrt(year), sharpe=ret.mean() / sd * math.sqrt(year) if sd > 0 else None,
        sortino=ret.mean() / losses * math.sqrt(year) if losses > 0 else None, max_drawdown=falls.iloc[low],
        drawdown_from=at(peak) if deep else None, drawdown_to=at(low) if deep else None,
        recovered_at=at(low + int(later[0])) if deep and len(later) else None,
        exposure=exposed[a:b].mean(), trades=len(mine), win_rate=(mine > 0).mean() if len(mine) else None,
        profit_factor=won / lost if lost > 0 else None)


def break_even(trades):
    """Bisection on the product of what each trade leaves."""
    def total(f):
        out = 0.0
        for k in trades:
            r, closing = k["exit"] / k["entry"], 0.0 if k["open"] else f
            out += math.log(max((1 - f) * r * (1 - closing) if k["side"] == 1 else 2 - r - f - closing * r, 1e-300))
        return out
    if not trades or total(0.0) <= 0:
        return None
    low, high = 0.0, 0.5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) > 0 else (low, middle)
    return high * 1e4


def spread(rows):
    return sorted({round(k * (len(rows) - 1) / (SAMPLES - 1)) for k in range(SAMPLES)}) if len(rows) else []


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (np.floating, np.integer, np.bool_)):
        return value.item()
    return value


def case(name, interval, study, p):
    frame = pd.read_csv(KLINES / f"{name}.csv.gz")
    t = frame["open_time"].to_numpy()
    o, c, v = (frame[k].to_numpy(float) for k in ("open", "close", "volume"))
    length = LENGTH_MS[interval]
    stretch = np.concatenate([[0], np.cumsum(np.diff(t) != length)])
    x, warm_up = indicator(study, p, c, stretch)
    equity, exposed, signals, trades = trade(study, p, t, o, c, v, x, stretch)
    first = int(np.flatnonzero(np.isfinite(x))[0])
    bought = next(i for i in range(first + 1, len(c)) if v[i] > 0)
    hold = np.where(np.arange(len(c)) >= bought, (1 - p["fee_bps"] / 1e4) * c / o[bought], 1.0)
    last = math.floor(len(c) * p["out_of_sample"] + 0.5)
    embargo = p.get("embargo", p.get("slow", p.get("window")))
    ranges = dict(whole=(0, len(c)), in_sample=(0, len(c) - last - embargo), out_of_sample=(len(c) - last, len(c)))
    phases = lambda e, x, k: {n: figures(t, length, e, x, k, a, b) for n, (a, b) in ranges.items()}
    rows = spread(equity)
    return plain(dict(
        file=name, interval=interval, study=dict(p, study=study), candles=len(c), warm_up=warm_up, restarts=int(stretch[-1]),
        signals=len(signals), trades=sum(not k["open"] for k in trades), rows=len(trades), break_even_fee_bps=break_even(trades),
        strategy=phases(equity, exposed, trades), buy_and_hold=phases(hold, np.arange(len(c)) >= bought, []),
        sums=dict(indicator=float(np.nansum(np.abs(x))), equity=equity.sum(), buy_and_hold=hold.sum(), signal_rows=sum(s["row"] for s in signals),
                  fills=sum(s["fill"] or 0.0 for s in signals), net_returns=math.fsum(abs(k["net"]) for k in trades),
                  candles=sum(k["candles"] for k in trades), outages=sum(k["outage"] for k in trades)),
        equity_at=[[int(t[i]), equity[i].item(), hold[i].item(), x[i].item() if math.isfinite(x[i]) else None] for i in rows],
        signals_at=[[i, int(t[s["row"]]), s["position"], float(s["indicator"]), None if s["filled"] is None else int(t[s["filled"]]),
                     None if s["fill"] is None else float(s["fill"])] for i in spread(signals) for s in [signals[i]]],
        trades_at=[[i, k["side"], int(t[k["entry_row"]]), float(k["entry"]), int(t[k["row"]]), float(k["exit"]), k["candles"], float(k["net"]), k["outage"], k["open"]]
                   for i in spread(trades) for k in [trades[i]]]))


def main():
    made = dict(by="goldens/strategies/strategies.py", python=platform.python_version(), numpy=np.__version__, pandas=pd.__version__,
                candles="data/klines, as listed in data/README.md")
    lines = ",\n".join(json.dumps(plain(case(*c)), allow_nan=False) for c in CASES)
    (HERE / "strategies.json").write_text('{"made": ' + json.dumps(made) + ',\n"cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
