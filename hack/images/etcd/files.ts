// etcd and etcdctl as static binaries, from the Go modules that hack/cluster/etcd pins.
import { artifact } from '../../cluster/artifacts.ts';

/** What the image holds, by name. */
export async function etcdFiles(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['etcd', await artifact('etcd', signal)],
    ['etcdctl', await artifact('etcdctl', signal)],
  ]);
}
