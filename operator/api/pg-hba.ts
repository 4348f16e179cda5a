/** Entries for pg_hba.conf and pg_ident.conf, judged line by line: what PostgreSQL could not read would keep it from starting. */

const types = ['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc'];
const methods = [
  'trust',
  'reject',
  'scram-sha-256',
  'md5',
  'password',
  'gss',
  'peer',
  'ident',
  'ldap',
  'radius',
  'cert',
  'pam',
];
/** The agents' own names: roles, and the map of their certificates. */
const ownName = /^mainstay(_|$)/;

interface Token {
  readonly text: string;
  readonly quoted: boolean;
}

/** One rule as a line of pg_hba.conf; what is wrong with it, and what to do. */
export function hbaProblem(line: string): string | undefined {
  const fields = fieldsOf(line);
  if (typeof fields === 'string') return fields;
  const [type, databases, users, ...rest] = fields;
  const kind = type?.[0]?.text ?? '';
  if (kind.startsWith('include')) return 'includes are not possible: write the rules themselves';
  if (!types.includes(kind)) return `begins with "${kind}", but must begin with one of ${types.join(', ')}`;
  if (databases === undefined || users === undefined)
    return `lacks fields: write it as in "${kind === 'local' ? 'local all app scram-sha-256' : `${kind} shop app 10.0.0.0/8 scram-sha-256`}"`;
  const file = [...databases, ...users].find(({ text, quoted }) => !quoted && text.startsWith('@'));
  if (file) return `${file.text} names a file, and there is none: write the names themselves`;
  for (const { text } of users) {
    const name = text.replace(/^\+/, '');
    if (ownName.test(name)) return `${text} is a role of the agents, whose rules Mainstay writes: remove it`;
    if (name === 'postgres')
      return 'postgres has no login from the network, and on the socket its rule is Mainstay’s: make a role of your own';
  }
  const address = kind === 'local' ? { left: rest } : afterAddress(rest);
  if ('problem' in address) return address.problem;
  const [method, ...options] = address.left;
  const name = method?.[0]?.text;
  if (name === undefined) return 'has no method: end it with one, as in scram-sha-256';
  if (!methods.includes(name)) return `has the method "${name}", but must have one of ${methods.join(', ')}`;
  if (name === 'peer' && kind !== 'local') return 'has the method peer, which works for local only';
  if (name === 'gss' && kind === 'local') return 'has the method gss, which does not work for local';
  if (name === 'cert' && kind !== 'hostssl') return 'has the method cert, which works for hostssl only';
  const option = options.flat().find(({ text }) => !/^[a-z_0-9]+=/.test(text));
  if (option) return `has "${option.text}" after the method, where only name=value may stand`;
  const map = options.flat().find(({ text }) => /^map="?mainstay/.test(text));
  return map && `uses ${map.text}, the map of the agents: choose another name`;
}

/** One line of pg_ident.conf: map, name outside, role. */
export function identProblem(line: string): string | undefined {
  const fields = fieldsOf(line);
  if (typeof fields === 'string') return fields;
  const [map, system, role, ...more] = fields;
  const name = map?.[0]?.text ?? '';
  if (name.startsWith('include')) return 'includes are not possible: write the mappings themselves';
  if (system === undefined || role === undefined || more.length > 0)
    return 'must have three fields: map, name outside, role; as in "people alice@example.com alice"';
  if (ownName.test(name)) return `${name} is the map of the agents: choose another name`;
  const own = role.find(({ text }) => ownName.test(text) || text === 'postgres');
  return own && `maps to ${own.text}, which is Mainstay’s: map to a role of your own`;
}

/** Fields of comma-separated tokens, as PostgreSQL splits a line (hba.c); or what is wrong. */
function fieldsOf(line: string): readonly (readonly Token[])[] | string {
  if (/\p{Cc}/u.test(line.replaceAll('\t', ' '))) return 'has a control character: write one rule on one line';
  if (line.trim() === '') return 'is empty: remove it';
  const fields: Token[][] = [];
  let rest = line.trim();
  let goesOn = false;
  while (rest !== '') {
    if (rest.startsWith('#')) return 'has a comment: put it into the manifest instead';
    const [whole, quoted, bare] = /^(?:"([^"]*)"|([^\s,"#]+))/.exec(rest) ?? [];
    if (whole === undefined || (quoted ?? bare ?? '') === '') return 'has a lone quote or comma: close or remove it';
    const field = goesOn ? fields.at(-1) : undefined;
    const token = { text: quoted ?? bare ?? '', quoted: quoted !== undefined };
    if (field) field.push(token);
    else fields.push([token]);
    rest = rest.slice(whole.length);
    // name="value" is one token.
    const tail = /^"([^"]*)"/.exec(rest);
    if (bare?.endsWith('=') === true && tail) {
      token.text += tail[1] ?? '';
      rest = rest.slice(tail[0].length);
    }
    const gap = /^\s*(,?)\s*/.exec(rest);
    goesOn = gap?.[1] === ',';
    if (!goesOn && gap?.[0] === '' && rest !== '') return 'has a quote within a word: separate the two';
    rest = rest.slice(gap?.[0].length ?? 0);
    if (goesOn && rest === '') return 'ends with a comma: remove it';
  }
  return fields;
}

function afterAddress(
  fields: readonly (readonly Token[])[],
): { readonly left: readonly (readonly Token[])[] } | { readonly problem: string } {
  const [field, mask, ...more] = fields;
  const address = field?.length === 1 ? field[0]?.text : undefined;
  if (address === undefined) return { problem: 'has no address, or several: give one, as in 10.0.0.0/8 or all' };
  const left = fields.slice(1);
  const [ip, bits] = address.split('/');
  if (isAddress(ip ?? '')) {
    const most = (ip ?? '').includes(':') ? 128 : 32;
    if (bits !== undefined)
      return /^\d{1,3}$/.test(bits) && Number(bits) <= most
        ? { left }
        : { problem: `has the address ${address}: the part after the slash must be 0 to ${most}` };
    const text = mask?.[0]?.text ?? '';
    return isAddress(text)
      ? { left: more }
      : { problem: `has the address ${address} without its size: write ${address}/${most} for one machine` };
  }
  if (['all', 'samehost', 'samenet'].includes(address)) return { left };
  return /^\.?[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$/.test(address) && !/^[\d.]+$/.test(address)
    ? { left }
    : { problem: `has the address ${address}: write a network as in 10.0.0.0/8, a host name, or all` };
}

const isAddress = (text: string): boolean =>
  /^(\d{1,3}\.){3}\d{1,3}$/.test(text)
    ? text.split('.').every((part) => Number(part) <= 255)
    : /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(text) && URL.canParse(`http://[${text}]/`);
