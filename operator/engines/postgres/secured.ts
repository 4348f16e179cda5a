import type { Definition } from '../../api/cluster-state.ts';
import { newestFile } from '../certificates.ts';
import type { Layout } from './layout.ts';

/**
 * Part of a connection string to another instance. Authorities of the cluster alone are trusted, so that which of its servers
 * answers needs no check.
 */
export const secured = (layout: Layout, { tls }: Definition): string =>
  `sslmode=${tls?.certificatesOnly ? 'verify-ca' : 'prefer'} sslrootcert=${newestFile(layout, 'serverAuthorities')} ` +
  `sslcert=${newestFile(layout, 'clientCertificate')} sslkey=${newestFile(layout, 'clientKey')}`;
