/** What an error of the driver, of TLS or of the server means, and what to do about it: one row for each. */
import { FatalError, RetriableError, TributaryError } from '../../../runtime/api/errors.ts';
import type { PostgresConfig } from './config.ts';
import { identifier, literal } from './replication.ts';

interface DriverError extends Error { readonly code?: string }

/** What a rule sees. */
interface Report { readonly code: string; readonly message: string; readonly where: string; readonly config: PostgresConfig }
interface Rule {
  readonly matches: (report: Report) => boolean;
  readonly code: string;
  /** True = the task tries again by itself. */
  readonly passing?: true;
  readonly says: (report: Report) => string;
  readonly hint: (config: PostgresConfig) => string;
}

const sqlState = (...states: readonly string[]) => ({ code }: Report): boolean => states.includes(code);
const saying = (pattern: RegExp) => ({ message }: Report): boolean => pattern.test(message);
const newSnapshot = (config: PostgresConfig): string => `Changes since the stored position are lost. SELECT pg_drop_replication_slot(${literal(config['slot.name'])}); then stop the connector, reset its offsets (DELETE /connectors/NAME/offsets) and resume it for a new snapshot, or set snapshot.mode=when_needed; raise max_slot_wal_keep_size if that was the cause.`;

const tlsRules: readonly Rule[] = [
  { code: 'POSTGRES_TLS_CA', matches: sqlState('SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_SIGNATURE_FAILURE', 'INVALID_CA'),
    says: ({ where, code }) => `The certificate of PostgreSQL at ${where} was not signed by an authority in database.sslrootcert (${code})`, hint: () => 'Put the PEM file of the authority that signed it into database.sslrootcert.' },
  { code: 'POSTGRES_TLS_EXPIRED', matches: sqlState('CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'), says: ({ where }) => `The certificate of PostgreSQL at ${where} is not valid at this time`, hint: () => 'Renew the certificate of the server and reload it; check the clocks.' },
  { code: 'POSTGRES_TLS_HOST', matches: sqlState('ERR_TLS_CERT_ALTNAME_INVALID'), says: ({ where, message }) => `The certificate of PostgreSQL at ${where} is for another host: ${message}`, hint: () => 'Name the host in database.hostname as its certificate does, or use database.sslmode=verify-ca.' },
  { code: 'POSTGRES_TLS_UNSUPPORTED', matches: saying(/does not support SSL/), says: ({ where }) => `PostgreSQL at ${where} does not offer TLS`, hint: config => `ALTER SYSTEM SET ssl = on; with ssl_cert_file and ssl_key_file, and reload; or choose another database.sslmode than ${config['database.sslmode']}.` },
  { code: 'POSTGRES_TLS_CLIENT', matches: saying(/requires a valid client certificate|certificate authentication failed|alert (unknown ca|bad certificate|certificate required|certificate expired)|ALERT_UNKNOWN_CA/i),
    says: ({ where, message }) => `PostgreSQL at ${where} does not accept the client certificate: ${message}`, hint: () => 'Set database.sslcert and database.sslkey to a certificate that ssl_ca_file of the server has signed; with the method cert its common name is the role.' },
  { code: 'POSTGRES_TLS_KEY', matches: report => /^ERR_OSSL_/.test(report.code) || /key values mismatch|mac verify failure/i.test(report.message), says: ({ message }) => `The client certificate and its key cannot be used: ${message}`, hint: () => 'database.sslkey has to be the key of database.sslcert; its password belongs into database.sslpassword.' },
  { code: 'POSTGRES_TLS', matches: report => /^ERR_(SSL|TLS)_|^EPROTO$/.test(report.code), says: ({ where, message }) => `No TLS session with PostgreSQL at ${where}: ${message}`, hint: () => 'Compare ssl_min_protocol_version and ssl_ciphers of the server with what this version of Node offers.' },
  { code: 'POSTGRES_TLS_REQUIRED', matches: ({ code, message }) => code === '28000' && /no encryption|SSL off/.test(message), says: ({ where, message }) => `PostgreSQL at ${where} does not let this host in without TLS: ${message}`, hint: () => 'Set database.sslmode=require or verify-full, or add a line for this host to pg_hba.conf.' },
];

const accessRules: readonly Rule[] = [
  { code: 'POSTGRES_LOGIN', matches: report => sqlState('28P01', '28000')(report) || /SASL|SCRAM|password must be/i.test(report.message),
    says: ({ where, config, message }) => `PostgreSQL at ${where} refused role '${config['database.user']}': ${message}`, hint: () => 'Check database.user and database.password, and that pg_hba.conf lets this host in, for replication too.' },
  { code: 'POSTGRES_DATABASE', matches: sqlState('3D000'), says: ({ where, config }) => `PostgreSQL at ${where} has no database '${config['database.dbname']}'`, hint: () => 'Check database.dbname.' },
  { code: 'POSTGRES_PRIVILEGE', matches: sqlState('42501'), says: ({ config, message }) => `PostgreSQL refused role '${config['database.user']}' a privilege: ${message}`, hint: ({ 'database.user': user }) => `Grant it, for example: ALTER ROLE ${identifier(user)} REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${identifier(user)};` },
];

