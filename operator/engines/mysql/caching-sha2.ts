/**
 * Verifiers of caching_sha2_password as MySQL stores them ("$A$005$", a salt of 20, SHA-crypt of 5000 rounds): a password can
 * be checked against one, not read from it. Method: U. Drepper, "Unix crypt using SHA-256 and SHA-512", with a longer salt.
 */
import { createHash } from 'node:crypto';

/** In thousands; MySQL's own default (caching_sha2_password_digest_rounds). */
const rounds = 5;
const saltLength = 20;
const letters = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export const isVerifier = (text: string): boolean => /^\$A\$[0-9A-F]{3}\$.{63}$/s.test(text);

/** `origin`: the same one gives the same salt, so that nothing changes where nothing has changed; two never share it. */
export function cachingSha2Verifier(password: string, origin: string): string {
  const digest = createHash('sha256').update(`mainstay\0${origin}`).digest().subarray(0, saltLength);
  const salt = [...digest].map((byte) => letters[byte % letters.length]).join('');
  const count = rounds.toString(16).toUpperCase().padStart(3, '0');
  return `$A$${count}$${salt}${shaCrypt(Buffer.from(password), Buffer.from(salt), rounds * 1000)}`;
}

/** "$A$", rounds in thousands as three hexadecimal digits, "$", the salt, the digest. */
export function matchesVerifier(password: string, verifier: string): boolean {
  if (!isVerifier(verifier)) return false;
  const [times, salt] = [parseInt(verifier.slice(3, 6), 16) * 1000, verifier.slice(7, 7 + saltLength)];
  return shaCrypt(Buffer.from(password), Buffer.from(salt), times) === verifier.slice(7 + saltLength);
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export function shaCrypt(password: Buffer, salt: Buffer, times: number): string {
  const alternate = sha256(password, salt, password);
  const parts: Uint8Array[] = [password, salt, stretched(alternate, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? alternate : password);
  let digest = sha256(...parts);
  const p = stretched(sha256(...Array.from({ length: password.length }, () => password)), password.length);
  const s = stretched(sha256(...Array.from({ length: 16 + (digest[0] ?? 0) }, () => salt)), salt.length);
  for (let round = 0; round < times; round += 1)
    digest = sha256(
      round % 2 === 1 ? p : digest,
      round % 3 === 0 ? new Uint8Array() : s,
      round % 7 === 0 ? new Uint8Array() : p,
      round % 2 === 1 ? digest : p,
    );
  return encoded(digest);
}

/** As often as it takes, cut to the length. */
const stretched = (digest: Buffer, length: number): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(length / digest.length) }, () => digest)).subarray(0, length);

/** The digest's bytes in the method's own order, three by three as four letters, lowest bits first. */
const order = [
  [0, 10, 20],
  [21, 1, 11],
  [12, 22, 2],
  [3, 13, 23],
  [24, 4, 14],
  [15, 25, 5],
  [6, 16, 26],
  [27, 7, 17],
  [18, 28, 8],
  [9, 19, 29],
] as const;

function encoded(digest: Buffer): string {
  const byte = (index: number): number => digest[index] ?? 0;
  const text = (value: number, count: number): string =>
    Array.from({ length: count }, (_, index) => letters[(value >> (6 * index)) & 63]).join('');
  const groups = order.map(([a, b, c]) => text((byte(a) << 16) | (byte(b) << 8) | byte(c), 4));
  return [...groups, text((byte(31) << 8) | byte(30), 3)].join('');
}
