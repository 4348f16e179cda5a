import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The arrows of the design, downwards only: a folder may import from itself and from the folders listed for it.
 * `platform` (clock, errors, log) is under all of them.
 */
const mayImport = {
  platform: [],
  api: ['platform'],
  dcs: ['platform'],
  kubernetes: ['platform'],
  ha: ['platform', 'api'],
  engines: ['platform', 'api', 'ha'],
  agent: ['platform', 'api', 'ha', 'dcs', 'kubernetes', 'engines', 'certificates'],
  certificates: ['platform', 'api'],
  resources: ['platform', 'api', 'engines'],
  controllers: ['platform', 'api', 'dcs', 'kubernetes', 'certificates', 'ha', 'engines', 'resources'],
  simulation: ['platform', 'api', 'ha', 'dcs', 'engines', 'certificates', 'resources', 'controllers'],
  cli: ['platform', 'api', 'kubernetes', 'dcs', 'engines'],
};
const layers = Object.keys(mayImport);

const arrows = layers.map((layer) => ({
  files: [`operator/${layer}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...layers
            .filter((other) => other !== layer && !mayImport[layer].includes(other))
            .map((other) => ({
              group: [`**/${other}/*`, `**/${other}/**`],
              message: `operator/${layer} may import only from ${[layer, ...mayImport[layer]].join(', ')} (the arrows in eslint.config.js).`,
            })),
          {
            group: ['@kubernetes/client-node'],
            allowTypeImports: true,
            message: 'Types only: its client opens a connection for each call and its informer dies on a reset.',
          },
        ],
      },
    ],
  },
}));

/** Decisions have no world: time, chance and the network reach them as data. */
const pure = {
  files: ['operator/ha/**/*.ts', 'operator/resources/**/*.ts', 'operator/controllers/**/decide.ts'],
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-globals': [
      'error',
      'Date',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'performance',
      'fetch',
      'process',
    ],
    'no-restricted-properties': ['error', { object: 'Math', property: 'random' }],
  },
};

/** HA code takes time and chance from the injected clock. */
const injected = {
  files: ['operator/{agent,dcs,engines,kubernetes,controllers}/**/*.ts'],
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-properties': [
      'error',
      { object: 'Date', property: 'now', message: 'Use the injected Clock.' },
      { object: 'performance', property: 'now', message: 'Use the injected Clock.' },
      { object: 'Math', property: 'random', message: 'Use the injected random.' },
    ],
    'no-restricted-globals': [
      'error',
      { name: 'setTimeout', message: 'Use the injected Clock.' },
      { name: 'setInterval', message: 'Use the injected Clock.' },
    ],
  },
};

export default tseslint.config(
  { ignores: ['node_modules/', 'build/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
    },
  },
  ...arrows,
  pure,
  injected,
);
