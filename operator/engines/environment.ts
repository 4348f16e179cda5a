/** The environment of the database's own programs: how the agent's memory is kept small would make them slow. */
export const databaseEnvironment = (of: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(of).filter(([name]) => !name.startsWith('MALLOC_')));
