import type { components } from './schema';

export type Problem = components['schemas']['ProblemDocument'];

/** A call that was refused, or that did not get through at all (status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Problem | undefined;
  /** Seconds after which the same call may be granted. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, problem?: Problem, retryAfter?: number) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** Of an answer that is a problem document, or should have been. */
  static of(response: Response, body: unknown): ApiError {
    const wait = Number(response.headers.get('retry-after'));
    const retryAfter = Number.isFinite(wait) && wait > 0 ? wait : undefined;
    if (isProblem(body)) {
      const fields = (body.errors ?? []).map((error) => (error.field ? `${error.field} ${error.message}` : error.message));
      const detail = fields.length > 0 ? fields.join('; ') : (body.detail ?? body.title);
      return new ApiError(response.status, body.code, detail, body, retryAfter);
    }
    return new ApiError(response.status, 'unexpected_answer', `The service answered ${response.status}.`, undefined, retryAfter);
  }

  static away(): ApiError {
    return new ApiError(0, 'away', 'The service cannot be reached. This page tries again by itself.');
  }

  /** Whether the call itself is unknown to this deployment. */
  get isUnknownCall(): boolean {
    return (this.status === 404 && this.code === 'route_not_found') || this.status === 405;
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'title' in body;
}

/** What to say of any error. */
export function told(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
