/** The steps of `make test`, cheap ones first. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';
import { parseAllDocuments } from 'yaml';
import type { Result } from '../../e2e/result.ts';
import { artifact } from '../cluster/artifacts.ts';
import { chooseCluster, repository } from '../testbed/cluster-access.ts';
import { CommandFailed, run, tryRun } from '../testbed/command.ts';
import { clusterDown, deploy, systemNamespace } from '../testbed/deployment.ts';
import { failedOnce, passedOnce, type Outcome, type Step, type StepContext } from './step.ts';

export const resultsFolder = path.join(repository, 'build/test');
const jestResults = path.join(resultsFolder, 'jest.json');
const e2eResults = path.join(resultsFolder, 'e2e.json');
const chart = path.join(repository, 'charts/mainstay');

/** Always the local cluster: tests delete and switch off what they like. */
const access = chooseCluster({});

export const steps: readonly Step[] = [
  tool('format', 'formatting (prettier)', 'prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']),
  tool('types', 'types (tsc)', '@typescript/native/bin/tsc', ['--project', '.']),
  tool('lint', 'lint (eslint)', 'eslint/bin/eslint.js', ['.']),
  {
    name: 'generated',
    title: 'generated files are fresh',
    run: (context) =>
      once(context, 'generated files are stale', () => node(['hack/generate/main.ts', '--check'], context)),
  },
  {
    name: 'databases',
    title: 'PostgreSQL 17 and 18, MySQL and fence agents for the tests, as images',
    run: (context) =>
      once(context, 'the images of databases can’t be built', () =>
        node(['hack/images/main.ts', 'postgres17', 'postgres18', 'upgrade', 'mysql', 'fence-agents'], context),
      ),
  },
  { name: 'unit', title: 'unit tests (jest)', needs: ['databases'], run: (context) => unitTests(context, [], {}) },
  {
    name: 'postgres17',
    title: 'the tests that run PostgreSQL, on 17',
    needs: ['databases'],
    run: (context) =>
      unitTests(context, ['operator/engines/postgres', 'hack/generate/pg-settings'], { MAINSTAY_TEST_POSTGRES: '17' }),
  },
  {
    name: 'model',
    title: 'the protocol as a model: what must hold and what must fail (Spin, reduced bounds)',
    run: (context) =>
      once(context, 'a variant of the model did not come out as it must', () =>
        node(['hack/model/main.ts', '--quick'], context),
      ),
  },
  {
    name: 'simulate',
    title: 'the protocol under seeded faults, and deliberate bugs (simulator)',
    live: true,
    run: (context) =>
      once(context, 'the simulator found a violation, missed a bug, or left something out', () =>
        node(['operator/simulation/main.ts', '--seeds', '10000'], context),
      ),
  },
  {
    name: 'nonsense',
    title: 'nonsense in every field of every resource, on a real API server',
    run: (context) => counted('hack/leaves/main.ts', context),
  },
  {
    name: 'operator',
    title: 'the operator on a real API server: it dies at every write, and every request fails once',
    live: true,
    run: (context) => counted('hack/operator-faults/main.ts', context),
  },
  {
    name: 'deploy',
    title: 'images, local cluster and chart',
    live: true,
    run: async ({ say, signal }) => {
      // From a known state: what an earlier demo left would decide what the scenarios see.
      await clusterDown({ say, signal });
      await deploy(access, { say, signal });
      return passedOnce;
    },
  },
  { name: 'chart', title: 'chart: lint, schema, accepted by the API server', needs: ['deploy'], run: chartChecks },
  {
    name: 'admission',
    title: 'what only an API server can refuse: deletions, changes of a spec',
    needs: ['deploy'],
    run: (context) =>
      once(context, 'the API server did not refuse, or refused, what it must', () =>
        node(['hack/admission/main.ts'], context),
      ),
  },
  { name: 'e2e', title: 'scenarios on the local cluster', live: true, needs: ['deploy'], run: scenarios },
  {
    name: 'soak',
    title: 'ten minutes of overlapping faults, on both databases',
    live: true,
    needs: ['deploy'],
    // The same faults each time: what breaks is the change. `make soak` draws others.
    run: (context) =>
      once(context, 'overlapping faults broke a promise', () =>
        node(['e2e/soak.ts', '--deployed', '--hours', String(1 / 6), '--seed', '42'], context),
      ),
  },
];

