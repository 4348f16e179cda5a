/** What one side pushes, the other takes in order; closing it fails the taker once everything before was taken. */
export interface Mailbox<T> {
  push(item: T): void;
  close(error: Error): void;
  take(): Promise<T>;
}

export function createMailbox<T>(): Mailbox<T> {
  const items: T[] = [];
  let closed: Error | undefined;
  let wake = (): void => undefined;
  return {
    push: (item) => {
      if (closed) return;
      items.push(item);
      wake();
    },
    close: (error) => {
      closed ??= error;
      wake();
    },
    take: async () => {
      for (;;) {
        const [item] = items.splice(0, 1);
        if (item !== undefined) return item;
        if (closed) throw closed;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
