import { useLocation, useRoute } from 'preact-iso';
import { useEffect, useState } from 'preact/hooks';
import { api, blob, download, must, type Schemas, type Study } from '../api/client';
import { told } from '../api/problem';
import { bucket, count, figure, percent, pValue, utc, words } from '../format';
import { useResource } from '../live/resource';
import { Confirm } from '../ui/dialog';
import { Empty, Fact, Facts, Failure, Loading, Page, Panel } from '../ui/parts';
import { act } from '../ui/toast';

type Grouping = Schemas['GroupingReport'];

const read = (id: string): Promise<Study> =>
  must(api.GET('/api/seasonality/{id}', { params: { path: { id } } })) as Promise<unknown> as Promise<Study>;

export function StudyPage() {
  const { params } = useRoute();
  const { route } = useLocation();
  const id = (params['id'] ?? '').toUpperCase();
  const study = useResource(`study ${id}`, () => read(id));
  const [deleting, setDeleting] = useState(false);
  const one = study.data;
  if (one === undefined) {
    return (
      <Page title="Study">
        {study.error === undefined ? (
          <Loading rows={6} />
        ) : study.error.status === 404 || study.error.status === 400 ? (
          <Empty title="There is no such study of yours.">
            <a href="/studies">All studies</a>
          </Empty>
        ) : (
          <Failure error={study.error} onRetry={study.reload} />
        )}
      </Page>
    );
  }
  const { request } = one;
  return (
    <Page
      title={`${request.symbol} ${request.interval}`}
      actions={
        <>
          <Tables study={one} />
          <button type="button" class="quiet" onClick={() => setDeleting(true)}>
            Delete
          </button>
        </>
      }
    >
      <p class="sub">
        <span>
          {bucket(one.range.start)} to {bucket(one.range.end)}
        </span>
        <span class="soft">{count(one.candles)} candles</span>
        <span class="soft">{request.time_zone}</span>
        <span class="soft">made {utc(one.created_at)} UTC</span>
        <a href={`/tasks/${id}`}>its task</a>
      </p>
      {(one.ledger_changed || one.corrections_since > 0) && (
        <p class="stale">
          The data changed since: {one.corrections_since > 0 && `${count(one.corrections_since)} candles were corrected. `}
          {one.ledger_changed && 'The ledger of the range is another. '}Run it again for figures of now.
        </p>
      )}
      {one.calendar && <Calendar study={one} id={id} groupings={one.calendar.groupings} rule={one.calendar.rule} />}
      {one.sma_crossover && <Strategy title="Crossing averages" name="sma-crossover" report={one.sma_crossover} study={one} id={id} />}
      {one.mean_reversion && <Strategy title="Mean reversion" name="mean-reversion" report={one.mean_reversion} study={one} id={id} />}
      {deleting && (
        <Confirm
          title="Delete this study?"
          action="Delete"
          danger
          onClose={() => setDeleting(false)}
          onConfirm={() =>
            act(
              () => must(api.DELETE('/api/seasonality/{id}', { params: { path: { id } } })).then(() => true),
              () => 'The study is deleted.',
              'Not deleted',
            ).then((done) => {
              if (done) route('/studies');
            })
          }
        >
          <p>Its charts and tables go too. This cannot be undone; the same study can be run again.</p>
        </Confirm>
      )}
    </Page>
  );
}

function Tables({ study }: { study: Study }) {
  return (
    <select
      aria-label="Download a table"
      value=""
      onChange={(event) => {
        const table = event.currentTarget.value;
        event.currentTarget.value = '';
        if (!table) return;
        const name = `${study.request.symbol}-${study.request.interval}-${table}.csv`;
        void act(() => download(`/api/seasonality/${study.study_id}?table=${table}&format=csv`, name), () => `Saved ${name}.`, 'Not saved');
      }}
    >
      <option value="">Download…</option>
      {study.tables.map((table) => (
        <option key={table} value={table}>
          {words(table)} (CSV)
        </option>
      ))}
    </select>
  );
}

