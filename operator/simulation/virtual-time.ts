/** Time that jumps from event to event: a priority queue by moment, first come first served within one. */
export interface VirtualTime {
  /** Milliseconds since the simulation began. */
  readonly now: () => number;
  readonly after: (milliseconds: number, event: () => void) => void;
  /** Runs events up to the moment given, or until `ended`. */
  readonly run: (until: number, ended: () => boolean) => void;
}

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly event: () => void;
}

const earlier = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export function createVirtualTime(): VirtualTime {
  const heap: Entry[] = [];
  let now = 0;
  let order = 0;

  function push(entry: Entry): void {
    let hole = heap.push(entry) - 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!earlier(entry, above)) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = entry;
  }

  function pop(): Entry | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!earlier(heap[child] as Entry, last)) break;
      heap[hole] = heap[child] as Entry;
      hole = child;
    }
    heap[hole] = last;
    return first;
  }

  return {
    now: () => now,
    after: (milliseconds, event) => push({ at: now + milliseconds, order: order++, event }),
    run: (until, ended) => {
      while (!ended()) {
        const next = heap[0];
        if (!next || next.at > until) break;
        pop();
        now = next.at;
        next.event();
      }
      if (!ended()) now = Math.max(now, until);
    },
  };
}
