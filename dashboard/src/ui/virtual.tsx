/** A list of any length with rows of one height: only those that are seen are in the document. */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

const AROUND = 8;

interface Props<T> {
  rows: readonly T[];
  rowHeight: number;
  label: string;
  head: ComponentChildren;
  row: (item: T, index: number) => ComponentChildren;
  keyOf: (item: T) => string;
  /** Called when the end comes into sight. */
  onEnd?: () => void;
  foot?: ComponentChildren;
  onKey?: (event: KeyboardEvent) => void;
}

export function VirtualRows<T>({ rows, rowHeight, label, head, row, keyOf, onEnd, foot, onKey }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 800 });

  const look = () => {
    const element = box.current;
    if (element === null) return;
    const top = Math.max(0, -element.getBoundingClientRect().top);
    const height = window.innerHeight;
    // A change of less than a few rows needs no new rows.
    setSeen((old) => (Math.abs(old.top - top) < rowHeight && old.height === height ? old : { top, height }));
  };
  useLayoutEffect(look, [rows.length, rowHeight]);
  useEffect(() => {
    let asked = false;
    const soon = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        look();
      });
    };
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', soon);
    return () => {
      removeEventListener('scroll', soon);
      removeEventListener('resize', soon);
    };
  }, [rowHeight]);

  const first = Math.max(0, Math.floor(seen.top / rowHeight) - AROUND);
  const last = Math.min(rows.length, Math.ceil((seen.top + seen.height) / rowHeight) + AROUND);
  const atEnd = last >= rows.length - AROUND;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, rows.length]);

  return (
    <div class="rows">
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} onKeyDown={onKey}>
      <div role="rowgroup" class="rows-head">
        {head}
      </div>
      <div role="rowgroup" ref={box} class="rows-body" style={{ height: `${rows.length * rowHeight}px` }}>
        {rows.slice(first, last).map((item, i) => (
          <div
            key={keyOf(item)}
            role="row"
            aria-rowindex={first + i + 2}
            class="row"
            style={{ transform: `translateY(${(first + i) * rowHeight}px)`, height: `${rowHeight}px` }}
          >
            {row(item, first + i)}
          </div>
        ))}
      </div>
      </div>
      {foot}
    </div>
  );
}

/** Whether the page is as narrow as a phone. */
export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia('(max-width: 719px)').matches);
  useEffect(() => {
    const query = matchMedia('(max-width: 719px)');
    const look = () => setNarrow(query.matches);
    query.addEventListener('change', look);
    return () => query.removeEventListener('change', look);
  }, []);
  return narrow;
}
