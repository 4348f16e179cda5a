/**
 * PID 1 of the database's container: starts the agent, passes on SIGTERM and SIGUSR2, reaps the orphans that the kernel hands to PID 1
 * (Node reaps only what it started), and ends when the agent does, which ends everything (docs/adr/0004).
 */
export const initScript = `#!/bin/bash
MAINSTAY_INIT=$$ "$@" &
agent=$!
trap 'kill -TERM "$agent"' TERM INT
trap 'kill -USR2 "$agent"' USR2
while kill -0 "$agent" 2>/dev/null; do wait "$agent"; done
wait "$agent"
exit
`;

/** Whether everything else in this PID namespace belongs to this process: as PID 1, or started by the script above as such. */
export function ownsNamespace(): boolean {
  return process.pid === 1 || (process.ppid === 1 && process.env['MAINSTAY_INIT'] === '1');
}
