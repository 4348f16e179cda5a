import type { KubernetesClient } from './client.ts';
import type { ApiObject } from './kinds.ts';
import type { Surroundings } from './surroundings.ts';

export interface EventRecorderOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** Such as `mainstay.dev/operator`. */
  readonly reportingController: string;
  /** The Pod's name. */
  readonly reportingInstance: string;
}

export interface EventNote {
  /** With apiVersion, kind and metadata (namespace, name, uid). */
  readonly regarding: ApiObject;
  readonly related?: ApiObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in UpperCamelCase. */
  readonly reason: string;
  /** What was done or tried, in UpperCamelCase; the reason by default. */
  readonly action?: string;
  /** For people; cut at 1,024 bytes. */
  readonly note: string;
}

export interface EventRecorder {
  /** Never throws and never waits; repeats within 10 minutes become one event with a count. */
  record(note: EventNote): void;
  /** Resolves when everything recorded so far has been sent or given up. */
  flush(): Promise<void>;
}

export function createEventRecorder(_options: EventRecorderOptions): EventRecorder {
  throw new Error('not yet');
}
