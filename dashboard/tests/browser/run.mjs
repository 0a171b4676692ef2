// The dashboard in Chromium against a whole stack: candlemill-dev with -- node dashboard/tests/browser/run.mjs
import assert from 'node:assert/strict';
import { accessibility, API, call, ended, launch, person, signIn } from './browser.mjs';

const browser = await launch();
const begun = Date.now();
let failed = 0;

/** One step; what the page must never do fails it as well. */
async function step(name, who, work) {
  const from = Date.now();
  try {
    await work();
    assert.deepEqual(who?.wrong ?? [], [], 'what the page must never do');
    console.log(`ok      ${name} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}\n${error.stack ?? error}`);
    await who?.page.screenshot({ path: `failed-${failed}.png` }).catch(() => undefined);
    if (who) who.wrong.length = 0;
  }
}

const HOSTILE = `<img src=x onerror="document.title='run'">\u202Etxet${'x'.repeat(400)}`;
const pro = await person(browser);
const { page } = pro;
let token;
let backfill;
let study;

await step('a wrong password is refused, without a word why', pro, async () => {
  pro.expect(/401 .*\/api\/session/);
  await signIn(page, 'pro@candlemill.test', 'wrong');
  await page.getByText('E-mail and password do not sign in here').waitFor();
  assert.deepEqual(await accessibility(page), []);
});

await step('sign-in, an empty overview, and the page stays signed in when it is loaded again', pro, async () => {
  token = await signIn(page);
  await page.getByText('Nothing was submitted yet.').waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  const kept = await page.evaluate(() => ({ cookie: document.cookie, local: JSON.stringify(localStorage), session: JSON.stringify(sessionStorage) }));
  assert.deepEqual(kept, { cookie: '', local: '{}', session: '{}' }, 'no token where scripts or disks find it');
});

