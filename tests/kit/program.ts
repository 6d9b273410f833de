/** A program of another project, run to its end. */
import { spawn } from 'node:child_process';

export interface ProgramOptions { readonly directory?: string; readonly environment: Readonly<Record<string, string>>; readonly limitMs: number }

/** Resolves with the last 64 KiB of its output; rejects with the end of it when the status is not 0 or the time is over. */
export async function runProgram(name: string, command: string, args: readonly string[], { directory, environment, limitMs }: ProgramOptions): Promise<string> {
  const child = spawn(command, args, { ...(directory === undefined ? {} : { cwd: directory }), stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMs, killSignal: 'SIGKILL', env: { ...process.env, ...environment } });
  let output = '';
  const take = (chunk: Buffer): void => { output = (output + chunk.toString()).slice(-65_536); };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const status = await new Promise<number | null>((resolve, reject) => { child.once('error', reject); child.once('close', resolve); });
  if (status !== 0) throw new Error(`${name} ended with status ${status}:\n${output.slice(-6000)}`);
  return output;
}
