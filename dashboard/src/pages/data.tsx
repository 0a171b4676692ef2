import { useLocation } from 'preact-iso';
import { useState } from 'preact/hooks';
import { api, must, type Schemas } from '../api/client';
import { bucket, count, duration } from '../format';
import { useResource } from '../live/resource';
import { NewBackfill } from '../ui/new_backfill';
import { Empty, Page, Shown } from '../ui/parts';

const MOST_PAGES = 10;

async function readAll(): Promise<{ series: Schemas['SeriesView'][]; more: boolean }> {
  const series: Schemas['SeriesView'][] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = { limit: 200, ...(cursor ? { cursor } : {}) } as never;
    const answer = await must(api.GET('/api/market-data/series', { params: { query } }));
    series.push(...answer.series);
    cursor = answer.next_cursor;
    if (!cursor) return { series, more: false };
  }
  return { series, more: true };
}

export function Data() {
  const { query, route, path } = useLocation();
  const prefix = (query['symbol'] ?? '').toUpperCase();
  const [adding, setAdding] = useState(false);
  const all = useResource('series', readAll, { every: 60_000, onTasks: true });
  return (
    <Page
      title="Data"
      actions={
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          New backfill
        </button>
      }
    >
      <Shown of={all}>
        {({ series, more }) =>
          series.length === 0 ? (
            <Empty title="No candles are stored yet.">
              <button type="button" class="link" onClick={() => setAdding(true)}>
                Submit a backfill
              </button>
            </Empty>
          ) : (
            <>
              <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
                <input
                  type="search"
                  data-search
                  aria-label="Beginning of a symbol"
                  placeholder="Symbol ( / )"
                  value={prefix}
                  spellcheck={false}
                  onInput={(event) => {
                    const text = event.currentTarget.value.trim().toUpperCase();
                    route(text ? `${path}?symbol=${encodeURIComponent(text)}` : path, true);
                  }}
                />
              </form>
              <Table series={series.filter((one) => one.symbol.startsWith(prefix))} />
              {more && <p class="soft small">The first {count(series.length)} series.</p>}
            </>
          )
        }
      </Shown>
      {adding && <NewBackfill onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Table({ series }: { series: readonly Schemas['SeriesView'][] }) {
  if (series.length === 0) return <Empty title="No series begins like this." />;
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label="Series">
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">First</th>
            <th scope="col">Last</th>
            <th scope="col" class="right">Candles</th>
            <th scope="col" class="right">Gaps</th>
            <th scope="col" class="right">Absent</th>
            <th scope="col">Complete until</th>
            <th scope="col" class="right">Behind</th>
          </tr>
        </thead>
        <tbody>
          {series.map((one) => (
            <tr key={`${one.symbol}:${one.interval}`}>
              <td>
                <a href={`/data/${encodeURIComponent(one.symbol)}/${one.interval}`}>
                  <bdi>
                    {one.symbol} {one.interval}
                  </bdi>
                </a>
              </td>
              <td>{one.first ? bucket(one.first) : '–'}</td>
              <td>{one.last ? bucket(one.last) : '–'}</td>
              <td class="right">{count(one.count)}</td>
              <td class="right">{count(one.gaps)}</td>
              <td class="right">{count(one.absent_buckets)}</td>
              <td>{one.verified_until ? bucket(one.verified_until) : '–'}</td>
              <td class="right soft">{one.lag_seconds === null || one.lag_seconds === undefined ? '–' : duration(one.lag_seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
