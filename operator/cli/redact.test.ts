import { expect, test } from '@jest/globals';
import { redactedObject, redactedText } from './redact.ts';

const secret = 'hunter2-hunter2-hunter2';

test.each([
  ['a URI', `connect postgresql://app:${secret}@orders-rw:5432/app failed`],
  ['a setting', `primary_conninfo: password=${secret} host=x`],
  ['a quoted setting', `ALTER ROLE app PASSWORD '${secret}'`],
  ['JSON', JSON.stringify({ password: secret })],
  ['JSON in JSON', JSON.stringify(JSON.stringify({ password: secret }))],
  ['a token', `authorization: Bearer ${secret}`],
  ['a verifier', `SCRAM-SHA-256$4096:${secret}`],
  ['a key', `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`],
])('%s', (_, text) => {
  expect(redactedText(text)).not.toContain(secret);
});

test('objects keep their shape and lose their secrets', () => {
  const object = {
    kind: 'Secret',
    metadata: {
      name: 'orders-app',
      managedFields: [{}],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': secret, team: 'shop' },
    },
    data: { password: secret, uri: secret },
  };
  expect(redactedObject(object)).toEqual({
    kind: 'Secret',
    metadata: { name: 'orders-app', annotations: { team: 'shop' } },
    data: { password: '[redacted, 23 characters]', uri: '[redacted, 23 characters]' },
  });
});

test('variables that sound like a secret are hidden; names of Secrets and plain values are not', () => {
  const pod = {
    kind: 'Pod',
    spec: {
      containers: [
        {
          env: [
            { name: 'DB_PASSWORD', value: secret },
            { name: 'MAINSTAY_ENGINE', value: 'postgres' },
          ],
        },
      ],
      volumes: [{ name: 'app', secret: { secretName: 'orders-app' } }],
    },
  };
  const text = JSON.stringify(redactedObject(pod));
  expect(text).not.toContain(secret);
  expect(text).toContain('"secretName":"orders-app"');
  expect(text).toContain('"value":"postgres"');
});

test('ordinary lines stay as they are', () => {
  const line = '{"level":"info","msg":"password authentication succeeded for orders-1","ms":12}';
  expect(redactedText(line)).toBe(line);
});
