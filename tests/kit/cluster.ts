/** Workers of one cluster as processes of their own, and what their own logs say about who ran which task when. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './condition.ts';
import { freePort } from './postgres.ts';
import { type RunningWorker, runWorker } from './worker.ts';

export interface ClusterOptions {
  readonly bootstrap: string;
  /** Empty; every worker gets a folder in it. */
  readonly directory: string;
  /** Names the group and its topics. */
  readonly name: string;
  readonly properties?: Readonly<Record<string, string>>;
  /** What one worker has of its own, asked with the port of its plain listener; `rest.advertised.port` becomes part of its id. */
  readonly own?: (name: string, port: number) => Promise<Readonly<Record<string, string>>>;
}
export interface Answer { readonly status: number; readonly body: unknown }
interface Process { readonly worker: RunningWorker; readonly output: string; endedAt: number | undefined }

/** A span of time in which a worker ran a task, by its own word. */
export interface Span { readonly task: string; readonly worker: string; readonly from: number; readonly to: number }

export class TestCluster implements AsyncDisposable {
  private readonly options: ClusterOptions;
  private readonly ports = new Map<string, number>();
  private readonly owns = new Map<string, Readonly<Record<string, string>>>();
  private readonly live = new Map<string, Process>();
  private readonly past: { readonly name: string; readonly process: Process }[] = [];
  private starts = 0;
  private changed: Readonly<Record<string, string>> = {};

  constructor(options: ClusterOptions) { this.options = options; }

  get properties(): Readonly<Record<string, string>> {
    const { bootstrap, name, properties = {} } = this.options;
    return {
      'bootstrap.servers': bootstrap, 'group.id': name, 'config.storage.topic': `${name}-configs`, 'offset.storage.topic': `${name}-offsets`, 'status.storage.topic': `${name}-status`,
      'config.storage.replication.factor': '1', 'offset.storage.replication.factor': '1', 'status.storage.replication.factor': '1', 'offset.storage.partitions': '3', 'status.storage.partitions': '2', ...properties, ...this.changed,
    };
  }
  /** Properties of the workers that are started from now on: a roll-out changes them one worker after the other. */
  change(properties: Readonly<Record<string, string>>): void { this.changed = { ...this.changed, ...properties }; }

