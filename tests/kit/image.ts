/**
 * The container image of docker/, really built and really run, where no container engine is: buildah builds it on a base
 * that docker/base.sh makes, and a container is a chroot with process and mount namespaces of its own, so that the
 * program is process 1 there. Needs Linux, root and apt.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './condition.ts';
import { cacheDirectory } from './postgres.ts';
import { projectRoot } from './worker.ts';

const NAME = 'localhost/tributary', BASE = 'localhost/tributary-base';
const TOOLS = ['buildah', 'debootstrap'];

/** What the image says of itself; names are Docker's. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Volumes: Readonly<Record<string, object>>;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}
export interface ContainerOptions {
  /** Arguments in the place of the image's command. */
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Folder of the host → where it is mounted, `:ro` at the end for read-only. */
  readonly mounts?: Readonly<Record<string, string>>;
}
/** Killed, where it still runs, when it is disposed of. */
export interface Container extends AsyncDisposable {
  /** The host's number of the container's process 1. */
  readonly pid: number;
  /** Standard output and standard error, the last 64 KiB. */
  output(): string;
  /** Resolves with the exit status; anything but 0 after a signal that it did not handle. */
  readonly ended: Promise<number>;
  /** Signal to process 1. */
  signal(name: NodeJS.Signals): void;
  /** Runs the image's health check inside. */
  health(): { readonly status: number | null; readonly text: string };
}
export interface Image extends Disposable {
  readonly config: ImageConfig;
  /** Bytes of the files that the image adds to its base. */
  readonly addedBytes: number;
  /** Starts a container over the image's own files. Its volumes are what `mounts` says. */
  start(options: ContainerOptions): Promise<Container>;
}

/** Why no image can be built here; undefined when one can. Installs the tools that are missing, as root on a machine with apt. */
export function cannotBuild(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'building the image needs Linux and root';
  const missing = TOOLS.filter(tool => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined);
  if (missing.length === 0) return undefined;
  process.stderr.write(`installing ${missing.join(', ')} (apt-get)\n`);
  const apt = (...args: string[]): boolean => spawnSync('apt-get', args, { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0;
  const install = (): boolean => apt('install', '-y', '--no-install-recommends', ...missing);
  return install() || (apt('update') && install()) ? undefined : `${missing.join(' and ')} cannot be installed`;
}

/** Builds the image with storage of its own, which goes away with it. The base is made once and kept in the cache. */
export function buildImage(): Image {
  const home = mkdtempSync(join(cacheDirectory(), 'image-'));
  const storage = join(home, 'storage.conf');
  writeFileSync(storage, `[storage]\ndriver = "${storageDriver(home)}"\ngraphroot = "${join(home, 'graph')}"\nrunroot = "${join(home, 'run')}"\n`);
  const environment = { ...process.env, CONTAINERS_STORAGE_CONF: storage, TMPDIR: home };
  const run = (command: string, ...args: string[]): string => {
    const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: projectRoot, env: environment, encoding: 'utf8', maxBuffer: 1 << 26 });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? `${stdout}${stderr}`.slice(-4000)}`);
    return stdout.trim();
  };
  const remove = (): void => { spawnSync('buildah', ['umount', '--all'], { env: environment, stdio: 'ignore' }); rmSync(home, { recursive: true, force: true }); };
  try {
    process.stderr.write('building the image\n');
    run(join(projectRoot, 'docker', 'base.sh'), BASE, join(cacheDirectory(), `image-base-${process.arch}.tar`));
    run('buildah', 'bud', '--isolation', 'chroot', '--format', 'docker', '--layers=false', '--build-arg', `BASE=${BASE}`, '-f', 'docker/Dockerfile', '-t', NAME, '.');
    const { Docker: { config } } = JSON.parse(run('buildah', 'inspect', '--type', 'image', NAME)) as { readonly Docker: { readonly config: ImageConfig } };
    const root = run('buildah', 'mount', run('buildah', 'from', NAME));
    const addedBytes = Number(execFileSync('du', ['-sb', join(root, 'opt', 'tributary')], { encoding: 'utf8' }).split('\t')[0]);
    return { config, addedBytes, start: options => start(root, config, options), [Symbol.dispose]: remove };
  } catch (error) { remove(); throw error; }
}

/** Layers as overlays, where the kernel lets us mount one in `folder`; whole copies elsewhere. */
function storageDriver(folder: string): 'overlay' | 'vfs' {
  const probe = join(folder, 'probe');
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(probe, name), { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`, `${probe}/merged`], { stdio: 'ignore' }).status === 0;
  if (mounted) spawnSync('umount', [`${probe}/merged`], { stdio: 'ignore' });
  rmSync(probe, { recursive: true, force: true });
  return mounted ? 'overlay' : 'vfs';
}

/** Mounts, then becomes the image's program. Its arguments: root, user, working folder, mounts `from to ro|rw`, `--`, program. */
const SETUP = `set -eu
root=$1 user=$2 folder=$3; shift 3
mount --make-rprivate /
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
exec chroot --userspec="$user" --groups= "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"`;

async function start(root: string, config: ImageConfig, { command = config.Cmd, environment = {}, mounts = {} }: ContainerOptions): Promise<Container> {
  const places = Object.entries(mounts).map(([from, to]) => ({ from, to: to.replace(/:ro$/, ''), mode: to.endsWith(':ro') ? 'ro' : 'rw' }));
  for (const { to } of places) mkdirSync(join(root, to), { recursive: true });
  const env = { ...Object.fromEntries(config.Env.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])), ...environment };
  const args = [root, config.User, config.WorkingDir, ...places.flatMap(({ from, to, mode }) => [from, to, mode]), '--', ...config.Entrypoint, ...command];
  const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child=SIGKILL', '/bin/sh', '-c', SETUP, 'setup', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collected(child);
  const ended = new Promise<number>((resolve, reject) => { child.once('close', code => { resolve(code ?? 255); }); child.once('error', reject); });
  const pid = await until('the container to start', () => childOf(child.pid ?? 0) ?? (child.exitCode === null ? undefined : -1));
  const inside = (program: readonly string[]): { readonly status: number | null; readonly text: string } => {
    const { status, stdout, stderr } = spawnSync('nsenter', ['--target', String(pid), '--mount', '--pid', `--root`, '--', '/bin/sh', '-c', 'exec "$@"', 'sh', ...program], { env, encoding: 'utf8', timeout: 30_000 });
    return { status, text: `${stdout}${stderr}` };
  };
  const signal = (name: NodeJS.Signals): void => { if (child.exitCode === null && child.signalCode === null && pid > 0) try { process.kill(pid, name); } catch { /* it has ended */ } };
  return { pid, output, ended, signal, health: () => inside(config.Healthcheck.Test.slice(1)), [Symbol.asyncDispose]: async () => { signal('SIGKILL'); await ended; } };
}

function childOf(pid: number): number | undefined {
  try { return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), 10) || undefined; } catch { return undefined; }
}

function collected(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { text = (text + chunk.toString()).slice(-65_536); });
  return () => text;
}
