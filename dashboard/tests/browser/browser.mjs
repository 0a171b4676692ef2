// A Chromium that tells what a page of ours must never do.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const API = required('CANDLEMILL_API_URL');
export const PASSWORD = 'candlemill';

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: candlemill-dev with -- node ${process.argv[1]}`);
  return value;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CANDLEMILL_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A person's browser: its own cookies, and a list of what went wrong. */
export async function person(browser, { width = 1440, height = 900, scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, permissions: ['clipboard-write'] });
  const wrong = [];
  // A refused call is no mistake of the page: Chromium writes each of them to the console.
  // An API without schedules says so, and so does the page.
  const expected = [/404 .*\/api\/schedules/];
  await context.exposeFunction('__violation', (text) => wrong.push(`policy: ${text}`));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => globalThis.__violation(`${event.violatedDirective} ${event.blockedURI}`));
  });
  context.on('weberror', (error) => wrong.push(`exception: ${error.error().stack ?? error.error()}`));
  context.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const told = `${message.text()} (${message.location().url})`;
    if (!expected.some((pattern) => pattern.test(told))) wrong.push(`console: ${told}`);
  });
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.origin !== new URL(API).origin) wrong.push(`another host: ${url}`);
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  return { context, page, wrong, expect: (pattern) => expected.push(pattern) };
}

/** Signs in by the form; the access token, as a program would use it. Five tries a minute are all that there are. */
export async function signIn(page, email = 'pro@candlemill.test', password = PASSWORD) {
  await page.goto(`${API}/`);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  const answer = page.waitForResponse((response) => response.url().endsWith('/api/session'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  const response = await answer;
  return response.ok() ? (await response.json()).access_token : undefined;
}

/** What axe finds on the page. It runs in a world of its own, which the page's policy does not bind. */
export async function accessibility(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  await session.send('Runtime.evaluate', { expression: axeSource, contextId });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations.map((one) =>
      one.id + ': ' + one.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join(' | '))))`,
    contextId,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  return JSON.parse(result.value);
}

/** A call of the API, as a program makes it. */
export async function call(token, method, path, body) {
  const answer = await fetch(`${API}${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** Waits until a task has ended; its record. */
export async function ended(token, id) {
  for (;;) {
    const task = await call(token, 'GET', `/api/task/${id}`);
    if (!['queued', 'running', 'retrying'].includes(task.state)) return task;
    await new Promise((done) => setTimeout(done, 200));
  }
}