  /** A worker keeps its port when it is started again. */
  async start(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map(async name => {
      const port = this.ports.get(name) ?? await freePort();
      this.ports.set(name, port);
      const own = this.owns.get(name) ?? await this.options.own?.(name, port) ?? {};
      this.owns.set(name, own);
      const folder = join(this.options.directory, `${name}-${++this.starts}`);
      mkdirSync(folder, { recursive: true });
      const file = join(folder, 'worker.properties');
      writeFileSync(file, Object.entries({ ...this.properties, listeners: `http://127.0.0.1:${port}`, ...own }).map(([key, value]) => `${key}=${value}\n`).join(''));
      const output = join(folder, 'worker.out');
      this.live.set(name, { worker: await runWorker({ command: 'distributed', files: [file], port, output, readyMs: 120_000 }), output, endedAt: undefined });
    }));
  }
  /** SIGTERM; waits for the end. */
  async stop(name: string): Promise<number | null> { return this.end(name, worker => worker.stop()); }
  /** SIGKILL. */
  async kill(name: string): Promise<void> { await this.end(name, worker => worker.kill()); }
  private async end<T>(name: string, how: (worker: RunningWorker) => Promise<T>): Promise<T> {
    const process = this.get(name);
    const answer = await how(process.worker);
    process.endedAt = Date.now();
    this.live.delete(name);
    this.past.push({ name, process });
    return answer;
  }
  private get(name: string): Process {
    const process = this.live.get(name);
    if (process === undefined) throw new Error(`worker ${name} does not run`);
    return process;
  }
  get names(): readonly string[] { return [...this.live.keys()]; }
  output(name: string): string { return this.get(name).worker.output(); }
  workerId(name: string): string { return `127.0.0.1:${this.owns.get(name)?.['rest.advertised.port'] ?? new URL(this.get(name).worker.rest).port}`; }
  rest(name: string): string { return this.get(name).worker.rest; }
  pid(name: string): number { return this.get(name).worker.pid; }

  /** One request to one worker; the first that runs when none is named. */
  async ask(method: string, path: string, body?: unknown, name: string = this.names[0] ?? ''): Promise<Answer> {
    const answer = await fetch(`${this.rest(name)}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), signal: AbortSignal.timeout(120_000) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) as unknown };
  }

  /** The member id's owner that leads, as the workers see it; undefined while they do not agree. */
  leader(): string | undefined {
    const seen = this.names.map(name => /"leader":"https?:\/\/([^/"]+)\/"[^\n]*"msg":"group joined"(?![\s\S]*"msg":"group joined")/.exec(readFileSync(this.get(name).output, 'utf8'))?.[1]);
    return new Set(seen).size === 1 ? this.names.find(name => this.workerId(name) === seen[0]) : undefined;
  }

  /** Waits until every connector has its running tasks on live workers. */
  async running(connectors: readonly string[], timeoutMs = 90_000, tasks = 1): Promise<void> {
    const ids = new Set(this.names.map(name => this.workerId(name)));
    await until('all tasks to run', async () => {
      const { body } = await this.ask('GET', '/connectors?expand=status');
      const all = body as Readonly<Record<string, { readonly status: { readonly tasks: readonly { readonly state: string; readonly worker_id: string }[] } } | undefined>>;
      return connectors.every(name => { const found = all[name]?.status.tasks ?? []; return found.length === tasks && found.every(task => task.state === 'RUNNING' && ids.has(task.worker_id)); });
    }, timeoutMs);
  }

  /** When which worker ran which task: from `task starting` to `task stopped`, or to the end of its process. */
  spans(): readonly Span[] {
    return [...this.past, ...[...this.live].map(([name, process]) => ({ name, process }))].flatMap(({ name, process }) => spansOf(name, readFileSync(process.output, 'utf8'), process.endedAt ?? Date.now()));
  }
  /** Pairs of spans of one task on two workers that overlap. */
  overlaps(): readonly string[] {
    const byTask = new Map<string, Span[]>();
    for (const span of this.spans()) { const list = byTask.get(span.task); if (list === undefined) byTask.set(span.task, [span]); else list.push(span); }
    return [...byTask.values()].flatMap(spans => {
      const sorted = [...spans].sort((a, b) => a.from - b.from);
      return sorted.flatMap((span, i) => { const next = sorted[i + 1]; return next !== undefined && next.from < span.to && next.worker !== span.worker ? [`${span.task}: ${span.worker} until ${span.to}, ${next.worker} from ${next.from}`] : []; });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> { await Promise.all([...this.live.values()].map(({ worker }) => worker[Symbol.asyncDispose]())); }

  /** The last lines of every worker's log, for a failure's message. */
  logs(): string { return readdirSync(this.options.directory).map(folder => `== ${folder}\n${readFileSync(join(this.options.directory, folder, 'worker.out'), 'utf8').slice(-1_500)}`).join('\n'); }
}

function spansOf(worker: string, log: string, end: number): readonly Span[] {
  const open = new Map<string, number>();
  const spans: Span[] = [];
  for (const line of log.split('\n')) {
    if (!line.startsWith('{"level"')) continue;
    let entry: { readonly time?: number; readonly connector?: string; readonly task?: number; readonly msg?: string };
    try { entry = JSON.parse(line) as typeof entry; } catch { continue; }
    const { time = 0, connector = '', task = 0, msg = '' } = entry;
    const name = `${connector}-${task}`;
    if (msg === 'task starting') open.set(name, time);
    const from = open.get(name);
    if ((msg === 'task stopped' || msg === 'task stopped with an error' || msg === 'task ended') && from !== undefined) { spans.push({ task: name, worker, from, to: time }); open.delete(name); }
  }
  return [...spans, ...[...open].map(([task, from]) => ({ task, worker, from, to: end }))];
}
