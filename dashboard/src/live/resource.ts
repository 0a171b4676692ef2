/** Something that is read from the API, kept while it is read again, and never older than it says. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/problem';
import { known } from '../session';
import { onChange } from './events';

export interface Resource<T> {
  data: T | undefined;
  /** Why the last read failed; `data` is that of the read before. */
  error: ApiError | undefined;
  loading: boolean;
  /** UTC ms of the last read that succeeded. */
  readAt: number | undefined;
  reload: () => void;
}

export interface Reading {
  /** Read again after so many ms while the page is seen; absent: only when asked to. */
  every?: number;
  /** Read again soon after a task of this user changed. */
  onTasks?: boolean;
}

const AFTER_CHANGE = 800;

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'page_error', String(error));
}

/** `key` says what is read: another one forgets what was there. `undefined` reads nothing. */
export function useResource<T>(key: string | undefined, read: () => Promise<T>, reading: Reading = {}): Resource<T> {
  const [state, setState] = useState<{ key: string | undefined; data?: T; error?: ApiError; readAt?: number; loading: boolean }>({
    key,
    loading: key !== undefined,
  });
  const latest = useRef({ read, key, turn: 0, under: false, again: false });
  latest.current.read = read;

  const reload = useCallback(() => {
    const mine = latest.current;
    if (key === undefined) return;
    // One read at a time: what changes meanwhile is read after it.
    if (mine.under && mine.key === key) {
      mine.again = true;
      return;
    }
    mine.key = key;
    mine.under = true;
    const turn = ++mine.turn;
    setState((old) => (old.key === key ? { ...old, loading: true } : { key, loading: true }));
    mine.read().then(
      (data) => {
        if (turn === mine.turn) setState({ key, data, readAt: Date.now(), loading: false });
      },
      (error: unknown) => {
        if (turn !== mine.turn) return;
        setState((old) => ({ ...(old.key === key ? old : {}), key, error: asApiError(error), loading: false }));
      },
    ).finally(() => {
      if (turn !== mine.turn) return;
      mine.under = false;
      if (mine.again) {
        mine.again = false;
        reload();
      }
    });
  }, [key]);

  useEffect(() => {
    reload();
    return () => {
      latest.current.turn++;
      latest.current.under = false;
    };
  }, [reload]);

  const { every, onTasks } = reading;
  useEffect(() => {
    if (every === undefined || key === undefined) return;
    const look = () => {
      if (!document.hidden) reload();
    };
    const timer = setInterval(look, every);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [every, key, reload]);

  useEffect(() => {
    if (!onTasks || key === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onChange(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!document.hidden) reload();
      }, AFTER_CHANGE);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [onTasks, key, reload]);

  // Signed in again: what was refused meanwhile is read.
  const admission = known.value;
  useEffect(() => {
    if (admission === 'signed-in' && state.error !== undefined) reload();
  }, [admission]);

  const own = state.key === key;
  return {
    data: own ? state.data : undefined,
    error: own ? state.error : undefined,
    loading: own ? state.loading : key !== undefined,
    readAt: own ? state.readAt : undefined,
    reload,
  };
}
