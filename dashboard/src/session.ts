/**
 * Who is signed in. The access token lives in this module alone; the refresh token is a cookie that no script reads.
 *
 * Refresh tokens are good for one use, so tabs refresh one at a time, under a lock of the browser, and tell each other of the new
 * access token. A tab that waited for the lock finds that another has refreshed meanwhile.
 */
import { computed, signal } from '@preact/signals';
import { ApiError } from './api/problem';

export interface Session {
  token: string;
  /** For the eye alone: the API looks at the token itself. */
  email: string;
  userId: string;
  /** UTC ms. */
  expiresAt: number;
  /** Whether it can be refreshed: a pasted token cannot. */
  renewable: boolean;
}

type Known = 'asking' | 'signed-out' | 'signed-in' | 'expired';

export const session = signal<Session | undefined>(undefined);
export const known = signal<Known>('asking');
/** Whether the service did not answer when it was asked for the session. */
export const away = signal(false);
/** The operators' token, in memory only. */
export const operatorToken = signal<string | undefined>(undefined);
export const isOperator = computed(() => operatorToken.value !== undefined);
/** Whether the page shows anything of its own, rather than the sign-in. */
export const admitted = computed(() => known.value === 'signed-in' || known.value === 'expired' || isOperator.value);

const LOCK = 'candlemill-session';
/** An access token is renewed this long before its end, ms. */
const AHEAD = 60_000;

type Told = { kind: 'session'; session: Session } | { kind: 'signed-out' } | { kind: 'anyone' };
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('candlemill-session') : undefined;
channel?.addEventListener('message', (event: MessageEvent<Told>) => {
  const said = event.data;
  if (said.kind === 'session') {
    // A tab in which somebody pasted a token of another user keeps it.
    const own = session.value;
    if (own === undefined || own.userId === said.session.userId) adopt(said.session);
  }
  if (said.kind === 'signed-out' && session.value?.renewable !== false) forget('signed-out');
  // A new tab asks; every tab that has a session answers.
  if (said.kind === 'anyone' && session.value?.renewable) channel.postMessage({ kind: 'session', session: session.value });
});

interface Claims {
  sub?: string;
  email?: string;
  exp?: number;
}

function claimsOf(token: string): Claims {
  try {
    const payload = token.split('.')[1] ?? '';
    const text = atob(payload.replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
  } catch {
    return {};
  }
}

function sessionOf(token: string, renewable: boolean): Session {
  const claims = claimsOf(token);
  return {
    token,
    email: claims.email ?? claims.sub ?? 'a user',
    userId: claims.sub ?? '',
    expiresAt: (claims.exp ?? 0) * 1000,
    renewable,
  };
}

let renewal: ReturnType<typeof setTimeout> | undefined;

function adopt(next: Session): void {
  session.value = next;
  known.value = 'signed-in';
  clearTimeout(renewal);
  if (next.renewable) {
    const wait = Math.max(next.expiresAt - Date.now() - AHEAD, 5_000);
    renewal = setTimeout(() => void refresh(next.token), Math.min(wait, 2_000_000_000));
  }
}

function forget(next: Known): void {
  clearTimeout(renewal);
  session.value = undefined;
  known.value = next;
}

interface SessionAnswer {
  access_token: string;
}

async function post(path: string, body?: unknown): Promise<SessionAnswer | undefined> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body ?? {}),
    });
  } catch {
    throw ApiError.away();
  }
  if (response.status === 204) return undefined;
  const answer: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw ApiError.of(response, answer);
  return answer as SessionAnswer;
}

/** Finds out whether a session goes on from an earlier visit. */
export async function resume(): Promise<void> {
  channel?.postMessage({ kind: 'anyone' } satisfies Told);
  for (;;) {
    await refresh(undefined);
    if (known.value !== 'asking') return;
    if (!away.value) {
      known.value = 'signed-out';
      return;
    }
    // Whether somebody is signed in is not known: asking for a password now would be wrong.
    await new Promise((done) => setTimeout(done, 3_000));
  }
}

const inLock = <T>(work: () => Promise<T>): Promise<T> =>
  'locks' in navigator ? navigator.locks.request(LOCK, work) : work();

/** Renews the access token, unless it is another than `old` by the time that this tab's turn comes. Whether there is one now. */
export async function refresh(old: string | undefined): Promise<boolean> {
  if (session.value?.renewable === false) {
    known.value = 'expired';
    return false;
  }
  return inLock(async () => {
    const now = session.value;
    if (now !== undefined && now.token !== old) return true;
    try {
      const answer = await post('/api/session/refresh');
      away.value = false;
      if (answer === undefined) {
        if (known.value === 'signed-in') known.value = 'expired';
        return false;
      }
      const next = sessionOf(answer.access_token, true);
      if (now !== undefined && now.userId !== next.userId) {
        // Somebody else signed in in another tab: nothing of the user before may stay on this page.
        location.reload();
        return false;
      }
      adopt(next);
      channel?.postMessage({ kind: 'session', session: next } satisfies Told);
      return true;
    } catch (error) {
      away.value = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (error instanceof ApiError && error.status === 401) {
        known.value = known.value === 'asking' ? 'signed-out' : 'expired';
      } else if (known.value === 'signed-in') {
        // Away for the moment: the token may be good for a while yet, and the next call tries again.
        clearTimeout(renewal);
        renewal = setTimeout(() => void refresh(old), 10_000);
      }
      return false;
    }
  });
}

export async function signIn(email: string, password: string): Promise<void> {
  const answer = await inLock(() => post('/api/session', { email, password }));
  if (answer === undefined) throw ApiError.away();
  const next = sessionOf(answer.access_token, true);
  adopt(next);
  channel?.postMessage({ kind: 'session', session: next } satisfies Told);
}

/** Takes a token that was got elsewhere. Asks the API whether it holds. */
export async function useToken(pasted: string): Promise<void> {
  const token = pasted.trim().replace(/^bearer\s+/i, '');
  await check('/api/tasks?limit=1', token);
  adopt(sessionOf(token, false));
}

/** Takes the operators' token. */
export async function useOperatorToken(pasted: string): Promise<void> {
  const token = pasted.trim();
  await check('/api/admin/queues', token);
  operatorToken.value = token;
  if (known.value === 'asking') known.value = 'signed-out';
}

async function check(path: string, token: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
  } catch (error) {
    // A token with letters that no header may hold never leaves the page.
    if (/[^\x21-\x7e]/.test(token)) throw new ApiError(401, 'malformed_token', 'This is no token: it has characters that tokens never have.');
    throw error instanceof TypeError ? ApiError.away() : error;
  }
  if (!response.ok) throw ApiError.of(response, await response.json().catch(() => undefined));
}

export async function signOut(): Promise<void> {
  const gone = session.value;
  operatorToken.value = undefined;
  forget('signed-out');
  channel?.postMessage({ kind: 'signed-out' } satisfies Told);
  if (gone?.renewable) {
    await fetch('/api/session', {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${gone.token}`, 'Content-Type': 'application/json' },
    }).catch(() => undefined);
  }
}
