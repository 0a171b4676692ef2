import { useRoute } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, download, INTERVALS, must, type Interval, type Schemas } from '../api/client';
import { told } from '../api/problem';
import { bucket, count, utc, words } from '../format';
import { nudge } from '../live/events';
import { useResource } from '../live/resource';
import { readCoverage, type SeriesCoverage } from '../model/coverage';
import { rangeBar } from '../model/range_bar';
import { Empty, Loading, Page, Panel, Shown } from '../ui/parts';
import { NewBackfill } from '../ui/new_backfill';
import { RangeBarView } from '../ui/range_bar';
import { theme } from '../ui/theme';
import { act, say } from '../ui/toast';
import { RunStudy } from './studies';

export function SeriesPage() {
  const { params } = useRoute();
  const symbol = decodeURIComponent(params['symbol'] ?? '').toUpperCase();
  const interval = INTERVALS.find((one) => one === params['interval']);
  if (interval === undefined) {
    return (
      <Page title={symbol}>
        <Empty title="There is no such interval.">{INTERVALS.join(', ')}</Empty>
      </Page>
    );
  }
  return <Known key={`${symbol} ${interval}`} symbol={symbol} interval={interval} />;
}

function Known({ symbol, interval }: { symbol: string; interval: Interval }) {
  const coverage = useResource(`coverage ${symbol} ${interval}`, () => readCoverage(symbol, interval), { onTasks: true });
  const [adding, setAdding] = useState(false);
  const [studying, setStudying] = useState(false);
  return (
    <Page
      title={`${symbol} ${interval}`}
      actions={
        <>
          <Export symbol={symbol} interval={interval} />
          <button type="button" onClick={() => setStudying(true)}>
            Study it
          </button>
          <button type="button" onClick={() => setAdding(true)}>
            Fetch more
          </button>
        </>
      }
    >
      <Shown of={coverage}>
        {(known) =>
          known.verified.length === 0 && known.gaps.length === 0 ? (
            <Empty title="Nothing of this series is stored.">
              <button type="button" class="link" onClick={() => setAdding(true)}>
                Fetch it
              </button>
            </Empty>
          ) : (
            <Coverage symbol={symbol} interval={interval} coverage={known} reload={coverage.reload} />
          )
        }
      </Shown>
      {adding && <NewBackfill initial={{ symbol, interval }} onClose={() => setAdding(false)} />}
      {studying && <RunStudy initial={{ symbol, interval }} onClose={() => setStudying(false)} />}
    </Page>
  );
}

interface CoverageProps {
  symbol: string;
  interval: Interval;
  coverage: SeriesCoverage;
  reload: () => void;
}

function Coverage({ symbol, interval, coverage, reload }: CoverageProps) {
  const { verified, gaps, corrections, more } = coverage;
  const starts = [...verified, ...gaps].map((one) => Date.parse(one.start));
  const ends = [...verified, ...gaps].map((one) => Date.parse(one.end));
  const [start, end] = [Math.min(...starts), Math.max(...ends)];
  const bar = rangeBar(interval, { start, end }, coverage);
  const missing = bar.segments.filter((segment) => segment.part === 'missing');
  const again = gaps.filter((gap) => gap.reason === 'unpublished' || gap.reason === 'fetch_failed' || gap.confirmed_at === null);
  const [busy, setBusy] = useState(false);
  const fetchMissing = async () => {
    setBusy(true);
    const done = await act(
      async () => {
        const spans = missing.length > 0 ? missing.map((one) => ({ start: one.start, end: one.end })) : [{ start, end }];
        const iso = (at: number) => new Date(at).toISOString();
        if (spans.length === 1 && spans[0]) {
          return must(api.POST('/api/market-data/fetch', { body: { symbol, interval, start: iso(spans[0].start), end: iso(spans[0].end) } as never }));
        }
        // One backfill of the whole asks for what is not complete alone.
        return must(api.POST('/api/market-data/fetch', { body: { symbol, interval, start: iso(start), end: iso(end) } as never }));
      },
      () => 'A backfill of what is missing is submitted.',
      'Not submitted',
    );
    if (done) say('Follow it', 'done', `/tasks/${done.task_id}`);
    setBusy(false);
    nudge();
    reload();
  };
  return (
    <>
      <Panel
        title="Coverage"
        actions={
          (missing.length > 0 || again.length > 0) && (
            <button type="button" class="primary" disabled={busy} onClick={() => void fetchMissing()}>
              Fetch what is missing
            </button>
          )
        }
      >
        <RangeBarView bar={bar} interval={interval} />
        {more && <p class="soft small">There are more gaps than are drawn here.</p>}
      </Panel>
      <Candles symbol={symbol} interval={interval} />
      <Gaps gaps={gaps} />
      {corrections.length > 0 && <Corrections corrections={corrections} />}
    </>
  );
}