await step('a backfill from the form to 100 % and a full range bar', pro, async () => {
  await page.getByRole('button', { name: 'New backfill' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Symbol').fill('btcusdt');
  await dialog.getByLabel('From (UTC)').fill('2018-01-01');
  await dialog.getByLabel('Until (UTC)').fill('2026-04-01');
  await dialog.getByRole('button', { name: 'Submit' }).click();
  await page.getByRole('link', { name: 'Open' }).click();
  await page.getByRole('heading', { name: 'BTCUSDT 1h' }).waitFor();
  backfill = page.url().split('/').at(-1);
  await page.getByRole('progressbar', { name: 'Progress' }).waitFor();
  await page.getByText('100 %').waitFor({ timeout: 60_000 });
  await page.getByRole('img', { name: '72,166 of 72,288 buckets stored, 122 absent (outage)' }).waitFor();
});

await step('coverage, gaps by reason, and the candle chart', pro, async () => {
  await page.getByRole('link', { name: 'Chart and gaps' }).click();
  await page.getByRole('img', { name: /^Candles and volume of BTCUSDT 1h from/ }).waitFor();
  assert.ok((await page.locator('.candles canvas').count()) > 0);
  await page.getByText('Gaps: 27').waitFor();
  const saved = page.waitForEvent('download');
  await page.getByLabel('Export').selectOption('csv');
  assert.equal((await saved).suggestedFilename(), 'BTCUSDT-1h.csv');
  assert.deepEqual(await accessibility(page), []);
});

await step('a task that waits is cancelled from the list, after a question', pro, async () => {
  const run_at = new Date(Date.now() + 3_600_000).toISOString();
  const request = { symbol: 'ETHUSDT', interval: '1d', start: '2020-01-01T00:00:00Z', end: '2020-03-01T00:00:00Z', run_at };
  await call(token, 'POST', '/api/market-data/fetch', request);
  await page.goto(`${API}/tasks?state=queued`);
  await page.getByLabel('Select ETHUSDT 1d').check();
  await page.getByRole('region', { name: 'Selection' }).getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('heading', { name: 'Cancel 1 task?' }).waitFor();
  await page.getByRole('button', { name: 'Cancel 1' }).click();
  await page.getByText('1 task told to stop.').waitFor();
  await page.getByText('No task fits these filters.').waitFor();
  await page.goto(`${API}/tasks?state=cancelled`);
  await page.getByRole('link', { name: 'ETHUSDT 1d' }).waitFor();
});

await step('a change is on the page without a reload', pro, async () => {
  await page.goto(`${API}/tasks`);
  await page.getByText('Live', { exact: true }).waitFor();
  await call(token, 'POST', '/api/market-data/fetch', { symbol: 'NOPEUSDT', interval: '1d', start: '2020-01-01T00:00:00Z' });
  await page.getByText('unknown_symbol').waitFor({ timeout: 10_000 });
});

await step('dead letters by cause; a group is replayed', pro, async () => {
  // A task that died is not to be had in a moment. One that failed stands for it: the list is made up, the replay is real.
  const { tasks } = await call(token, 'GET', '/api/tasks?state=failed');
  const [one] = tasks;
  let replayed = 0;
  await page.route(/\/api\/dead-letters\?/, (route) =>
    route.fulfill({
      json: {
        dead_letters: replayed > 0 ? [] : [
          {
            task_id: one.task_id, kind: one.kind, payload_version: 1, payload: { symbol: 'NOPEUSDT', interval: '1d', note: HOSTILE },
            cause: { code: 'unknown_symbol', message: `no such symbol ${HOSTILE}` }, attempt: 3, attempts: [], result: null,
            created_at: one.created_at, died_at: one.ended_at, replays: 0, replayed_at: null, discarded: null,
          },
        ],
        next_cursor: null,
      },
    }),
  );
  await page.route('**/api/dead-letters/replay', async (route) => {
    assert.deepEqual(route.request().postDataJSON(), { all: true, code: 'unknown_symbol' });
    await call(token, 'POST', `/api/dead-letters/${one.task_id}/replay`);
    replayed++;
    await route.fulfill({ json: { replayed: 1, task_ids: [one.task_id], refused: [], more: false, next_cursor: null } });
  });
  await page.goto(`${API}/dead-letters`);
  await page.getByRole('heading', { name: /unknown symbol/ }).waitFor();
  await page.getByText('Cause and payload').click();
  assert.deepEqual(await accessibility(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'long texts make the page no wider');
  await page.getByRole('button', { name: 'Replay the group' }).click();
  await page.getByRole('button', { name: 'Replay 1' }).click();
  await page.getByText('1 task replayed.').waitFor();
  await page.getByText('No dead letters.').waitFor();
  await page.unroute(/\/api\/dead-letters\?/);
  assert.equal((await ended(token, one.task_id)).replays, 1);
});

await step('a failed task is replayed on its page', pro, async () => {
  const { tasks } = await call(token, 'GET', '/api/tasks?state=failed');
  await page.goto(`${API}/tasks/${tasks[0].task_id}`);
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('Replayed: it is queued again.').waitFor();
});

await step('a study from the form to its verdicts and heat map', pro, async () => {
  await page.goto(`${API}/studies`);
  await page.getByRole('button', { name: 'Run a study' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Symbol').fill('BTCUSDT');
  await dialog.getByLabel('From (UTC)').fill('2018-01-01');
  await dialog.getByLabel('Until (UTC)').fill('2026-04-01');
  await dialog.getByRole('button', { name: 'Run it' }).click();
  await page.getByRole('link', { name: 'What the study found' }).click({ timeout: 120_000 });
  study = page.url().split('/').at(-1);
  await page.getByRole('button', { name: /stable of hour of week, volume/ }).click();
  const map = page.getByRole('img', { name: /^heat map hour of week volume of BTCUSDT/ });
  await map.waitFor();
  assert.ok(await map.evaluate((picture) => picture.decode().then(() => picture.naturalWidth > 0)), 'it is a picture');
});

await step('another user sees none of it', undefined, async () => {
  const free = await person(browser);
  free.expect(/404 .*\/api\/(task|seasonality)\//);
  await signIn(free.page, 'free@candlemill.test');
  await free.page.getByText('Nothing was submitted yet.').waitFor();
  await free.page.goto(`${API}/tasks/${backfill}`);
  await free.page.getByText('There is no such task of yours.').waitFor();
  await free.page.goto(`${API}/studies/${study}`);
  await free.page.getByText('There is no such study of yours.').waitFor();
  await free.page.goto(`${API}/operations`);
  await free.page.getByText('This page is for operators.').waitFor();
  assert.deepEqual(free.wrong, []);
  await free.context.close();
});

await step('hostile strings are text', pro, async () => {
  const hostile = encodeURIComponent(HOSTILE);
  pro.expect(/40[04] .*\/api\//);
  for (const path of [`/tasks?q=${hostile}&code=${hostile}`, `/tasks/${hostile}`, `/data/${hostile}/1h`, `/data/BTCUSDT/${hostile}`, `/data?symbol=${hostile}`, `/studies/${hostile}`]) {
    await page.goto(`${API}${path}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(300);
    assert.notEqual(await page.title(), 'run', path);
    assert.equal(await page.locator('img[src="x"]').count(), 0, path);
  }
});

await step('an operator sees the pools, pauses one and lets it go on', undefined, async () => {
  const operator = await person(browser);
  await operator.page.goto(`${API}/`);
  await operator.page.getByRole('button', { name: 'Operator' }).click();
  await operator.page.getByLabel("Operators' token").fill(process.env.CANDLEMILL_ADMIN_TOKEN ?? '');
  await operator.page.getByRole('button', { name: 'Sign in' }).click();
  const pool = operator.page.locator('section', { has: operator.page.getByRole('heading', { name: 'maintenance' }) });
  await pool.getByRole('button', { name: 'Pause' }).click();
  await operator.page.getByRole('dialog').getByLabel('Reason').fill(HOSTILE);
  await operator.page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await operator.page.getByText('maintenance: paused.').waitFor();
  assert.deepEqual(await accessibility(operator.page), []);
  await pool.getByRole('button', { name: 'Resume' }).click();
  await operator.page.getByText('maintenance: goes on.').waitFor();
  await operator.page.reload();
  await operator.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.deepEqual(operator.wrong, []);
  await operator.context.close();
});

await step('seven tabs share one session and one stream, and signing out ends all', undefined, async () => {
  const many = await person(browser);
  many.expect(/401 /);
  await signIn(many.page, 'enterprise@candlemill.test');
  await many.page.getByRole('heading', { name: 'Overview' }).waitFor();
  const streams = new Set();
  many.context.on('request', (request) => {
    if (request.url().endsWith('/api/events')) streams.add(request);
  });
  const tabs = await Promise.all(Array.from({ length: 6 }, async () => {
    const tab = await many.context.newPage();
    await tab.goto(`${API}/tasks`);
    await tab.getByRole('heading', { name: 'Tasks' }).waitFor();
    return tab;
  }));
  await many.page.waitForTimeout(1_000);
  // The first tab may open it only now.
  assert.ok(streams.size <= 1, `${streams.size} streams for seven tabs`);
  await tabs[5].getByRole('button', { name: 'Sign out' }).click();
  for (const tab of [many.page, ...tabs]) await tab.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.deepEqual(many.wrong, []);
  await many.context.close();
});

await step('an expired session asks for sign-in and loses no form', undefined, async () => {
  const late = await person(browser);
  late.expect(/401 /);
  await signIn(late.page);
  await late.page.getByRole('button', { name: 'New backfill' }).click();
  const form = late.page.getByRole('dialog', { name: 'New backfill' });
  await form.getByLabel('Symbol').fill('ETHUSDT');
  await form.getByLabel('From (UTC)').fill('2020-01-01');
  await form.getByLabel('Until (UTC)').fill('2020-02-01');
  // Both the token and the session are refused from now on.
  const refused = { status: 401, contentType: 'application/problem+json', json: { code: 'session_ended', title: 'x', status: 401 } };
  await late.page.route('**/api/session/refresh', (route) => route.fulfill(refused));
  await late.page.route('**/api/market-data/fetch', (route) => route.fulfill(refused));
  await form.getByRole('button', { name: 'Submit' }).click();
  const again = late.page.getByRole('dialog', { name: 'Your session has ended' });
  await again.waitFor();
  await late.page.unroute('**/api/session/refresh');
  await late.page.unroute('**/api/market-data/fetch');
  await again.getByRole('button', { name: 'Token' }).click();
  await again.getByLabel('Access token').fill(token);
  await again.getByRole('button', { name: 'Sign in' }).click();
  await again.waitFor({ state: 'detached' });
  assert.equal(await form.getByLabel('Symbol').inputValue(), 'ETHUSDT');
  await form.getByRole('button', { name: 'Submit' }).click();
  await late.page.getByText('Accepted: ETHUSDT 1h').waitFor();
  assert.deepEqual(late.wrong, []);
  await late.context.close();
});

// The session goes on in other browsers, one after the other: its refresh token is good for one use.
let cookies = await pro.context.cookies();
await pro.context.close();
for (const scheme of ['light', 'dark']) {
  for (const width of [1440, 390]) {
    await step(`axe is content with every page, ${scheme}, ${width} px, and none is wider than the screen`, undefined, async () => {
      const who = await person(browser, { scheme, width, height: width === 390 ? 844 : 900 });
      who.expect(/404 .*\/api\/schedules/);
      await who.context.addCookies(cookies);
      const { page: small } = who;
      for (const path of ['/', '/tasks', `/tasks/${backfill}`, '/dead-letters', '/schedules', '/studies', `/studies/${study}`, '/data', '/data/BTCUSDT/1h']) {
        await small.goto(`${API}${path}`);
        await small.getByRole('heading', { level: 1 }).waitFor();
        await small.waitForTimeout(900);
        cookies = await who.context.cookies();
        assert.deepEqual(await accessibility(small), [], path);
        const wide = await small.evaluate(() => {
          if (document.documentElement.scrollWidth <= innerWidth) return [];
          const beyond = [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
          return beyond.slice(0, 6).map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 60)}`);
        });
        assert.deepEqual(wide, [], `${path} is no wider than the screen`);
      }
      assert.deepEqual(who.wrong, []);
      await who.context.close();
    });
  }
}

await browser.close();
console.log(`${failed === 0 ? 'all passed' : `${failed} failed`} in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
process.exit(failed === 0 ? 0 : 1);
