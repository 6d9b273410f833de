/** Preflight checks of the slot and the publication. */
import { type Check, found } from './preflight-finding.ts';
import { identifier, literal, qualified } from './replication.ts';

const slotChecks: readonly Check[] = [
  async ({ query, config }) => {
    const name = config['slot.name'];
    const [row] = await query(`SELECT s.plugin, s.database, s.active, to_jsonb(s)->>'wal_status', s.slot_type, s.active_pid FROM pg_replication_slots s WHERE s.slot_name = ${literal(name)}`);
    if (row === undefined) {
      const [free] = await query("SELECT count(*) < current_setting('max_replication_slots')::int FROM pg_replication_slots");
      return free?.[0] === 't' ? [] : found('POSTGRES_SLOTS_FULL', 'error', 'slot.name', 'All replication slots are taken', 'Drop one that nobody needs: SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active; or raise max_replication_slots and restart the server.');
    }
    const [plugin, database, active, status, kind, pid] = row;
    const drop = `SELECT pg_drop_replication_slot(${literal(name)});`;
    if (kind === 'physical') return found('POSTGRES_SLOT_PHYSICAL', 'error', 'slot.name', `Slot '${name}' is a physical one`, drop);
    if (plugin !== 'pgoutput') return found('POSTGRES_SLOT_PLUGIN', 'error', 'slot.name', `Slot '${name}' was made for the plugin ${plugin}`, drop);
    if (database !== config['database.dbname']) return found('POSTGRES_SLOT_DATABASE', 'error', 'slot.name', `Slot '${name}' belongs to database '${database}'`, 'Choose another slot.name.');
    if (status === 'lost') return found('POSTGRES_SLOT_LOST', 'error', 'slot.name', `The server has removed WAL that slot '${name}' still needed`, drop);
    if (active === 't') return found('POSTGRES_SLOT_ACTIVE', 'warning', 'slot.name', `Slot '${name}' is in use`, `SELECT pg_terminate_backend(${pid});`);
    if (status === 'unreserved') return found('POSTGRES_SLOT_UNRESERVED', 'warning', 'slot.name', `Slot '${name}' is about to lose WAL that it needs`, "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf();");
    return [];
  },
];

const publicationChecks: readonly Check[] = [
  async ({ query, config, superuser, user, tables }) => {
    const name = config['publication.name'], mode = config['publication.autocreate.mode'];
    const [row] = await query(`SELECT puballtables FROM pg_publication WHERE pubname = ${literal(name)}`);
    if (row !== undefined) return row[0] === 't' && mode === 'filtered' ? found('POSTGRES_PUBLICATION_ALL', 'error', 'publication.autocreate.mode', `Publication '${name}' covers all tables and cannot be narrowed`, `DROP PUBLICATION ${identifier(name)};`) : [];
    if (mode === 'disabled') return found('POSTGRES_PUBLICATION_MISSING', 'error', 'publication.name', `There is no publication '${name}', and none may be made`, `CREATE PUBLICATION ${identifier(name)} FOR ALL TABLES;`);
    if (mode === 'all_tables' && !superuser) return found('POSTGRES_PUBLICATION_SUPERUSER', 'error', 'publication.autocreate.mode', `Only a superuser can make a publication for all tables, and '${user}' is none`, `Run as a superuser: CREATE PUBLICATION ${identifier(name)} FOR ALL TABLES; or set publication.autocreate.mode=filtered.`);
    const [may] = await query("SELECT has_database_privilege(current_database(), 'CREATE')");
    if (may?.[0] !== 't') return found('POSTGRES_PUBLICATION_CREATE', 'error', 'publication.name', `Role '${user}' may not make a publication in this database`, `GRANT CREATE ON DATABASE ${identifier(config['database.dbname'])} TO ${identifier(user)};`);
    if (mode !== 'filtered' || superuser) return [];
    const owned = await query(`SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (${[0, ...tables.map(({ oid }) => oid)].join(', ')}) AND NOT pg_has_role(c.relowner, 'USAGE')`);
    const [first] = owned;
    return first === undefined ? [] : found('POSTGRES_TABLE_OWNER', 'error', 'publication.autocreate.mode', `Role '${user}' does not own ${owned.length} of the captured tables, so it cannot publish them`, `ALTER TABLE ${identifier(first[0] ?? '')}.${identifier(first[1] ?? '')} OWNER TO ${identifier(user)};`);
  },
  async ({ query, config, tables }) => {
    const name = config['publication.name'];
    if (config['publication.autocreate.mode'] === 'filtered') return [];
    const [row] = await query(`SELECT 1 FROM pg_publication WHERE pubname = ${literal(name)}`);
    if (row === undefined) return [];
    const published = new Set((await query(`SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = ${literal(name)}`)).map(([schema, table]) => `${schema}.${table}`));
    const partitions = new Set((await query('SELECT oid FROM pg_class WHERE relispartition OR relkind = \'p\'')).map(([oid]) => Number(oid)));
    const missing = tables.filter(table => !published.has(`${table.schema}.${table.table}`) && !partitions.has(table.oid));
    const [first] = missing;
    return first === undefined ? [] : found('POSTGRES_PUBLICATION_TABLE', 'error', 'publication.name', `Publication '${name}' leaves out ${missing.length} captured tables, ${first.schema}.${first.table} among them; their changes would never come`, `ALTER PUBLICATION ${identifier(name)} ADD TABLE ${missing.map(qualified).join(', ')};`);
  },
  async ({ query, config }) => {
    const name = config['publication.name'];
    const [row] = await query(`SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = ${literal(name)}`);
    if (row === undefined) return [];
    const skipped = new Set(config['skipped.operations'].map(operation => operation.toLowerCase()));
    const left = (['c', 'u', 'd', 't'] as const).filter((operation, i) => row[i] === 'f' && !skipped.has(operation));
    return left.length === 0 ? [] : found('POSTGRES_PUBLICATION_OPERATIONS', 'warning', 'publication.name', `Publication '${name}' leaves out operations that are wanted: ${left.join(', ')}`, `ALTER PUBLICATION ${identifier(name)} SET (publish = 'insert, update, delete, truncate');`);
  },
  async ({ query, config, version }) => {
    const name = config['publication.name'];
    if (version < 130_000) return [];
    const [row] = await query(`SELECT pubviaroot FROM pg_publication WHERE pubname = ${literal(name)}`);
    if (row === undefined || (row[0] === 't') === config['publish.via.partition.root']) return [];
    return found('POSTGRES_PUBLICATION_ROOT', 'warning', 'publish.via.partition.root', `Publication '${name}' treats partitions otherwise than publish.via.partition.root says`, `ALTER PUBLICATION ${identifier(name)} SET (publish_via_partition_root = ${config['publish.via.partition.root']});`);
  },
  async ({ query, config, version }) => {
    const name = config['publication.name'];
    if (version < 150_000) return [];
    const [row] = await query(`SELECT count(*) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = ${literal(name)} AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)`);
    return Number(row?.[0] ?? 0) === 0 ? [] : found('POSTGRES_PUBLICATION_FILTER', 'warning', 'publication.name', `Publication '${name}' has row filters or column lists, which a snapshot does not know`, `ALTER PUBLICATION ${identifier(name)} SET TABLE without WHERE and without columns.`);
  },
];

export const slotFindings: readonly Check[] = [...slotChecks, ...publicationChecks];