function Gaps({ gaps }: { gaps: readonly Schemas['GapView'][] }) {
  const reasons = [...new Set(gaps.map((gap) => gap.reason))];
  const [reason, setReason] = useState('');
  const [all, setAll] = useState(false);
  const shown = gaps.filter((gap) => reason === '' || gap.reason === reason);
  if (gaps.length === 0) {
    return (
      <Panel title="Gaps">
        <p class="soft">There is none: every bucket of the verified ranges has a candle.</p>
      </Panel>
    );
  }
  return (
    <Panel
      title={`Gaps: ${count(gaps.length)}`}
      actions={
        <select aria-label="Reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)}>
          <option value="">every reason</option>
          {reasons.map((one) => (
            <option key={one} value={one}>
              {words(one)}
            </option>
          ))}
        </select>
      }
    >
      <div class="table-box" tabIndex={0} role="region" aria-label="Gaps">
        <table>
          <thead>
            <tr>
              <th scope="col">From (UTC)</th>
              <th scope="col">Until</th>
              <th scope="col" class="right">Buckets</th>
              <th scope="col">Reason</th>
              <th scope="col">First seen</th>
              <th scope="col">Confirmed</th>
            </tr>
          </thead>
          <tbody>
            {(all ? shown : shown.slice(0, 50)).map((gap) => (
              <tr key={`${gap.start}${gap.reason}`}>
                <td>{bucket(gap.start)}</td>
                <td>{bucket(gap.end)}</td>
                <td class="right">{count(gap.buckets)}</td>
                <td>{words(gap.reason)}</td>
                <td class="soft">{utc(gap.seen_at)}</td>
                <td class="soft">{utc(gap.confirmed_at)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && shown.length > 50 && (
        <button type="button" class="link" onClick={() => setAll(true)}>
          Show all {count(shown.length)}
        </button>
      )}
    </Panel>
  );
}

function Corrections({ corrections }: { corrections: readonly Schemas['CorrectionView'][] }) {
  return (
    <Panel title={`Corrections: ${count(corrections.length)}`}>
      <div class="table-box" tabIndex={0} role="region" aria-label="Corrections">
        <table>
          <thead>
            <tr>
              <th scope="col">Bucket (UTC)</th>
              <th scope="col" class="right">Stored close</th>
              <th scope="col" class="right">Close now</th>
              <th scope="col" class="right">Stored volume</th>
              <th scope="col" class="right">Volume now</th>
            </tr>
          </thead>
          <tbody>
            {corrections.map(({ stored, now }) => (
              <tr key={stored.open_time}>
                <td>{bucket(stored.open_time)}</td>
                <td class="right">{stored.close}</td>
                <td class="right">{now?.close ?? 'gone'}</td>
                <td class="right">{stored.volume}</td>
                <td class="right">{now?.volume ?? 'gone'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Export({ symbol, interval }: { symbol: string; interval: Interval }) {
  const save = (format: string) => {
    const name = `${symbol}-${interval}.${format}`;
    const start = encodeURIComponent('1970-01-01T00:00:00Z');
    const path = `/api/market-data/klines?symbol=${encodeURIComponent(symbol)}&interval=${interval}&start=${start}&format=${format}`;
    void act(() => download(path, name), () => `Saved ${name}.`, 'Not saved');
  };
  return (
    <select
      aria-label="Export"
      value=""
      onChange={(event) => {
        const format = event.currentTarget.value;
        event.currentTarget.value = '';
        if (format) save(format);
      }}
    >
      <option value="">Export…</option>
      <option value="csv">CSV</option>
      <option value="arrow">Arrow</option>
    </select>
  );
}

type Row = [number, string, string, string, string, string, ...unknown[]];

/** Candles of one read; older ones come when the chart is dragged to its beginning. */
const PAGE = 1000;

async function readCandles(symbol: string, interval: Interval, before?: number): Promise<Row[]> {
  const query = { symbol, interval, limit: PAGE, ...(before === undefined ? {} : { end: new Date(before).toISOString() }) };
  return (await must(api.GET('/api/market-data/klines', { params: { query: query as never } }))) as unknown as Row[];
}

/** The candle chart, whose library is loaded here only. */
function Candles({ symbol, interval }: { symbol: string; interval: Interval }) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<'loading' | 'empty' | 'there' | string>('loading');
  const [shown, setShown] = useState<{ from: number; to: number; n: number }>();
  const dark = theme.value === 'dark';
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    let gone = false;
    let remove: (() => void) | undefined;
    setState('loading');
    void (async () => {
      try {
        const [{ drawCandles }, first] = await Promise.all([import('../ui/candle_chart'), readCandles(symbol, interval)]);
        if (gone) return;
        if (first.length === 0) {
          setState('empty');
          return;
        }
        setState('there');
        // The chart takes the size of a box that is shown.
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        if (gone) return;
        remove = drawCandles(element, first as never, {
          dark,
          older: (before) => readCandles(symbol, interval, before) as never,
          onLoaded: (from, to, n) => setShown({ from, to, n }),
        });
      } catch (error) {
        if (!gone) setState(told(error));
      }
    })();
    return () => {
      gone = true;
      remove?.();
    };
  }, [symbol, interval, dark]);
  return (
    <Panel title="Candles">
      <div
        ref={box}
        class="candles"
        role="img"
        aria-label={shown ? `Candles and volume of ${symbol} ${interval} from ${bucket(shown.from)} to ${bucket(shown.to)}` : 'Candles and volume'}
        hidden={state !== 'there'}
      />
      {state === 'loading' && <Loading rows={5} />}
      {state === 'empty' && <p class="soft">No candle is stored.</p>}
      {state !== 'loading' && state !== 'empty' && state !== 'there' && <p class="soft">{state}</p>}
      <p class="soft small">
        {shown && `The newest ${count(shown.n)} candles, ${bucket(shown.from)} to ${bucket(shown.to)}, UTC; drag to the left for older ones. `}
        Chart: TradingView Lightweight Charts™, © 2025 <a href="https://www.tradingview.com/" rel="noreferrer noopener external" target="_blank">TradingView, Inc.</a>
      </p>
    </Panel>
  );
}