/** A chart of the API: fetched with the token, and shown as a picture, in which no script runs. */
export function Chart({ id, name, label }: { id: string; name: string; label: string }) {
  const [address, setAddress] = useState<string>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    let made: string | undefined;
    let gone = false;
    setAddress(undefined);
    setError(undefined);
    blob(`/api/seasonality/${id}/charts/${name}.svg`).then(
      (svg) => {
        if (gone) return;
        made = URL.createObjectURL(svg);
        setAddress(made);
      },
      (caught: unknown) => {
        if (!gone) setError(told(caught));
      },
    );
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [id, name]);
  if (error) return <p class="soft">{error}</p>;
  return <div class="chart">{address ? <img src={address} alt={label} /> : <Loading rows={3} />}</div>;
}

const VERDICTS = ['stable', 'unstable', 'chance', 'insufficient'] as const;

function Calendar({ study, id, groupings, rule }: { study: Study; id: string; groupings: readonly Grouping[]; rule: string }) {
  const names = [...new Set(groupings.map((one) => one.grouping))];
  const measures = [...new Set(groupings.map((one) => one.measure))];
  const [grouping, setGrouping] = useState(names.includes('hour_of_week') ? 'hour_of_week' : names[0]);
  const [measure, setMeasure] = useState(measures[0]);
  const here = groupings.find((one) => one.grouping === grouping && one.measure === measure);
  const suffix = `${grouping}-${measure}`.replaceAll('_', '-');
  const charts = study.charts.filter((name) => name.endsWith(suffix) && /^(?:bars|heat-map|stability)-/.test(name) && name.replace(/^(?:bars|heat-map|stability)-/, '') === suffix);
  return (
    <Panel title="Calendar effects">
      <Verdicts groupings={groupings} names={names} measures={measures} chosen={[grouping, measure]} onChoose={(g, m) => (setGrouping(g), setMeasure(m))} />
      {here && (
        <>
          <h3>
            {words(here.measure)} by {words(here.grouping)}
          </h3>
          <div class="charts">
            {charts.map((name) => (
              <Chart key={name} id={id} name={name} label={`${words(name.replaceAll('-', '_'))} of ${study.request.symbol}; its figures are in the table`} />
            ))}
          </div>
          <BucketTable of={here} />
        </>
      )}
      <p class="soft small">{rule}</p>
    </Panel>
  );
}

interface VerdictsProps {
  groupings: readonly Grouping[];
  names: readonly Grouping['grouping'][];
  measures: readonly Grouping['measure'][];
  chosen: readonly [string | undefined, string | undefined];
  onChoose: (grouping: Grouping['grouping'], measure: Grouping['measure']) => void;
}

