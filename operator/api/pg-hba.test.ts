import { expect, test } from '@jest/globals';
import { hbaProblem, identProblem } from './pg-hba.ts';

test.each([
  'hostssl all all 10.0.0.0/8 scram-sha-256',
  'host shop,"My Db" app,+readers 10.1.2.3/32 md5',
  'host all all 192.168.0.0 255.255.0.0 scram-sha-256',
  'host sameuser all samenet scram-sha-256',
  'host all all fe80::/10 reject',
  'host all all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust',
  'host all all .example.com scram-sha-256',
  'local all app peer map=people',
  'hostssl all all all cert clientcert=verify-full',
  'host all all all ldap ldapserver=ldap.example.com ldapprefix="cn=" ldapsuffix=", dc=example, dc=com"',
  'host all /^[a-z]+$ all scram-sha-256',
  'host replication archiver 10.0.0.0/8 scram-sha-256',
])('%s is taken', (line) => {
  expect(hbaProblem(line)).toBeUndefined();
});

test.each([
  ['', 'is empty'],
  ['# only people', 'has a comment'],
  ['include other.conf', 'includes are not possible'],
  ['include_dir "/tmp"', 'includes are not possible'],
  ['hots all all all md5', 'begins with "hots", but must begin with one of local, host,'],
  ['host all', 'lacks fields: write it as in "host shop app 10.0.0.0/8 scram-sha-256"'],
  ['host all all 10.0.0.0/33 md5', 'must be 0 to 32'],
  ['host all all 10.0.0.1 md5', 'without its size: write 10.0.0.1/32 for one machine'],
  ['host all all 10.0.0.300/8 md5', 'write a network as in 10.0.0.0/8'],
  ['host all all 10.0.0.0/8', 'has no method'],
  ['host all all all scram', 'has the method "scram", but must have one of trust,'],
  ['host all all all peer', 'works for local only'],
  ['host all all all cert', 'works for hostssl only'],
  ['host all all all md5 md5', 'only name=value may stand'],
  ['host all postgres all trust', 'postgres has no login from the network'],
  ['host replication "postgres" all trust', 'postgres has no login from the network'],
  ['host all mainstay_rewind all trust', 'is a role of the agents'],
  ['host all app,+mainstay_replication all trust', 'is a role of the agents'],
  ['local all all peer map=mainstay', 'the map of the agents'],
  ['host @databases all all md5', '@databases names a file'],
  ['host all all all md5\nhost all all all trust', 'control character'],
  ['host all "all all all md5', 'lone quote'],
  ['host all all, all', 'has no address'],
])('%s is refused', (line, why) => {
  expect(hbaProblem(line)).toContain(why);
});

test.each([
  ['people alice@example.com alice', undefined],
  ['people /^(.*)@example\\.com$ \\1', undefined],
  ['people alice', 'must have three fields'],
  ['mainstay anybody app', 'is the map of the agents'],
  ['people anybody postgres', 'maps to postgres'],
  ['people anybody mainstay_rewind', 'maps to mainstay_rewind'],
  ['include_if_exists /etc/passwd', 'includes are not possible'],
])('mapping %s: %s', (line, why) => {
  if (why === undefined) expect(identProblem(line)).toBeUndefined();
  else expect(identProblem(line)).toContain(why);
});
