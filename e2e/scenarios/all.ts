/** The order in which scenarios run: cheap and telling ones first; each leaves a healthy cluster to the next. */
import './refused-specs.ts';
import './apply.ts';
import './switchover.ts';
import './database-killed.ts';
import './agent-killed.ts';
import './agent-stopped.ts';
import './database-stopped.ts';
import './pod-deleted.ts';
import './node-lost.ts';
import './node-partitioned.ts';
import './control-plane-down.ts';
import './drain.ts';
import './scale.ts';
import './volumes-kept.ts';