/** Every grouping and measure, and what of it is more than chance. */
function Verdicts({ groupings, names, measures, chosen, onChoose }: VerdictsProps) {
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label="Verdicts">
      <table class="verdicts">
        <thead>
          <tr>
            <th scope="col">Grouping</th>
            {measures.map((measure) => (
              <th key={measure} scope="col">
                {words(measure)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((grouping) => (
            <tr key={grouping}>
              <th scope="row">{words(grouping)}</th>
              {measures.map((measure) => {
                const one = groupings.find((g) => g.grouping === grouping && g.measure === measure);
                if (!one) return <td key={measure} />;
                const stable = one.buckets.filter((b) => b.verdict === 'stable').length;
                const unstable = one.buckets.filter((b) => b.verdict === 'unstable').length;
                const is = chosen[0] === grouping && chosen[1] === measure;
                return (
                  <td key={measure}>
                    <button type="button" class={`verdict ${stable > 0 ? 'stable' : unstable > 0 ? 'unstable' : 'chance'}`} aria-pressed={is} onClick={() => onChoose(grouping, measure)}>
                      {stable > 0 ? `${stable} stable` : unstable > 0 ? `${unstable} unstable` : 'chance'}
                      <span class="sr"> of {words(grouping)}, {words(measure)}</span>
                    </button>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function BucketTable({ of }: { of: Grouping }) {
  const tally = VERDICTS.map((verdict) => [verdict, of.buckets.filter((one) => one.verdict === verdict).length] as const).filter(([, n]) => n > 0);
  const scale = of.measure === 'volume' ? (v: number | null | undefined) => figure(v, 2) : (v: number | null | undefined) => percent(v, 3);
  return (
    <details>
      <summary>
        {count(of.buckets.length)} buckets: {tally.map(([verdict, n]) => `${n} ${verdict}`).join(', ')}
        {of.omnibus && `; all alike: p ${pValue(of.omnibus.p)}`}
      </summary>
      <div class="table-box tall" tabIndex={0} role="region" aria-label="Buckets">
        <table>
          <thead>
            <tr>
              <th scope="col">Bucket</th>
              <th scope="col" class="right">n</th>
              <th scope="col" class="right">Mean</th>
              <th scope="col" class="right">Median</th>
              <th scope="col" class="right">To the rest</th>
              <th scope="col" class="right">95 % interval</th>
              <th scope="col" class="right">Holm p</th>
              <th scope="col">Verdict</th>
            </tr>
          </thead>
          <tbody>
            {of.buckets.map((one) => (
              <tr key={one.bucket}>
                <td>{one.bucket}</td>
                <td class="right">{count(one.n)}</td>
                <td class="right">{scale(one.mean)}</td>
                <td class="right">{scale(one.median)}</td>
                <td class="right">{scale(one.difference)}</td>
                <td class="right">{one.low === null || one.low === undefined ? '–' : `${scale(one.low)} to ${scale(one.high)}`}</td>
                <td class="right">{pValue(one.holm_p)}</td>
                <td>
                  <span class={`verdict-word ${one.verdict}`}>{one.verdict}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Strategy({ title, name, report, study, id }: { title: string; name: string; report: Schemas['StrategyReport']; study: Study; id: string }) {
  const phases = [
    ['Whole range', 'whole'],
    ['In sample', 'in_sample'],
    ['Out of sample', 'out_of_sample'],
  ] as const;
  const chart = `equity-${name}`;
  return (
    <Panel title={title}>
      <Facts dense>
        <Fact name="trades">{count(report.trades)}</Fact>
        <Fact name="signals">{count(report.signals)}</Fact>
        <Fact name="break-even fee">{report.break_even_fee_bps ? `${figure(report.break_even_fee_bps, 1)} bps` : '–'}</Fact>
      </Facts>
      <div class="table-box" tabIndex={0} role="region" aria-label={title}>
        <table>
          <thead>
            <tr>
              <th scope="col">Phase</th>
              <th scope="col" class="right">Return</th>
              <th scope="col" class="right">Buy and hold</th>
              <th scope="col" class="right">Sharpe</th>
              <th scope="col" class="right">Buy and hold</th>
              <th scope="col" class="right">Worst drawdown</th>
              <th scope="col" class="right">Trades won</th>
            </tr>
          </thead>
          <tbody>
            {phases.map(([label, key]) => {
              const [own, hold] = [report.strategy[key], report.buy_and_hold[key]];
              if (!own) return null;
              return (
                <tr key={key}>
                  <td>{label}</td>
                  <td class="right">{percent(own.total_return)}</td>
                  <td class="right soft">{percent(hold?.total_return)}</td>
                  <td class="right">{figure(own.sharpe)}</td>
                  <td class="right soft">{figure(hold?.sharpe)}</td>
                  <td class="right">{percent(own.max_drawdown)}</td>
                  <td class="right">{percent(own.win_rate)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {study.charts.includes(chart) && (
        <div class="charts one">
          <Chart id={id} name={chart} label={`Equity of ${title.toLowerCase()} on ${study.request.symbol}, beside buy and hold`} />
        </div>
      )}
    </Panel>
  );
}

