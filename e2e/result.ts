/** What e2e/main.ts writes and hack/test reads. */
export interface Result {
  readonly title: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  readonly message?: string;
}
