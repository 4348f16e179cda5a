import { keys } from '../../api/cluster-state.ts';
import type { Plan, Procedure } from './procedure.ts';

/** The cluster goes on with an etcd that was restored or replaced. */
export const adopt: Procedure = {
  waitsForOthers: false,

  plan({ adopt: asked }, { runtime }): Plan {
    if (!asked) return { verdict: 'refused', because: 'spec.adopt is missing' };
    const { etcdClusterId, without } = asked;
    if (etcdClusterId !== runtime.etcdClusterId)
      return {
        verdict: 'refused',
        because: `the etcd of the operator is ${runtime.etcdClusterId}, not ${etcdClusterId}: make sure that it is the one you mean`,
      };
    if (runtime.requests.has(keys.adopt)) return { verdict: 'wait', because: 'another adoption is asked for already' };
    const loss = without.length > 0 ? `, without ${without.join(', ')}` : '';
    return {
      verdict: 'begin',
      message: `Every instance stops and says where its log ends${loss}; the longest leads.`,
      asks: { key: keys.adopt, request: { etcdClusterId, without } },
    };
  },

  course({ request, startedAt = '' }, { runtime }, standing) {
    if (standing) return { verdict: 'running', message: 'Waiting until every instance has said where its log ends.' };
    if (runtime.answer && runtime.answer.id === request?.id)
      return { verdict: 'complete', message: runtime.answer.reason };
    // A later answer may stand there already.
    const isAdopted = runtime.history.some(({ reason, at }) => reason === 'Adopted' && at >= startedAt);
    return isAdopted
      ? { verdict: 'complete', message: 'This etcd is adopted.' }
      : { verdict: 'failed', message: 'The request was withdrawn by somebody else.' };
  },

  /** It is carried out in one transaction. */
  mayTakeBack: () => true,
};
