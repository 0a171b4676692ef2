import { useLocation } from 'preact-iso';
import { useState } from 'preact/hooks';
import { api, must, type DeadLetter } from '../api/client';
import { clip, count, plural, utc, words } from '../format';
import { nudge } from '../live/events';
import { useResource } from '../live/resource';
import { replayGroup, replayOne } from '../model/actions';
import { KINDS, subjectOf } from '../model/task';
import { Confirm } from '../ui/dialog';
import { Ago, Empty, Json, Page, Shown } from '../ui/parts';
import { act } from '../ui/toast';
import { Discard } from './task';

/** Pages of 200 that are read to be grouped. */
const MOST_PAGES = 10;

interface All {
  letters: DeadLetter[];
  more: boolean;
}

async function readAll(discarded: boolean): Promise<All> {
  const letters: DeadLetter[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = { limit: 200, ...(discarded ? { discarded: true } : {}), ...(cursor ? { cursor } : {}) } as never;
    const answer = await must(api.GET('/api/dead-letters', { params: { query } }));
    letters.push(...answer.dead_letters);
    cursor = answer.next_cursor;
    if (!cursor) return { letters, more: false };
  }
  return { letters, more: true };
}

interface Group {
  code: string;
  letters: DeadLetter[];
  /** Messages that differ in more than figures and ids. */
  messages: Map<string, number>;
}

function grouped(letters: readonly DeadLetter[]): Group[] {
  const groups = new Map<string, Group>();
  for (const letter of letters) {
    const code = letter.cause?.code ?? 'unknown';
    const group: Group = groups.get(code) ?? { code, letters: [], messages: new Map() };
    group.letters.push(letter);
    const message = (letter.cause?.message ?? '').replace(/[0-9A-HJKMNP-TV-Z]{26}/g, '…').replace(/\d+(?:[.,:]\d+)*/g, '#');
    group.messages.set(message, (group.messages.get(message) ?? 0) + 1);
    groups.set(code, group);
  }
  return [...groups.values()].sort((a, b) => b.letters.length - a.letters.length);
}

export function DeadLetters() {
  const { query, route } = useLocation();
  const discarded = query['discarded'] === 'true';
  const all = useResource(`dead ${discarded}`, () => readAll(discarded), { onTasks: true, every: 30_000 });
  return (
    <Page
      title="Dead letters"
      actions={
        <div class="tabs" role="group" aria-label="Which">
          <button type="button" aria-pressed={!discarded} onClick={() => route('/dead-letters')}>
            Waiting
          </button>
          <button type="button" aria-pressed={discarded} onClick={() => route('/dead-letters?discarded=true')}>
            Discarded
          </button>
        </div>
      }
    >
      <Shown of={all}>
        {({ letters, more }) =>
          letters.length === 0 ? (
            <Empty title={discarded ? 'Nothing was discarded.' : 'No dead letters.'}>
              {discarded ? 'What is discarded stays here for a while.' : 'Tasks that were given up after all their attempts wait here to be replayed or discarded.'}
            </Empty>
          ) : (
            <>
              {more && <p class="soft">Of the newest {count(letters.length)}. A group is replayed as a whole all the same.</p>}
              {grouped(letters).map((group) => (
                <GroupPanel key={group.code} group={group} more={more} discarded={discarded} reload={all.reload} />
              ))}
            </>
          )
        }
      </Shown>
    </Page>
  );
}

/** Letters of a group that are listed at first. */
const FIRST = 10;

function GroupPanel({ group, more, discarded, reload }: { group: Group; more: boolean; discarded: boolean; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const [all, setAll] = useState(false);
  const kinds = new Map<string, number>();
  for (const letter of group.letters) kinds.set(letter.kind, (kinds.get(letter.kind) ?? 0) + 1);
  const after = () => {
    reload();
    nudge();
  };
  const [message, others] = [[...group.messages.keys()][0] ?? '', group.messages.size - 1];
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>
          <bdi>{words(group.code)}</bdi> <span class="badge">{count(group.letters.length)}{more ? '+' : ''}</span>
        </h2>
        {!discarded && (
          <div class="actions">
            <button type="button" class="primary" onClick={() => setAsking(true)}>
              Replay the group
            </button>
          </div>
        )}
      </header>
      <p class="wrap soft">
        {clip(message)}
        {others > 0 && ` and ${plural(others, 'other message')}`}
      </p>
      <p class="soft small">{[...kinds].map(([kind, n]) => `${count(n)} × ${KINDS[kind] ?? words(kind)}`).join(', ')}</p>
      <ul class="letters">
        {(all ? group.letters : group.letters.slice(0, FIRST)).map((letter) => (
          <Letter key={letter.task_id} letter={letter} onDone={after} />
        ))}
      </ul>
      {!all && group.letters.length > FIRST && (
        <button type="button" class="link" onClick={() => setAll(true)}>
          Show all {count(group.letters.length)}
        </button>
      )}
      {asking && (
        <Confirm
          title={`Replay ${more ? 'all' : plural(group.letters.length, 'task')} of this cause?`}
          action={more ? 'Replay all' : `Replay ${count(group.letters.length)}`}
          onClose={() => setAsking(false)}
          onConfirm={() => replayGroup(group.code === 'unknown' ? undefined : group.code).then(after)}
        >
          <p>
            Every dead task with the cause <code>{group.code}</code> is queued again and goes on from where it stopped, as far as your tier
            has room.
          </p>
        </Confirm>
      )}
    </section>
  );
}

function Letter({ letter, onDone }: { letter: DeadLetter; onDone: () => void }) {
  const [discarding, setDiscarding] = useState(false);
  const subject = subjectOf(letter.kind, letter.payload);
  return (
    <li>
      <div class="letter-head">
        <a href={`/tasks/${letter.task_id}`} class="grow">
          <bdi>{subject.words}</bdi>
        </a>
        <span class="soft small">
          {plural(letter.attempt, 'attempt')}, died <Ago at={letter.died_at} />
        </span>
        {!letter.discarded && (
          <>
            <button
              type="button"
              class="small"
              onClick={() => void act(() => replayOne(letter.task_id), () => 'Replayed: it is queued again.', 'Not replayed').then(onDone)}
            >
              Replay
            </button>
            <button type="button" class="quiet small" onClick={() => setDiscarding(true)}>
              Discard
            </button>
          </>
        )}
      </div>
      {letter.discarded && (
        <p class="soft small wrap">
          Discarded {utc(letter.discarded.at)}: {clip(letter.discarded.reason)}
        </p>
      )}
      <details>
        <summary>Cause and payload</summary>
        <p class="wrap">{clip(letter.cause?.message ?? 'No cause was recorded.', 2000)}</p>
        <Json value={letter.payload} label={`Payload of ${subject.words}`} />
      </details>
      {discarding && <Discard id={letter.task_id} onClose={() => setDiscarding(false)} onDone={onDone} />}
    </li>
  );
}