/** Run at the end, come what may, if `deploy` has been begun. */
export const cleanUp: Step = {
  name: 'clean-up',
  title: 'local cluster removed, nothing left',
  live: true,
  run: async ({ say, signal }) => {
    await clusterDown({ say, signal });
    return passedOnce;
  },
};

function tool(name: string, title: string, script: string, args: readonly string[]): Step {
  return {
    name,
    title,
    run: (context) => once(context, title, () => node([path.join('node_modules', script), ...args], context)),
  };
}

function node(args: readonly string[], { say, signal }: StepContext): Promise<string> {
  return run(process.execPath, args, { cwd: repository, signal, onLine: say, timeoutMs: 30 * 60_000 });
}

/** A tool that fails is an outcome; anything else (it isn't there, it hangs) too, with its own words. */
async function once({ signal }: StepContext, failure: string, work: () => Promise<unknown>): Promise<Outcome> {
  try {
    await work();
    return passedOnce;
  } catch (error) {
    signal.throwIfAborted();
    return failedOnce(error instanceof CommandFailed ? failure : String(error));
  }
}

/** A script whose lines `FAILED …` are its failures, and whose last line counts: `N passed, N failed`. */
async function counted(script: string, { say, signal }: StepContext): Promise<Outcome> {
  const { stdout } = await tryRun(process.execPath, [script], {
    cwd: repository,
    signal,
    onLine: say,
    timeoutMs: 30 * 60_000,
  });
  const lines = stdout.trimEnd().split('\n');
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(lines.at(-1) ?? '') ?? [];
  if (passed === undefined) return failedOnce(`${script} did not come to its end`);
  const failures = lines.filter((line) => line.startsWith('FAILED ')).map((line) => line.slice('FAILED '.length));
  return { passed: Number(passed), failed: Number(failed), failures };
}

