import { switchoverPauseMs } from './decide.ts';
import { currentRuntime, type Facts } from './facts.ts';
import { judgeFailback } from './failback.ts';
import { isDifferent } from './instances.ts';
import { opensInMs } from './maintenance.ts';
import { nextRestart } from './pending-restart.ts';
import { resizeChangesInMs } from './pod-resize.ts';
import { stallMayBeginInMs } from './stall.ts';
import { nextReplacement } from './volume-replacement.ts';
import { withheldChangesInMs } from './withheld-budget.ts';

/** When the mere passing of time may change what to do or to say; undefined if only an event can. */
export function recheckInMs(facts: Facts): number | undefined {
  const request = currentRuntime(facts)?.switchover;
  const failback = judgeFailback(facts);
  const moments = [
    failback.verdict === 'wait' ? failback.milliseconds + 100 : undefined,
    stallMayBeginInMs(facts),
    certificatesIn(facts),
    facts.runtime.status === 'lost' ? lostEtcdMs : undefined,
    request ? Math.max(Date.parse(request.deadline) - facts.now, 0) + expiryMs : undefined,
    facts.sinceSwitchoverRequestMs < switchoverPauseMs
      ? switchoverPauseMs - facts.sinceSwitchoverRequestMs + 100
      : undefined,
    facts.cluster.metadata.deletionTimestamp === undefined ? undefined : deletionMs,
    maintenanceIn(facts),
    withheldChangesInMs(facts),
    nextRestart(facts).verdict === 'wait' ? waitingRestartMs : undefined,
    replacementIn(facts),
    resizeChangesInMs(facts),
  ];
  const given = moments.filter((milliseconds) => milliseconds !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

/** Pods wait for a window. */
function maintenanceIn(facts: Facts): number | undefined {
  const opens = opensInMs(facts.cluster, facts.now);
  const waits = facts.cluster.spec.operatorUpgrades === 'ReplacePods' && opens > 0;
  return waits && facts.pods.some((pod) => isDifferent(facts, pod)) ? opens : undefined;
}

/** The node may come back, and nobody tells of what a volume is tied to. */
function replacementIn(facts: Facts): number | undefined {
  const next = nextReplacement(facts);
  if (next.verdict !== 'wait') return undefined;
  return Math.min(next.milliseconds === undefined ? waitingRestartMs : next.milliseconds + 100, strandedMs);
}

/** Nobody tells of a renewal in a Secret that is not ours. */
function certificatesIn({ certificates: { plan }, cluster: { spec }, now }: Facts): number | undefined {
  const { serverSecret, authoritySecret } = spec.tls;
  if (serverSecret !== undefined || authoritySecret !== undefined) return broughtSecretsMs;
  return plan.step === 'nothing' ? Math.max(plan.lookAgainAt - now, 1000) : undefined;
}

const broughtSecretsMs = 30_000;
const strandedMs = 30_000;
const waitingRestartMs = 5_000;
const lostEtcdMs = 5_000;
const expiryMs = 6_000;
const deletionMs = 5_000;
