/** spec.tls: who talks to the database how, and whose certificates it shows. */
import { z } from 'zod';
import { described, matching } from './rules.ts';

const secretName = (description: string) =>
  described(z.string().min(1).max(253).exactOptional(), description, [
    matching(
      /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
      'is no name of a Secret: use lower-case letters, digits, hyphens and dots',
    ),
  ]);

export const Tls = z.object({
  mode: described(
    z.enum(['Optional', 'Required']).default('Optional'),
    'Optional: clients may use TLS, and most do without being told. Required: who comes over the network without TLS is refused. ' +
      'Optional is the default because some drivers use TLS only when told to. Replicas use TLS in either mode.',
  ),
  minVersion: described(
    z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
    'Lowest version of TLS that is accepted. TLSv1.2 is the default because drivers of the last years may have no other.',
  ),
  ciphers: described(
    z.string().min(1).max(1024).exactOptional(),
    'Ciphers for TLS 1.2, as in "HIGH:!aNULL" (OpenSSL’s list format); the database’s own if absent. TLS 1.3 has its own, all of them good.',
    [matching(/^[A-Za-z0-9!+:@=_-]+$/, 'is no list of ciphers: write it as in HIGH:!aNULL')],
  ),
  names: described(
    z
      .array(
        described(z.string().min(1).max(253), 'DNS name or IP address.', [
          matching(
            /^(\*\.)?[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$/,
            'is no DNS name or address: write it as in db.example.com',
          ),
        ]),
      )
      .max(32)
      .default([]),
    'More names for the server’s certificate, such as that of a load balancer. Services and Pods are in it anyway.',
    [],
    { 'x-kubernetes-list-type': 'set' },
  ),
  serverSecret: secretName(
    'Secret in this namespace with your own server certificate: tls.crt, tls.key and ca.crt, as cert-manager makes them. Renew it in place; instances take it over without a restart.',
  ),
  authoritySecret: secretName(
    'Secret in this namespace with your own certificate authority, from which Mainstay issues: tls.crt and tls.key, and ca.crt if it is no root. Without it Mainstay makes one.',
  ),
  authorityLeadDays: described(
    z.int().min(0).max(60).default(7),
    'Days for which a new authority of Mainstay’s own is published in the Secret <cluster>-ca before servers show certificates of it, so that clients can learn of it.',
  ),
});
