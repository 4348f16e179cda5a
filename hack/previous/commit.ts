/**
 * The version before this one, which this one has to work with: the commit on which the last work that landed in `main` ended.
 * Whoever begins a new version puts the commit (of a release: its tag) here that `main` stands at. Tests with another one:
 * MAINSTAY_PREVIOUS=<commit>.
 */
const lastLanded = '9ff9b427f404e3acb37f7be39395965e3f2a2d35';

export const previousCommit = process.env['MAINSTAY_PREVIOUS'] ?? lastLanded;
