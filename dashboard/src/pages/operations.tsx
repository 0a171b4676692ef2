import { useState } from 'preact/hooks';
import { api, call, must, type Schemas, type Task } from '../api/client';
import { KINDS, rangeWords, STATES, subjectOf } from '../model/task';
import { clip, count, duration } from '../format';
import { useResource } from '../live/resource';
import { isOperator } from '../session';
import { Confirm } from '../ui/dialog';
import { Ago, Empty, Page, Panel, Shown, State } from '../ui/parts';
import { act } from '../ui/toast';

type Queue = Schemas['QueueView'];

/** What operators see: pools and workers. */
export function Operations() {
  const queues = useResource(isOperator.value ? 'queues' : undefined, () => must(api.GET('/api/admin/queues')), { every: 3_000 });
  if (!isOperator.value) {
    return (
      <Page title="Operations">
        <Empty title="This page is for operators.">Sign in with the operators' token to see it.</Empty>
      </Page>
    );
  }
  return (
    <Page title="Operations">
      <Shown of={queues}>
        {({ queues: pools, workers }) => (
          <>
            <div class="cards">
              {pools.map((pool) => (
                <Pool key={pool.pool} queue={pool} reload={queues.reload} />
              ))}
            </div>
            <Workers workers={workers} reload={queues.reload} />
            <OwnersTasks />
          </>
        )}
      </Shown>
    </Page>
  );
}

function Pool({ queue, reload }: { queue: Queue; reload: () => void }) {
  const [pausing, setPausing] = useState(false);
  const [reason, setReason] = useState('');
  const slots = queue.workers.reduce((sum, worker) => sum + worker.concurrency, 0);
  const pool = queue.pool;
  const resume = () =>
    void act(() => must(api.POST('/api/admin/queues/{pool}/resume', { params: { path: { pool } } })), () => `${pool}: goes on.`, 'Not resumed').then(reload);
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>
          {pool} {queue.paused && <State state="paused" />}
        </h2>
        <div class="actions">
          {queue.paused ? (
            <button type="button" class="primary" onClick={resume}>
              Resume
            </button>
          ) : (
            <button type="button" onClick={() => setPausing(true)}>
              Pause
            </button>
          )}
        </div>
      </header>
      <div class="figures">
        <F name="waiting" value={count(queue.waiting)} />
        <F name="for their time" value={count(queue.delayed)} />
        <F name={`running, of ${count(slots)} slots`} value={count(queue.running)} />
        <F name="oldest waits" value={queue.oldest_waiting_seconds === null || queue.oldest_waiting_seconds === undefined ? '–' : duration(queue.oldest_waiting_seconds)} />
      </div>
      {queue.paused && (
        <p class="soft wrap">
          Paused by {queue.paused.by} <Ago at={queue.paused.since} />
          {queue.paused.reason ? `: ${queue.paused.reason}` : ''}
        </p>
      )}
      {slots === 0 && <p class="warn-text">No worker runs tasks of this pool.</p>}
      {pausing && (
        <Confirm
          title={`Pause ${pool}?`}
          action="Pause"
          onClose={() => setPausing(false)}
          onConfirm={() =>
            act(
              () => must(api.POST('/api/admin/queues/{pool}/pause', { params: { path: { pool } }, body: { by: 'dashboard', ...(reason ? { reason } : {}) } })),
              () => `${pool}: paused.`,
              'Not paused',
            ).then(reload)
          }
        >
          <p>No task of it is started until it is resumed. What runs goes on, and tasks are accepted and wait.</p>
          <label class="field">
            Reason, for the other operators
            <input value={reason} maxLength={500} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
        </Confirm>
      )}
    </section>
  );
}

function F({ name, value }: { name: string; value: string }) {
  return (
    <div class="figure">
      <span class="figure-value">{value}</span>
      <span class="soft small">{name}</span>
    </div>
  );
}

