import { api, must, type Interval, type Schemas } from '../api/client';

/** Pages of gaps that a page of ours reads; more of them cannot be drawn. */
const MOST_PAGES = 5;

export interface SeriesCoverage {
  verified: Schemas['VerifiedRange'][];
  gaps: Schemas['GapView'][];
  corrections: Schemas['CorrectionView'][];
  /** Whether there are more gaps than were read. */
  more: boolean;
}

export async function readCoverage(symbol: string, interval: Interval, start?: string, end?: string): Promise<SeriesCoverage> {
  const all: SeriesCoverage = { verified: [], gaps: [], corrections: [], more: false };
  let cursor: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = {
      symbol,
      interval,
      limit: 10_000,
      ...(start ? { start } : {}),
      ...(end ? { end } : {}),
      ...(cursor ? { cursor } : {}),
    };
    const answer = await must(api.GET('/api/market-data/coverage', { params: { query: query as never } }));
    if (page === 0) all.verified = answer.verified;
    all.gaps.push(...answer.gaps);
    all.corrections.push(...answer.corrections);
    cursor = answer.next_cursor;
    if (!cursor) return all;
  }
  all.more = true;
  return all;
}
