// The pictures of the README: candlemill-dev with -- node dashboard/tests/browser/pictures.mjs docs
import { join } from 'node:path';
import { API, call, ended, launch, person, signIn } from './browser.mjs';

const folder = process.argv[2] ?? 'docs';
const browser = await launch();
const { page } = await person(browser, { width: 1120, height: 700 });
const token = await signIn(page);
const submit = async (path, body) => (await call(token, 'POST', path, body)).task_id;

const range = { symbol: 'BTCUSDT', start: '2018-01-01T00:00:00Z', end: '2026-04-01T00:00:00Z' };
const backfill = await submit('/api/market-data/fetch', { ...range, interval: '1h' });
await ended(token, backfill);
for (const interval of ['4h', '1d']) await ended(token, await submit('/api/market-data/fetch', { ...range, interval }));
await ended(token, await submit('/api/market-data/fetch', { symbol: 'NOPEUSDT', interval: '1d', start: '2020-01-01T00:00:00Z' }));
const study = await submit('/api/seasonality', { ...range, interval: '1h' });
await ended(token, study);

for (const [name, path, ready] of [
  ['dashboard-task', `/tasks/${backfill}`, '.range-bar'],
  ['dashboard-data', '/data/BTCUSDT/1h', '.candles canvas'],
  ['dashboard-study', `/studies/${study}`, '.chart img'],
]) {
  await page.goto(`${API}${path}`);
  await page.locator(ready).first().waitFor();
  await page.waitForTimeout(1_500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(`${name}.png`);
}
await browser.close();
