/** Our pgoutput decoder and pg-logical-replication's read the same messages of a real server alike, byte for byte of each value. */
import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import { expect, test } from 'vitest';
import { NULL_VALUE, type RowImage } from '../../../../connectors/sources/postgres/change.ts';
import { parseLsn } from '../../../../connectors/sources/postgres/lsn.ts';
import { decodeMessage, type Message, type RelationColumn } from '../../../../connectors/sources/postgres/wire/pgoutput.ts';
import { startPostgres } from '../../../kit/postgres.ts';

const ROWS = 300;
/** Values of many types, nulls, empty and long text, each with its unlike form in an update, a new key and a delete; then what is not a row. */
const statements = [
  `CREATE TABLE plain (id int PRIMARY KEY, big bigint, amount numeric, ratio double precision, at timestamptz, day date, name text, raw bytea, data jsonb, tags text[], span int4range, flag boolean)`,
  `CREATE TABLE whole (id int, note text, long text)`, 'ALTER TABLE whole REPLICA IDENTITY FULL',
  `CREATE TABLE indexed (a int NOT NULL, b text NOT NULL, c text)`, 'CREATE UNIQUE INDEX indexed_key ON indexed (b, a)', 'ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_key',
  'CREATE TABLE "Größe ""q""" ("Ein Name" int PRIMARY KEY, "leer" text)',
  'CREATE PUBLICATION pub FOR ALL TABLES',
  `SELECT pg_create_logical_replication_slot('slot', 'pgoutput')`,
  `INSERT INTO plain SELECT g, g * 9007199254740993, CASE WHEN g % 7 = 0 THEN 'NaN' ELSE g / 3.0 END, sqrt(g), timestamptz '2024-02-29 23:59:59.999999+05:30' + g * interval '1 hour', CASE WHEN g % 11 = 0 THEN 'infinity' ELSE date '0044-03-15 BC' + g END,
     CASE WHEN g % 5 = 0 THEN '' WHEN g % 13 = 0 THEN NULL ELSE repeat('日本語 \t\\', g % 40) END, decode(md5(g::text), 'hex'), jsonb_build_object('g', g, 'x', NULL), ARRAY[g::text, NULL, 'a,"b'], int4range(g, g + 5), g % 2 = 0 FROM generate_series(1, ${ROWS}) g`,
  `INSERT INTO whole SELECT g, 'note ' || g, (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 200) i) FROM generate_series(1, 20) g`,
  `INSERT INTO indexed SELECT g, 'key ' || g, CASE WHEN g % 2 = 0 THEN NULL ELSE 'c' END FROM generate_series(1, 50) g`,
  `INSERT INTO "Größe ""q""" VALUES (1, ''), (2, NULL)`,
  `UPDATE plain SET name = upper(name), amount = -amount WHERE id % 3 = 0`, `UPDATE plain SET id = id + 10000 WHERE id % 4 = 0`,
  `UPDATE whole SET note = 'changed'`, `UPDATE indexed SET c = 'new' WHERE a < 25`, `UPDATE indexed SET b = b || '!' WHERE a > 25`,
  `DELETE FROM plain WHERE id % 5 = 0`, 'DELETE FROM whole WHERE id > 10', 'DELETE FROM indexed WHERE a = 7', `UPDATE "Größe ""q""" SET "Ein Name" = 3 WHERE "Ein Name" = 1`,
  `SELECT pg_logical_emit_message(true, 'in', 'a transaction'), pg_logical_emit_message(false, 'outside', decode('00ff', 'hex'))`,
  'ALTER TABLE plain ADD COLUMN late text DEFAULT \'late\'', `INSERT INTO plain (id) VALUES (-1)`, 'ALTER TABLE plain DROP COLUMN name', `UPDATE plain SET late = NULL WHERE id = -1`,
  'TRUNCATE whole, indexed RESTART IDENTITY CASCADE',
];

type Values = Readonly<Record<string, string | null | undefined>>;
interface Relation { readonly identity: string; readonly columns: readonly RelationColumn[] }

