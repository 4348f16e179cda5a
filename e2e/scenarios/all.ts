/** The order in which scenarios run: cheap and telling ones first; each leaves a healthy cluster to the next. */
import './refused-specs.ts';
import './apply.ts';
import './database-killed.ts';
import './agent-killed.ts';
import './pod-deleted.ts';
import './node-lost.ts';
import './drain.ts';
import './scale.ts';
import './volumes-kept.ts';
