import { useLocation, useRoute } from 'preact-iso';
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { FireList, Schedule } from '../api/schedules';
import { clip, count, utc, words } from '../format';
import { useResource } from '../live/resource';
import { Confirm } from '../ui/dialog';
import { Ago, Empty, Fact, Facts, Json, Loading, Failure, Page, Panel, Shown, State } from '../ui/parts';
import { act } from '../ui/toast';
import { ScheduleActions, templateWords } from './schedules';

export function SchedulePage() {
  const { params } = useRoute();
  const { route } = useLocation();
  const id = params['id'] ?? '';
  const path = `/api/schedules/${encodeURIComponent(id)}`;
  const schedule = useResource(path, () => call<Schedule>('GET', path), { every: 15_000, onTasks: true });
  const fires = useResource(`${path}/fires`, () => call<FireList>('GET', `${path}/fires`), { every: 15_000, onTasks: true });
  const [deleting, setDeleting] = useState(false);
  const one = schedule.data;
  if (one === undefined) {
    return (
      <Page title="Schedule">
        {schedule.error === undefined ? (
          <Loading />
        ) : schedule.error.status === 404 || schedule.error.status === 400 ? (
          <Empty title="There is no such schedule of yours.">
            <a href="/schedules">All schedules</a>
          </Empty>
        ) : (
          <Failure error={schedule.error} onRetry={schedule.reload} />
        )}
      </Page>
    );
  }
  const reload = () => {
    schedule.reload();
    fires.reload();
  };
  return (
    <Page
      title={one.name}
      actions={
        <>
          <ScheduleActions schedule={one} reload={reload} />
          <button type="button" class="quiet" onClick={() => setDeleting(true)}>
            Delete
          </button>
        </>
      }
    >
      <p class="sub">
        <State state={one.state} /> <span>{one.words}</span> <span class="soft">{templateWords(one.template)}</span>
      </p>
      {one.note && <p class="wrap soft note">{clip(one.note, 500)}</p>}
      <div class="columns">
        <Panel title="Next fires">
          {one.next_fires.length === 0 ? (
            <p class="soft">Nothing is due.</p>
          ) : (
            <ul class="lines">
              {one.next_fires.map((fire) => (
                <li key={fire.due_at}>
                  <span class="grow">
                    {fire.local ?? `${utc(fire.due_at)} UTC`}
                    {fire.moved_by_daylight_saving && <span class="warn-text"> moved by daylight saving</span>}
                  </span>
                  <span class="soft small">
                    <Ago at={fire.due_at} />
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Panel>
        <Panel title="Rules">
          <Facts>
            <Fact name="when missed">{words(one.misfire)}</Fact>
            <Fact name="on overlap">{words(one.overlap)}</Fact>
            <Fact name="failed in a row">{count(one.failed_in_a_row)}</Fact>
            {one.valid_until && <Fact name="grant ends">{utc(one.valid_until)} UTC</Fact>}
            {one.time_zone_data && <Fact name="time zones">{one.time_zone_data}</Fact>}
            <Fact name="made">{utc(one.created_at)} UTC</Fact>
          </Facts>
          <details>
            <summary>Template</summary>
            <Json value={one.template} label="Template" />
          </details>
        </Panel>
      </div>
      <Panel title="History">
        <Shown of={fires} rows={3}>
          {(list) =>
            list.fires.length === 0 ? (
              <p class="soft">It has not fired yet.</p>
            ) : (
              <div class="table-box" tabIndex={0} role="region" aria-label="History">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Due (UTC)</th>
                      <th scope="col">State</th>
                      <th scope="col">Task</th>
                      <th scope="col">Why</th>
                    </tr>
                  </thead>
                  <tbody>
                    {list.fires.map((fire) => (
                      <tr key={`${fire.due_at}${fire.fire_at ?? ''}`}>
                        <td>
                          {utc(fire.due_at)} {fire.manual && <span class="soft">by hand</span>}
                        </td>
                        <td>
                          <State state={fire.state} />
                        </td>
                        <td>
                          {fire.task_id && (
                            <a href={`/tasks/${fire.task_id}`}>
                              <code>{fire.task_id}</code>
                            </a>
                          )}
                        </td>
                        <td class="wrap soft">{fire.why ? clip(fire.why.detail) : ''}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Shown>
      </Panel>
      {deleting && (
        <Confirm
          title="Delete this schedule?"
          action="Delete"
          danger
          onClose={() => setDeleting(false)}
          onConfirm={() =>
            act(() => call<void>('DELETE', path).then(() => true), () => `${one.name}: deleted.`, 'Not deleted').then((done) => {
              if (done) route('/schedules');
            })
          }
        >
          <p>Tasks that it has submitted stay. The schedule and its history are gone for good.</p>
        </Confirm>
      )}
    </Page>
  );
}
