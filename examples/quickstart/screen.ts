/** What the quickstart shows while it runs: one live screen on a terminal, plain lines elsewhere. */
export interface Sample { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number }

/** Prometheus text → samples of ours. */
export function parseMetrics(text: string): Sample[] {
  return [...text.matchAll(/^tributary_(\w+?)(?:\{([^}]*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name, value: Number(value), labels: Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text] as const)) as Record<string, string>,
  }));
}

/** Takes metrics in turn and draws. Lines are made by {@link screenLines}. */
export class Screen {
  private drawn = 0;
  private lastPlain = 0;
  private previous: { readonly samples: readonly Sample[]; readonly at: number } | undefined;
  private readonly live = process.stdout.isTTY;

  /** On a terminal each call overwrites the last drawing; elsewhere one joined line every two seconds. */
  draw(lines: readonly string[]): void {
    if (this.live) {
      // A line that the terminal wraps would take two, and the next drawing would begin too low.
      const width = Math.max(20, process.stdout.columns - 1);
      process.stdout.write(`${this.drawn > 0 ? `\u001b[${this.drawn}A` : ''}${lines.map(line => `\u001b[2K${line.slice(0, width)}\n`).join('')}`);
      this.drawn = lines.length;
    } else if (Date.now() - this.lastPlain >= 2000) {
      this.lastPlain = Date.now();
      process.stdout.write(`${lines.map(line => line.trim()).join(' | ')}\n`);
    }
  }
  /** Keeps this sampling and returns the one before it, with when it was taken; at first this one itself. */
  sampled(samples: readonly Sample[]): { readonly samples: readonly Sample[]; readonly at: number } {
    const before = this.previous ?? { samples, at: Date.now() - 1000 };
    this.previous = { samples, at: Date.now() };
    return before;
  }
  /** What is written next stands below the last drawing. */
  settle(): void { this.drawn = 0; }
}

const sum = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  samples.filter(sample => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)).reduce((total, { value }) => total + value, 0);
const count = (value: number): string => Math.round(value).toLocaleString('en-GB');

/** Progress of the snapshot, pace, lag and last commits, from two samplings `seconds` apart. */
export function screenLines(now: readonly Sample[], before: readonly Sample[], seconds: number, changes: number): string[] {
  const left = sum(now, 'snapshot_seconds_left'), running = sum(now, 'snapshot_running') > 0;
  const progress = now.filter(({ name }) => name === 'snapshot_rows_done').map(({ labels, value }) => {
    const table = labels['table'] ?? '', total = Math.max(value, sum(now, 'snapshot_rows_estimated', { table }));
    return `${table} ${count(value)}${running ? ` of about ${count(total)}` : ''} rows`;
  });
  const time = progress.length === 0 ? 'waiting' : running ? `${Math.max(1, left).toFixed(0)} s left` : 'done';
  const pace = (name: string, connector: string): string => `${count(Math.max(0, sum(now, name, { connector }) - sum(before, name, { connector })) / seconds)}/s`;
  const sink = (format: string): string => {
    const connector = `shop-${format}`, committed = sum(now, 'sink_last_commit_timestamp_seconds', { connector });
    const last = committed === 0 ? 'no commit yet' : `lag ${sum(now, 'sink_commit_latency_seconds', { connector }).toFixed(1)} s   last commit ${Math.max(0, Date.now() / 1000 - committed).toFixed(1)} s ago`;
    return `  ${format.padEnd(8)} ${pace('sink_records_total', connector).padStart(10)}   ${count(sum(now, 'sink_lag_records', { connector })).padStart(6)} behind   ${last}`;
  };
  return [
    `  snapshot ${[time, ...progress].join(' · ')}`,
    `  source   ${pace('source_records_total', 'shop').padStart(10)}   ${count(changes)} row changes made`,
    sink('iceberg'), sink('delta'),
  ];
}
