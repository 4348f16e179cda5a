/** SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, 5803): a password can be checked against one, not read from it. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** PostgreSQL's own default (scram_iterations). */
const iterations = 4096;
const form = /^SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

export const isVerifier = (text: string): boolean => form.test(text);

/** SCRAM prepares other characters by rules that not every driver follows. */
export const isPlainText = (password: string): boolean => /^[\x20-\x7e]+$/.test(password);

/** `origin`: the same one gives the same salt, so that nothing changes where nothing has changed; two never share it. */
export async function scramVerifier(password: string, origin: string): Promise<string> {
  const salt = createHash('sha256').update(`mainstay\0${origin}`).digest().subarray(0, 16);
  return encode(password, salt, iterations);
}

/** Whether it is the password of this verifier. */
export async function matchesVerifier(password: string, verifier: string): Promise<boolean> {
  const [, rounds = '', salt = ''] = form.exec(verifier) ?? [];
  if (rounds === '') return false;
  const own = await encode(password, Buffer.from(salt, 'base64'), Number(rounds));
  return own.length === verifier.length && timingSafeEqual(Buffer.from(own), Buffer.from(verifier));
}

async function encode(password: string, salt: Buffer, rounds: number): Promise<string> {
  const salted = await derive(password, salt, rounds, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}
