/** What lists of declared objects have in common, whatever the database. */
import { z } from 'zod';
import { described, type Rule } from './rules.ts';

/** The API server sees to one entry for each name by itself, from the key of the list. */
export const keyed = (key: string) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });

const hasOneEach = (entries: readonly { readonly name: string }[]): boolean =>
  new Set(entries.map(({ name }) => name)).size === entries.length;
const twice = 'has one name twice: keep one entry for each';

/** A list of `most` such objects at most, one for each name. */
export const listOf = <Item extends z.ZodType<{ readonly name: string }>>(
  item: Item,
  most: number,
  description: string,
) => described(z.array(item).max(most).refine(hasOneEach, twice).default([]), description, [], keyed('name'));

export const ensure = (gone: string) =>
  described(z.enum(['present', 'absent']).default('present'), `absent: ${gone}. Leaving the list changes nothing.`);

/** `prefixes`: what no such name may begin with. */
export function unreserved(reserved: readonly string[], prefixes: readonly string[]): Rule<string> {
  const problem = `is reserved, like ${reserved.join(', ')} and names that begin with ${prefixes.join(' or ')}: choose another`;
  const begins = prefixes.map((prefix) => `!self.startsWith('${prefix}')`).join(' && ');
  return {
    cel: `!(self in [${reserved.map((name) => `'${name}'`).join(', ')}]) && ${begins}`,
    message: problem,
    messageCel: `self + ' ${problem}'`,
    holds: (self) => !reserved.includes(self) && !prefixes.some((prefix) => self.startsWith(prefix)),
    say: (self) => `${self} ${problem}`,
  };
}
