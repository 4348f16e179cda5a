/** What became of the roles and databases that the spec names. */
import { declarationDigest, type Finding } from '../../api/cluster-state.ts';
import type { ConditionReason } from '../../api/conditions.ts';
import { profileOf } from '../../engines/profiles.ts';
import { declarationFor } from '../../resources/declaration.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import type { Facts } from './facts.ts';

export const wantedDeclaration = ({ cluster, passwords }: Facts): string =>
  JSON.stringify(declarationFor(cluster, passwords.known));

type Type = 'RolesReady' | 'DatabasesReady';

interface Said<T extends Type, Reason> {
  readonly type: T;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  readonly message: string;
}
export type DeclaredJudgement = { readonly [T in Type]: Said<T, ConditionReason<T>> }[Type];

/** Passwords are of roles alone, so that a database never has the reasons that go with them. */
export const judgeDeclared = (
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  kind: Finding['kind'],
): DeclaredJudgement => judge(facts, runtime, kind) as DeclaredJudgement;

function judge(
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  kind: Finding['kind'],
): Said<Type, ConditionReason<Type>> {
  const type: Type = kind === 'role' ? 'RolesReady' : 'DatabasesReady';
  const profile = profileOf(facts.cluster);
  const { fields } = profile;
  const field = kind === 'role' ? fields.roles : fields.databases;
  const count = profile.declaredCount(facts.cluster);
  const asked = kind === 'role' ? count.roles : count.databases;
  if (!runtime)
    return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: 'etcd does not answer the operator.' };

  const problems = kind === 'role' ? [...facts.passwords.problems].map(([role, problem]) => `${role}: ${problem}`) : [];
  const { declared, declaration } = runtime;
  const isCurrent =
    declaration?.value === wantedDeclaration(facts) && declared?.declaration === declarationDigest(declaration.value);
  const findings = (isCurrent ? declared.findings : []).filter((finding) => finding.kind === kind);
  const told = (state: Finding['state']): readonly string[] =>
    findings.filter((finding) => finding.state === state).map(({ name, text }) => `${name}: ${text}`);
  const [failed, waits, drifted] = [told('failed'), told('waiting'), told('drifted')];
  const no = (reason: ConditionReason<Type>, parts: readonly string[]): Said<Type, ConditionReason<Type>> => ({
    type,
    status: 'False',
    reason,
    message: parts.join(' · '),
  });

  const driftNote =
    drifted.length === 0
      ? []
      : [
          ...drifted,
          `somebody has changed what ${field} says: put it back, or change ${field}, or annotate the cluster with mainstay.dev/apply-again=<anything new> to have it overwritten`,
        ];
  if (failed.length > 0) return no('Failed', [...failed, ...problems, ...driftNote]);
  // Before the first data there are no Secrets of ours yet, and that is nobody's fault.
  if (problems.length > 0 && runtime.epoch > 0) return no('SecretUnusable', [...problems, ...driftNote]);
  if (!isCurrent && asked > 0)
    return no('Applying', [`${asked} of ${field} are given to ${runtime.leader?.instance ?? 'the next primary'}.`]);
  if (waits.length > 0) return no('Waiting', waits);
  if (drifted.length > 0) return no('Drifted', driftNote);
  if (asked === 0)
    return {
      type,
      status: 'True',
      reason: 'NothingAsked',
      message: `${field} is empty: only the application’s own are kept.`,
    };
  return { type, status: 'True', reason: 'Applied', message: `All ${asked} of ${field} are as asked for.` };
}
