import { expect, test } from '@jest/globals';
import { cachingSha2Verifier, isVerifier, shaCrypt } from './caching-sha2.ts';

// What crypt(3) of glibc makes of them.
test.each([
  ['Hello world!', 'saltstring', 5000, '5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['Hello world!', 'saltstringsaltst', 10_000, '3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA'],
  ['This is just a test', 'toolongsaltstrin', 5000, 'Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5'],
  ['x'.repeat(70), 'abc', 5000, '5ox4QOf8XoCKLSxoCXvmgZ1th6KC4nDv0o9/Fj2v2E/'],
] as const)('SHA-crypt of %s with %s, %d rounds', (password, salt, rounds, digest) => {
  expect(shaCrypt(Buffer.from(password), Buffer.from(salt), rounds)).toBe(digest);
});

test('a verifier is one, the same for the same origin, and no password', () => {
  const verifier = cachingSha2Verifier('s3cret', 'uid/7/password');
  expect(isVerifier(verifier)).toBe(true);
  expect(cachingSha2Verifier('s3cret', 'uid/7/password')).toBe(verifier);
  expect(cachingSha2Verifier('s3cret', 'uid/8/password')).not.toBe(verifier);
  expect(isVerifier('s3cret')).toBe(false);
});
