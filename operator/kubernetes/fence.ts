import { MainstayError } from '../platform/errors.ts';
import type { KubernetesClient } from './client.ts';

/**
 * The same client, whose writes are refused as soon as `holds` says no. A process that was stopped, swapped out or moved to
 * another machine goes on where it was: what it was about to write must not be written by then. What is on its way already
 * can't be called back: that is what preconditions are for.
 */
export function fenced(client: KubernetesClient, holds: () => boolean): KubernetesClient {
  const check = (): void => {
    if (!holds()) throw new MainstayError('LeadershipLost', 'This process does not lead any more: nothing is written.');
  };
  return {
    get: (...call) => client.get(...call),
    list: (...call) => client.list(...call),
    watch: (...call) => client.watch(...call),
    close: () => client.close(),
    async create(...call) {
      check();
      return client.create(...call);
    },
    async apply(...call) {
      check();
      return client.apply(...call);
    },
    async update(...call) {
      check();
      return client.update(...call);
    },
    async patch(...call) {
      check();
      return client.patch(...call);
    },
    async delete(...call) {
      check();
      await client.delete(...call);
    },
  };
}