interface JestResults {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

async function unitTests(
  { say, signal }: StepContext,
  folders: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Outcome> {
  await rm(jestResults, { force: true });
  const etcd = await artifact('etcd', signal);
  await tryRun(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'],
      ...['--json', '--outputFile', jestResults, '--silent', ...folders],
    ],
    {
      cwd: repository,
      signal,
      timeoutMs: 30 * 60_000,
      env: {
        ...process.env,
        MAINSTAY_ETCD_BINARY: etcd,
        MAINSTAY_REQUIRE_ETCD: '1',
        MAINSTAY_REQUIRE_DATABASES: '1',
        ...variables,
      },
      onLine: (line) => say(line.slice(0, 2_000)),
    },
  );
  const results = JSON.parse(await readFile(jestResults, 'utf8')) as JestResults;
  const failures = results.testResults.flatMap((file) => {
    const failed = file.assertionResults.filter((assertion) => assertion.status === 'failed');
    const name = path.relative(repository, file.name);
    if (failed.length > 0)
      return failed.map(({ fullName, failureMessages }) => `${name}: ${fullName}${reason(failureMessages[0])}`);
    // A file that can't be loaded has no assertions to count.
    return file.status === 'failed' ? [`${name}: ${file.message.split('\n')[0] ?? 'can’t be run'}`] : [];
  });
  return { passed: results.numPassedTests, failed: failures.length, failures };
}

/** What one must know of a failure whose log is gone: what was said, and where in the test. */
function reason(message = ''): string {
  const lines = stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const said = lines.filter((line) => !/^\s+at /.test(line)).slice(0, 8);
  const where = lines.find((line) => line.includes('.test.ts'));
  return [...said, ...(where === undefined ? [] : [where])]
    .map((line) => `\n      ${line.trim().slice(0, 300)}`)
    .join('');
}

async function acceptedByServer({ say, signal }: StepContext, manifests: string): Promise<void> {
  await access.kubectl(
    ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'],
    { signal, onLine: say, input: manifests },
  );
}

async function accepted(context: StepContext, values: readonly string[]): Promise<void> {
  const { signal } = context;
  const { serverVersion } = JSON.parse(await access.kubectl(['version', '--output', 'json'], { signal })) as {
    readonly serverVersion: { readonly gitVersion: string };
  };
  const rendered = await access.helm(
    [
      ...['template', 'mainstay', chart, '--namespace', systemNamespace],
      ...['--kube-version', serverVersion.gitVersion, ...values],
    ],
    { signal },
  );
  await acceptedByServer(context, rendered);
}

async function rendered({ signal }: StepContext, ...values: readonly string[]): Promise<string> {
  const set = values.flatMap((value) => ['--set', value]);
  return access.helm(['template', 'mainstay', chart, '--namespace', systemNamespace, ...set], { signal });
}

async function chartChecks(context: StepContext): Promise<Outcome> {
  const { say, signal } = context;
  const options = { signal, onLine: say };
  const checks: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['helm lint --strict', () => access.helm(['lint', '--strict', chart], options)],
    ['rendered objects are accepted by the API server', () => accepted(context, [])],
    [
      'and with an etcd of one’s own that asks for TLS and a login',
      () =>
        accepted(context, [
          '--set',
          'etcd.endpoints={https://etcd:2379}',
          '--set',
          'etcd.credentialsSecret=etcd-login',
        ]),
    ],
    [
      'an installation in one namespace needs no right beyond namespaces',
      async () => {
        const off = ['rbac.nodes', 'rbac.aggregate', 'admissionPolicies.enabled', 'crds.enabled'];
        const rendered = await access.helm(
          [
            ...['template', 'mainstay', chart, '--namespace', systemNamespace, '--set', 'watchNamespace=shop'],
            ...off.flatMap((value) => ['--set', `${value}=false`]),
          ],
          options,
        );
        const beyond = /^kind: (Cluster\w+|CustomResourceDefinition|ValidatingAdmission\w+)$/m.exec(rendered);
        if (beyond) throw new Error(`the chart makes a ${beyond[1] ?? ''}`);
      },
    ],
    [
      'manifests for those without Helm are what the chart renders',
      () => node(['hack/manifests/main.ts', '--check'], context),
    ],
    [
      'and Kustomize makes of them what the API server accepts',
      async () =>
        acceptedByServer(context, await access.kubectl(['kustomize', path.join(repository, 'manifests')], options)),
    ],
    [
      'an image by its digest is that of operator, agents and test',
      async () => {
        const digest = `sha256:${'0'.repeat(64)}`;
        const text = await rendered(context, `image.digest=${digest}`);
        const named = text.split(`mainstay.dev/mainstay@${digest}`).length - 1;
        if (named !== 3 || text.includes('mainstay.dev/mainstay:')) throw new Error(`${named} instead of 3 by digest`);
      },
    ],
    [
      'monitors only where they are asked for, and for ports that there are',
      async () => {
        if ((await rendered(context)).includes('monitoring.coreos.com')) throw new Error('monitors by default');
        const objects = parseAllDocuments(await rendered(context, 'monitoring.enabled=true')).map(
          (document) => document.toJS() as { readonly kind: string; readonly spec: Record<string, unknown> } | null,
        );
        const ports = objects
          .filter((object) => object?.kind === 'ServiceMonitor' || object?.kind === 'PodMonitor')
          .map((object) => JSON.stringify(object?.spec['endpoints'] ?? object?.spec['podMetricsEndpoints']));
        const wanted = ['agent', 'http', 'metrics'].map((port) => JSON.stringify([{ port, interval: '15s' }]));
        if (ports.toSorted().join() !== wanted.join()) throw new Error(`monitors of ${ports.join()}`);
      },
    ],
    [
      'values.schema.json refuses a wrong value',
      async () => {
        const refused = await access
          .helm(['template', 'mainstay', chart, '--set', 'operator.replicas=none'], options)
          .then(
            () => false,
            (error: unknown) => String(error).includes('replicas'),
          );
        if (!refused) throw new Error('operator.replicas=none was accepted');
      },
    ],
  ];
  let passed = 0;
  const failures: string[] = [];
  for (const [name, check] of checks) {
    try {
      await check();
      passed += 1;
    } catch (error) {
      signal.throwIfAborted();
      say(String(error));
      failures.push(`chart: ${name}`);
    }
  }
  return { passed, failed: failures.length, failures };
}

async function scenarios({ say, signal }: StepContext): Promise<Outcome> {
  await rm(e2eResults, { force: true });
  const env = { ...process.env };
  delete env['KUBECONFIG'];
  await tryRun(process.execPath, ['e2e/main.ts', '--deployed', '--results', e2eResults], {
    cwd: repository,
    signal,
    env,
    timeoutMs: 40 * 60_000,
    onLine: say,
  });
  const results = JSON.parse(await readFile(e2eResults, 'utf8')) as readonly Result[];
  const failed = results.filter((result) => result.outcome === 'failed');
  return {
    passed: results.filter((result) => result.outcome === 'passed').length,
    failed: failed.length,
    failures: failed.map((result) => `${result.title}: ${result.message ?? ''}`),
  };
}