const slotRules: readonly Rule[] = [
  { code: 'POSTGRES_SLOT_LOST', matches: saying(/WAL segment .* has already been removed|can no longer (get changes from|access) replication slot|slot .* has been invalidated/), says: ({ config, message }) => `The server no longer has WAL that replication slot '${config['slot.name']}' needs: ${message}`, hint: newSnapshot },
  { code: 'POSTGRES_SLOT_GONE', matches: ({ code, message }) => code === '42704' && /replication slot/.test(message), says: ({ config }) => `Replication slot '${config['slot.name']}' is gone`, hint: newSnapshot },
  { code: 'POSTGRES_PUBLICATION', matches: ({ code, message }) => code === '42704' && /publication/.test(message), says: ({ message }) => `The slot stands before the publication was made, so its changes cannot be decoded: ${message}`,
    hint: config => `Make the publication before the slot. Now: drop the slot (SELECT pg_drop_replication_slot(${literal(config['slot.name'])});), reset the offsets of the connector and let it take a new snapshot.` },
  { code: 'POSTGRES_SLOT_ACTIVE', passing: true, matches: sqlState('55006'), says: ({ config }) => `Replication slot '${config['slot.name']}' is in use by another connection`, hint: () => 'Stop the other reader, or give this connector a slot.name of its own.' },
  { code: 'POSTGRES_SLOTS_FULL', matches: ({ code, message }) => code === '53400' && /replication slots/.test(message), says: ({ where }) => `All replication slots of ${where} are taken`, hint: () => 'Drop one that nobody needs (SELECT pg_drop_replication_slot(...)) or raise max_replication_slots and restart the server.' },
  { code: 'POSTGRES_WAL_LEVEL', matches: saying(/wal_level/), says: ({ where, message }) => `PostgreSQL at ${where} does not write logical WAL: ${message}`, hint: () => "ALTER SYSTEM SET wal_level = 'logical'; then restart the server." },
];

const networkRules: readonly Rule[] = [
  { code: 'POSTGRES_CONNECTIONS', passing: true, matches: sqlState('53300'), says: ({ where, message }) => `PostgreSQL at ${where} has no free connection or walsender: ${message}`, hint: () => 'Raise max_connections or max_wal_senders, or close idle connections.' },
  { code: 'POSTGRES_QUERY_TIMEOUT', passing: true, matches: sqlState('57014'), says: ({ where, message }) => `A statement at ${where} was given up: ${message}`, hint: ({ 'database.query.timeout.ms': ms }) => `Look for what it waited for (pg_stat_activity); database.query.timeout.ms (${ms}) is the longest time for one statement.` },
  { code: 'POSTGRES_HOST', passing: true, matches: sqlState('ENOTFOUND', 'EAI_AGAIN'), says: ({ config, message }) => `Host '${config['database.hostname']}' is not known: ${message}`, hint: () => 'Check database.hostname.' },
  { code: 'POSTGRES_REFUSED', passing: true, matches: sqlState('ECONNREFUSED'), says: ({ where }) => `Nothing listens at ${where}`, hint: () => 'Check database.hostname and database.port, and that the server runs.' },
  { code: 'POSTGRES_CONNECTION', passing: true, matches: ({ code, message }) => /^(08|57P|53|40|55P03|58)/.test(code) || /^E[A-Z]+$/.test(code) || /terminat|timeout|closed|ended|Connection/i.test(message),
    says: ({ where, message }) => `Connection to PostgreSQL at ${where} failed: ${message}`, hint: () => 'The task tries again by itself; check the server and the network if this stays.' },
];

const rules: readonly Rule[] = [...tlsRules, ...accessRules, ...slotRules, ...networkRules];

/** RetriableError or FatalError for anything that the driver or the server threw; our own errors pass as they are. */
export function mapped(error: unknown, config: PostgresConfig): Error {
  if (error instanceof TributaryError || !(error instanceof Error)) return error as Error;
  const { code = '', message } = error as DriverError;
  const report: Report = { code, message, where: `${config['database.hostname']}:${config['database.port']}`, config };
  const rule = rules.find(({ matches }) => matches(report));
  const custom = config['internal.custom.retriable.exception'];
  const passing = rule?.passing === true || (custom !== undefined && custom !== 'false' && new RegExp(custom).test(message));
  const facts = { code: rule?.code ?? 'POSTGRES_ERROR', hint: rule?.hint(config) ?? 'See the message; mend the cause and restart the task.', cause: error };
  const says = rule?.says(report) ?? `PostgreSQL at ${report.where} answered an error: ${message}${code === '' ? '' : ` (SQLSTATE ${code})`}`;
  return passing ? new RetriableError(says, facts) : new FatalError(says, facts);
}