function Workers({ workers, reload }: { workers: readonly Schemas['WorkerView'][]; reload: () => void }) {
  const [draining, setDraining] = useState<string>();
  if (workers.length === 0) {
    return (
      <Panel title="Workers">
        <p class="warn-text">No worker lives. Tasks are accepted and wait.</p>
      </Panel>
    );
  }
  return (
    <Panel title={`Workers: ${count(workers.length)}`}>
      <div class="table-box" tabIndex={0} role="region" aria-label="Workers">
        <table>
          <thead>
            <tr>
              <th scope="col">Worker</th>
              <th scope="col">State</th>
              <th scope="col">Host</th>
              <th scope="col">Version</th>
              <th scope="col" class="right">Runs</th>
              <th scope="col">Started</th>
              <th scope="col">Seen</th>
              <th scope="col">
                <span class="sr">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {workers.map((worker) => (
              <tr key={worker.id}>
                <td>
                  <code>{worker.id}</code>
                </td>
                <td>
                  <State state={worker.state} />
                </td>
                <td>
                  {worker.host} <span class="soft">{worker.pid}</span>
                </td>
                <td>{worker.version}</td>
                <td class="right">{count(worker.running)}</td>
                <td class="soft">
                  <Ago at={worker.started_at} />
                </td>
                <td class="soft">
                  <Ago at={worker.seen_at} />
                </td>
                <td class="right">
                  {worker.state === 'running' && (
                    <button type="button" class="small" onClick={() => setDraining(worker.id)}>
                      Drain
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {draining && (
        <Confirm
          title="Drain this worker?"
          action="Drain"
          danger
          onClose={() => setDraining(undefined)}
          onConfirm={() =>
            act(
              () => must(api.POST('/api/admin/workers/{id}/drain', { params: { path: { id: draining } } })),
              () => `${draining}: hands back its tasks and takes no more.`,
              'Not drained',
            ).then(reload)
          }
        >
          <p>It hands back what it has and takes no more tasks until it is started again. This cannot be undone from here.</p>
        </Confirm>
      )}
    </Panel>
  );
}

/** What a user asks about: the newest tasks of one user, as the user sees them. */
function OwnersTasks() {
  const [typed, setTyped] = useState('');
  const [owner, setOwner] = useState('');
  const [state, setState] = useState('');
  const path = `/api/admin/tasks?limit=50&owner=${encodeURIComponent(owner)}${state ? `&state=${state}` : ''}`;
  const tasks = useResource(owner ? path : undefined, () => call<{ tasks: Task[] }>('GET', path), { every: 10_000 });
  return (
    <Panel title="Tasks of a user">
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          setOwner(typed.trim());
        }}
      >
        <input
          aria-label="Id of the user"
          class="filter-q"
          placeholder="Id of the user"
          spellcheck={false}
          value={typed}
          maxLength={100}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <select aria-label="State" value={state} onChange={(event) => setState(event.currentTarget.value)}>
          <option value="">State: any</option>
          {STATES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
        <button type="submit">Show</button>
      </form>
      {owner && (
        <Shown of={tasks} rows={2}>
          {({ tasks: all }) =>
            all.length === 0 ? (
              <p class="soft">This user has no such tasks.</p>
            ) : (
              <div class="table-box" tabIndex={0} role="region" aria-label="Tasks of the user">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Task</th>
                      <th scope="col">State</th>
                      <th scope="col">What</th>
                      <th scope="col">Range</th>
                      <th scope="col">Error</th>
                      <th scope="col">Submitted</th>
                    </tr>
                  </thead>
                  <tbody>
                    {all.map((task) => {
                      const subject = subjectOf(task.kind, task.request);
                      return (
                        <tr key={task.task_id}>
                          <td>
                            <code>{task.task_id}</code>
                          </td>
                          <td>
                            <State state={task.state} />
                          </td>
                          <td>
                            <bdi>{subject.words}</bdi> <span class="soft small">{KINDS[task.kind] ?? task.kind}</span>
                          </td>
                          <td class="soft">{rangeWords(subject)}</td>
                          <td class="wrap">{task.error ? `${task.error.code}: ${clip(task.error.message, 160)}` : ''}</td>
                          <td class="soft">
                            <Ago at={task.created_at} />
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
            )
          }
        </Shown>
      )}
    </Panel>
  );
}
