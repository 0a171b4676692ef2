import type { Interval } from '../api/client';
import { bucket, count, words } from '../format';
import { inWords, type RangeBar, type Segment } from '../model/range_bar';

/** More pieces than this cannot be told apart on a screen; small ones are drawn in groups. */
const MOST_DRAWN = 600;

export function RangeBarView({ bar, interval }: { bar: RangeBar; interval: Interval }) {
  const length = Math.max(bar.end - bar.start, 1);
  const share = (at: number) => ((at - bar.start) / length) * 100;
  // What the exchange lacks is drawn over what is known, and at least two pixels wide: it is what people look for.
  const known = joined(bar.segments);
  const drawn = [...known, ...bar.segments.filter((one) => one.part === 'absent')];
  const over = drawn.length - MOST_DRAWN;
  if (over > 0) drawn.sort((a, b) => b.buckets - a.buckets).splice(MOST_DRAWN);
  drawn.sort((a, b) => Number(a.part === 'absent') - Number(b.part === 'absent'));
  const { stored, running, missing, absent } = bar.totals;
  return (
    <figure class="range">
      <div class="range-bar" role="img" aria-label={inWords(bar, count)}>
        {drawn.map((segment) => (
          <span
            key={`${segment.part}${segment.start}`}
            class={`range-part ${segment.part}`}
            title={`${segment.reason ? words(segment.reason) : segment.part}: ${count(segment.buckets)} × ${interval}, ${bucket(segment.start)} to ${bucket(segment.end)}`}
            style={{ left: `${share(segment.start)}%`, width: `${Math.max(share(segment.end) - share(segment.start), 0)}%` }}
          />
        ))}
      </div>
      <div class="range-ends soft small">
        <span>{bucket(bar.start)}</span>
        <span>{bucket(bar.end)}</span>
      </div>
      <figcaption class="legend">
        <Key part="stored" name="stored" n={stored} />
        {running > 0 && <Key part="running" name="under way" n={running} />}
        {missing > 0 && <Key part="missing" name="missing" n={missing} />}
        {Object.entries(bar.reasons).map(([reason, n]) => (
          <Key key={reason} part="absent" name={`absent: ${words(reason)}`} n={n} />
        ))}
        {absent === 0 && missing === 0 && running === 0 && stored > 0 && <span class="soft">nothing missing</span>}
      </figcaption>
    </figure>
  );
}

/** Neighbours of one kind as one piece; absent stretches count as stored here, for they are drawn over it. */
function joined(segments: readonly Segment[]): Segment[] {
  const all: Segment[] = [];
  for (const segment of segments) {
    const part = segment.part === 'absent' ? 'stored' : segment.part;
    const last = all.at(-1);
    if (last !== undefined && last.part === part && last.end === segment.start) {
      last.end = segment.end;
      last.buckets += segment.part === 'absent' ? 0 : segment.buckets;
    } else {
      all.push({ part, start: segment.start, end: segment.end, buckets: segment.part === 'absent' ? 0 : segment.buckets });
    }
  }
  return all;
}

function Key({ part, name, n }: { part: string; name: string; n: number }) {
  return (
    <span class="key">
      <span class={`swatch ${part}`} aria-hidden="true" />
      <b>{count(n)}</b> {name}
    </span>
  );
}
