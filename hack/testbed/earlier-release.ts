/**
 * Debian's PostgreSQL 17.12 notes with columns, as `pg_attver`, what its 18.6, of the quarter before, does not know: no upgrade
 * is possible between them. This, run in their image, leaves the data of 17 as its earlier releases do.
 */
export const asEarlierReleaseLeft = `set -e
psql='psql -h /run/mainstay -U postgres -XAtq -v ON_ERROR_STOP=1'
if ! grep -q pg_attver /usr/lib/postgresql/18/bin/postgres; then
  for database in $($psql -c 'SELECT datname FROM pg_database WHERE datallowconn' postgres); do
    $psql -c "UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text LIKE '{pg_attver=%'" "$database"
  done
fi`;