/** Values by column as text; a value that was not sent is the old row's, where there is one. */
function valuesOf({ buffer, start, end }: RowImage, { columns }: Relation, old?: Values): Values {
  return Object.fromEntries(columns.map(({ name }, i) => {
    const from = start[i] ?? 0;
    return [name, from >= 0 ? buffer.toString('utf8', from, end[i]) : from === NULL_VALUE ? null : old?.[name]];
  }));
}
/** What stands for the old row: with full identity all of it, else its key. */
function oldOf(image: RowImage | undefined, relation: Relation): { readonly key: Values | null; readonly old: Values | null } {
  if (image === undefined) return { key: null, old: null };
  const values = valuesOf(image, relation);
  return relation.identity === 'f' ? { key: null, old: values } : { key: Object.fromEntries(relation.columns.filter(({ isKey }) => isKey).map(({ name }) => [name, values[name]])), old: null };
}

/** A message of ours in plain form; `relations` fills with what the stream tells of tables. */
function ours(message: Message, relations: Map<number, Relation>): unknown {
  const relationOf = (oid: number): Relation => { const found = relations.get(oid); if (found === undefined) throw new Error(`no relation ${oid}`); return found; };
  switch (message.kind) {
    case 'relation': {
      relations.set(message.oid, message);
      return { ...message, columns: message.columns.map(({ name, isKey, typeOid, typmod }) => ({ name, isKey, typeOid, typmod })) };
    }
    case 'insert': return { ...message, after: valuesOf(message.after, relationOf(message.relation)) };
    case 'update': { const relation = relationOf(message.relation), { key, old } = oldOf(message.before, relation); return { kind: 'update', relation: message.relation, key, old, after: valuesOf(message.after, relation, old ?? undefined) }; }
    case 'delete': return { kind: 'delete', relation: message.relation, ...oldOf(message.before, relationOf(message.relation)) };
    case 'message': return { ...message, content: message.content.toString('hex') };
    default: return message;
  }
}

const lsn = (text: string | null): bigint => parseLsn(text ?? '0/0');
const plain = (values: Readonly<Record<string, unknown>> | null): unknown => (values === null ? null : { ...values });
/** A message of the reference in the same form. */
function reference(message: Pgoutput.Message): unknown {
  switch (message.tag) {
    case 'begin': return { kind: 'begin', finalLsn: lsn(message.commitLsn), commitUs: message.commitTime, xid: message.xid };
    case 'commit': return { kind: 'commit', commitLsn: lsn(message.commitLsn), endLsn: lsn(message.commitEndLsn), commitUs: message.commitTime };
    case 'relation': {
      // Values are to be compared as the server wrote them, not as the driver would show them.
      for (const column of message.columns) column.parser = (raw: unknown) => raw;
      return { kind: 'relation', oid: message.relationOid, schema: message.schema, table: message.name, identity: message.replicaIdentity.slice(0, 1), columns: message.columns.map(({ name, flags, typeOid, typeMod }) => ({ name, isKey: (flags & 1) === 1, typeOid, typmod: typeMod })) };
    }
    case 'insert': return { kind: 'insert', relation: message.relation.relationOid, after: plain(message.new) };
    case 'update': return { kind: 'update', relation: message.relation.relationOid, key: plain(message.key), old: plain(message.old), after: plain(message.new) };
    case 'delete': return { kind: 'delete', relation: message.relation.relationOid, key: plain(message.key), old: plain(message.old) };
    case 'truncate': return { kind: 'truncate', relations: message.relations.map(({ relationOid }) => relationOid) };
    case 'message': return { kind: 'message', transactional: message.transactional, lsn: lsn(message.messageLsn), prefix: message.prefix, content: Buffer.from(message.content).toString('hex') };
    default: return { kind: message.tag };
  }
}

test('every message of a server says the same to both decoders', async () => {
  await using server = await startPostgres({ version: 17 });
  for (const statement of statements) await server.sql(statement);
  const { rows } = await server.sql(`SELECT data FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'proto_version', '1', 'publication_names', 'pub', 'messages', 'true')`);
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['pub'] }), relations = new Map<number, Relation>(), kinds = new Map<string, number>();
  for (const { data } of rows as readonly { readonly data: Buffer }[]) {
    const message = decodeMessage(data, 0, data.length);
    if (message === undefined) throw new Error(`a message of type ${data[0]} was left out`);
    kinds.set(message.kind, (kinds.get(message.kind) ?? 0) + 1);
    expect(ours(message, relations)).toEqual(reference(plugin.parse(data)));
  }
  expect(Object.fromEntries(kinds)).toMatchObject({ insert: ROWS + 20 + 50 + 2 + 1, truncate: 1, message: 2 });
  for (const kind of ['begin', 'commit', 'relation', 'update', 'delete']) expect(kinds.get(kind)).toBeGreaterThan(5);
}, 120_000);
