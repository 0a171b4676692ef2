/** Candles and volume by lightweight-charts. Loaded by the page that shows them. */
import {
  CandlestickSeries,
  createChart,
  HistogramSeries,
  type CandlestickData,
  type HistogramData,
  type UTCTimestamp,
} from 'lightweight-charts';

/** Open time (UTC ms), open, high, low, close, volume. */
type Row = [number, string, string, string, string, string];

interface Options {
  dark: boolean;
  /** Candles that open before this moment, ascending. */
  older: (before: number) => Promise<Row[]>;
  onLoaded: (from: number, to: number, n: number) => void;
}

/** Candles that one chart holds at most. */
const MOST = 50_000;

/** Draws into `element`; the answer removes it. */
export function drawCandles(element: HTMLElement, first: Row[], { dark, older, onLoaded }: Options): () => void {
  const [text, line, up, down] = dark ? ['#a3adb8', '#262d35', '#2dd4bf', '#fb7185'] : ['#57616c', '#e6e9ed', '#0f766e', '#be123c'];
  const chart = createChart(element, {
    autoSize: true,
    // Its logo is a style of its own, which the policy forbids: the page names the library instead.
    layout: { attributionLogo: false, background: { color: 'transparent' }, textColor: text, fontSize: 11, fontFamily: 'system-ui, sans-serif' },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    timeScale: { timeVisible: true, secondsVisible: false, borderColor: line },
    rightPriceScale: { borderColor: line },
    crosshair: { mode: 0 },
  });
  const candles = chart.addSeries(CandlestickSeries, { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
  const volume = chart.addSeries(HistogramSeries, { priceScaleId: 'volume', priceFormat: { type: 'volume' }, lastValueVisible: false, priceLineVisible: false });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });

  let rows = first;
  const draw = () => {
    const prices: CandlestickData<UTCTimestamp>[] = [];
    const volumes: HistogramData<UTCTimestamp>[] = [];
    for (const [open, o, h, l, c, v] of rows) {
      const time = (open / 1000) as UTCTimestamp;
      prices.push({ time, open: Number(o), high: Number(h), low: Number(l), close: Number(c) });
      volumes.push({ time, value: Number(v), color: Number(c) >= Number(o) ? `${up}55` : `${down}55` });
    }
    candles.setData(prices);
    volume.setData(volumes);
    onLoaded(rows[0]?.[0] ?? 0, rows.at(-1)?.[0] ?? 0, rows.length);
  };
  // Prices of small coins need more digits than two.
  const digits = Math.min(8, Math.max(2, ...first.slice(-50).map((row) => (row[4].replace(/0+$/, '').split('.')[1] ?? '').length)));
  candles.applyOptions({ priceFormat: { type: 'price', precision: digits, minMove: 10 ** -digits } });
  draw();
  chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, rows.length - 160), to: rows.length + 2 });

  let busy = false;
  let all = false;
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (range === null || range.from > 20 || busy || all || rows.length >= MOST) return;
    busy = true;
    older(rows[0]?.[0] ?? 0)
      .then((before) => {
        if (before.length === 0) {
          all = true;
          return;
        }
        const at = chart.timeScale().getVisibleLogicalRange();
        rows = [...before, ...rows];
        draw();
        if (at) chart.timeScale().setVisibleLogicalRange({ from: at.from + before.length, to: at.to + before.length });
      })
      .catch(() => {
        all = true;
      })
      .finally(() => {
        busy = false;
      });
  });
  return () => chart.remove();
}
