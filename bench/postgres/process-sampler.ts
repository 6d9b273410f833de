/** CPU time and memory of a process, read from /proc while it runs (proc(5)); Linux only, as the bench is. */
import { readFileSync } from 'node:fs';

/** Ticks of utime and stime: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Sampler extends Disposable {
  /** CPU seconds, user and system, of all threads from the start of the process until `at` (performance.now() milliseconds). */
  cpuSeconds(at: number): number;
  /** Highest RssAnon + RssShmem seen, in megabytes: memory that the process owns, mapped files left out. */
  readonly memoryMegabytes: number;
  /** VmHWM in megabytes: the peak with mapped files. */
  readonly residentMegabytes: number;
}

/** Reads every `everyMs` until it is disposed of or the process is gone. */
export function sample(pid: number, everyMs = 10): Sampler {
  const times: number[] = [0], seconds: number[] = [0];
  let memory = 0, resident = 0, reads = 0;
  const read = (): void => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      times.push(performance.now());
      seconds.push((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND);
      if (reads++ % 5 > 0) return;
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const megabytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
      memory = Math.max(memory, megabytes('RssAnon') + megabytes('RssShmem'));
      resident = Math.max(resident, megabytes('VmHWM'));
    } catch { /* The process has ended: what was read stays. */ }
  };
  read();
  const timer = setInterval(read, everyMs);
  return {
    cpuSeconds(at) {
      let i = times.length - 1;
      while (i > 0 && (times[i] ?? 0) > at) i--;
      return seconds[i] ?? 0;
    },
    get memoryMegabytes() { return memory; },
    get residentMegabytes() { return resident; },
    [Symbol.dispose]() { clearInterval(timer); },
  };
}
