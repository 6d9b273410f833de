/** The built program (dist/main.js) as a process of its own, as a user runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './condition.ts';
import { freePort } from './postgres.ts';

/** The folder of package.json, from the sources as from the compiled tests. */
export const projectRoot: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();
export const program: string = join(projectRoot, 'dist', 'main.js');

export interface RunningWorker extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly rest: string;
  readonly pid: number;
  /** What it wrote so far, its last 64 KiB. */
  output(): string;
  /** Resolves with the exit status when the process has ended; null after a signal. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<number | null>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
}
export interface WorkerOptions {
  /** Where the properties files and the output file go. */
  readonly directory: string;
  /** Worker properties; `listeners` is added with a free port where it is absent. */
  readonly properties: Readonly<Record<string, string>>;
  readonly connectors: readonly Readonly<Record<string, string>>[];
  /** How long the start may take until REST answers, in milliseconds. */
  readonly readyMs?: number;
}

const fileOf = (properties: Readonly<Record<string, string>>): string => Object.entries(properties).map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`).join('');

/** Writes the properties files and starts a worker over them; resolves when REST answers. */
export async function startWorker({ directory, properties, connectors, readyMs }: WorkerOptions): Promise<RunningWorker> {
  const port = /:(\d+)$/.exec(properties['listeners'] ?? '')?.[1] ?? String(await freePort());
  const worker = join(directory, 'worker.properties');
  writeFileSync(worker, fileOf({ listeners: `http://127.0.0.1:${port}`, ...properties }));
  const files = connectors.map((config, i) => {
    const file = join(directory, `connector-${i}.properties`);
    writeFileSync(file, fileOf(config));
    return file;
  });
  return runWorker({ files: [worker, ...files], port: Number(port), output: join(directory, 'worker.out'), ...(readyMs === undefined ? {} : { readyMs }) });
}

/** Starts `standalone FILES…` (or another command); resolves when REST answers on `port`, rejects with its output when it ends before that. */
export async function runWorker({ files, port, output, command = 'standalone', environment = {}, readyMs = 60_000 }: { readonly command?: 'standalone' | 'distributed'; readonly files: readonly string[]; readonly port: number; readonly output: string; readonly environment?: Readonly<Record<string, string>>; readonly readyMs?: number }): Promise<RunningWorker> {
  const child = spawn(process.execPath, [program, command, ...files], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const tail = collect(child, output);
  const ended = new Promise<number | null>(resolve => { child.once('exit', resolve); });
  const rest = `http://127.0.0.1:${port}`;
  const signal = async (name: NodeJS.Signals): Promise<number | null> => { child.kill(name); return ended; };
  const worker: RunningWorker = {
    rest, ended, pid: child.pid ?? 0, output: tail, stop: () => signal('SIGTERM'), kill: async () => { await signal('SIGKILL'); },
    [Symbol.asyncDispose]: async () => { if (child.exitCode === null && child.signalCode === null) await signal('SIGKILL'); },
  };
  try {
    await until(`REST of the worker at ${rest}`, async () => {
      if (child.exitCode !== null) throw new Error(`the worker ended with status ${child.exitCode}:\n${tail()}`);
      return fetch(`${rest}/health`).then(answer => answer.ok, () => false);
    }, readyMs);
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}\n${tail().slice(-4000)}`, { cause: error });
  }
  return worker;
}

function collect(child: ChildProcess, path: string): () => string {
  const file = createWriteStream(path, { flags: 'a' });
  let text = '';
  const take = (chunk: Buffer): void => { file.write(chunk); text = (text + chunk.toString()).slice(-65_536); };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  child.once('close', () => file.end());
  return () => text;
}
