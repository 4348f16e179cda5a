/** What Kubernetes itself asks of names, labels and amounts: refused here, it is refused before anything is made of it. */
import { z } from 'zod';
import { matching, type Rule } from './rules.ts';

/** As of a storage class or a priority class. */
export const objectName = matching(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  'is no name of an object: use lower-case letters, digits, hyphens and dots',
);

const keyPattern =
  '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const valuePattern = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$';
const longestPrefix = 253;
const isKey = (key: string): boolean => new RegExp(keyPattern).test(key) && key.length <= longestPrefix + 64;
const keyIs = (self: string): string => `(${self}.matches('${keyPattern}') && ${self}.size() <= ${longestPrefix + 64})`;

export const labelKey: Rule<string | undefined> = {
  cel: keyIs('self'),
  message: 'is no key of a label: write it as in example.org/name, the part after the slash at most 63 characters',
  holds: (self) => self === undefined || isKey(self),
};

export const labelValue: Rule<string | undefined> = matching(
  new RegExp(valuePattern),
  'is no value of a label: use letters, digits and -_. inside, 63 characters at most',
);

/** Of a map whose keys Kubernetes takes for those of labels or annotations. */
export const labelKeys: Rule<Readonly<Record<string, string>> | undefined> = {
  cel: `self.all(key, ${keyIs('key')})`,
  message: 'has a key that is none: write it as in example.org/name, the part after the slash at most 63 characters',
  holds: (self = {}) => Object.keys(self).every(isKey),
};

export const labelValues: Rule<Readonly<Record<string, string>> | undefined> = {
  cel: `self.all(key, self[key].matches('${valuePattern}'))`,
  message: 'has a value that no label can have: use letters, digits and -_. inside, 63 characters at most',
  holds: (self = {}) => Object.values(self).every((value) => new RegExp(valuePattern).test(value)),
};

export const labelMap = z.record(z.string(), z.string().max(63)).exactOptional();
