/**
 * What is measured: `narrow`, one table of 8 columns and about 100 bytes a row; `mixed`, 20 tables with 40 % updates
 * under REPLICA IDENTITY FULL, 10 % deletes, NULLs, text that needs escapes, and large values that the updates leave alone.
 */
import type { PostgresServer } from '../../tests/kit/postgres.ts';

export interface Workload {
  readonly name: string;
  readonly tables: readonly string[];
  /** Makes the tables and what a snapshot reads. Returns the records of the snapshot. */
  prepare(server: PostgresServer, database: string): Promise<number>;
  /** Makes the changes that then wait in the slot. Returns their records, tombstones included. */
  change(server: PostgresServer, database: string): Promise<number>;
}

const NARROW = "SELECT g, g % 97, (g % 1000000)::numeric / 100, 'customer ' || g, 'filler', g % 2 = 0, '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 second', g * 0.5 FROM generate_series";

/** `rows` of the snapshot, then `changes` inserts in transactions of 1,000 rows. */
export function narrow(rows: number, changes: number): Workload {
  return {
    name: 'narrow', tables: ['acct'],
    async prepare(server, database) {
      await server.sql('CREATE TABLE acct (id bigint PRIMARY KEY, branch int NOT NULL, balance numeric(12,2) NOT NULL, name varchar(40) NOT NULL, filler char(24) NOT NULL, active boolean NOT NULL, created timestamptz NOT NULL, score double precision)', database);
      await server.sql(`INSERT INTO acct ${NARROW}(1, ${rows}) g`, database);
      await server.sql('VACUUM ANALYZE acct', database);
      return rows;
    },
    async change(server, database) {
      await server.sql(`DO $$ BEGIN FOR i IN 0..(${changes / 1000} - 1) LOOP INSERT INTO acct ${NARROW}(${rows + 1} + i * 1000, ${rows} + i * 1000 + 1000) g; COMMIT; END LOOP; END $$`, database);
      return changes;
    },
  };
}

const TABLES = 20;
const SEED_ROWS = 500;
/** Rows of one transaction in each table: 50 inserts, 40 updates, 10 deletes. */
const ROUND = { inserts: 50, updates: 40, deletes: 10 };

const mixedRow = (values: string): string => `SELECT g, CASE WHEN g % 3 = 0 THEN NULL ELSE (g % 10007)::numeric / 7 END, 'line "' || g || E'" \\\\ tab\\t and\\nnewline \\u00e9\\u4e2d', CASE WHEN g % 5 = 0 THEN NULL ELSE now() END, g % 4, CASE WHEN g % 10 = 0 THEN (SELECT string_agg(md5((g * n)::text), '') FROM generate_series(1, 120) n) END FROM ${values}`;

/** About `changes` row changes, spread evenly over the tables, 100 to a transaction. */
export function mixed(changes: number): Workload {
  const rounds = Math.max(1, Math.round(changes / (TABLES * 100)));
  const tables = Array.from({ length: TABLES }, (_, i) => `mixed_${i + 1}`);
  return {
    name: 'mixed', tables,
    async prepare(server, database) {
      for (const table of tables) {
        await server.sql(`CREATE TABLE ${table} (id bigint PRIMARY KEY, amount numeric, note text, seen timestamptz, state smallint NOT NULL, document text)`, database);
        await server.sql(`ALTER TABLE ${table} REPLICA IDENTITY FULL; ALTER TABLE ${table} ALTER document SET STORAGE EXTERNAL`, database);
        await server.sql(`INSERT INTO ${table} ${mixedRow(`generate_series(1, ${SEED_ROWS}) g`)}`, database);
      }
      return TABLES * SEED_ROWS;
    },
    async change(server, database) {
      const { inserts, updates, deletes } = ROUND;
      await server.sql(`DO $$ DECLARE first bigint; t text; BEGIN
        FOR r IN 0..${rounds - 1} LOOP FOREACH t IN ARRAY ARRAY[${tables.map(table => `'${table}'`).join(',')}] LOOP
          first := ${SEED_ROWS} + r * ${inserts};
          EXECUTE 'INSERT INTO ' || t || $q$ ${mixedRow(`generate_series($1 + 1, $1 + ${inserts}) g`)}$q$ USING first;
          EXECUTE format('UPDATE %I SET state = state + 1, note = note || ''!'' WHERE id > $1 - ${updates} + ${inserts} AND id <= $1 + ${inserts}', t) USING first;
          EXECUTE format('DELETE FROM %I WHERE id IN (SELECT id FROM %I ORDER BY id LIMIT ${deletes})', t, t);
          COMMIT;
        END LOOP; END LOOP; END $$`, database);
      return rounds * TABLES * (inserts + updates + 2 * deletes);
    },
  };
}
