/**
 * Beside the owner record: a socket in the log directory on which the owning process listens. A container sees no
 * processes but its own, so the pid of an owner in another container says nothing there. A socket in a shared folder
 * answers whatever namespace its process lives in, and is dead with it.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type Owner, thisProcess } from './owner.ts';

/** The address of a socket has room for 107 bytes on Linux, for 103 on macOS. A log that lies deeper does without. */
const LONGEST = 100;
const ANSWER_MS = 2_000;

function addressOf(directory: string): string | undefined {
  const address = join(directory, 'owner.sock');
  return Buffer.byteLength(address) > LONGEST ? undefined : address;
}

/** Who listens in `directory`: undefined when nobody does, or this process itself; `'unknown'` when it takes longer than 2 s to say. */
export async function listenerIn(directory: string): Promise<Owner | 'unknown' | undefined> {
  const address = addressOf(directory);
  if (address === undefined) return undefined;
  const socket = connect(address);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) });
    const [text] = await once(socket.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(ANSWER_MS) }) as [string];
    const owner = JSON.parse(text) as Owner, mine = thisProcess();
    return owner.pid === mine.pid && owner.started === mine.started ? undefined : owner;
  } catch (error) {
    return (error as Error).name === 'AbortError' ? 'unknown' : undefined;
  } finally { socket.on('error', () => undefined).destroy(); }
}

/** Listens until it is called. Where the file system has no sockets, the owner record stands alone. */
export async function listenIn(directory: string): Promise<() => void> {
  const address = addressOf(directory);
  if (address === undefined) return () => undefined;
  const server = createServer(socket => { socket.on('error', () => undefined).end(JSON.stringify(thisProcess())); });
  try {
    rmSync(address, { force: true });
    await once(server.listen(address), 'listening');
  } catch { return () => undefined; }
  server.on('error', () => undefined).unref();
  return () => { server.close(); };
}
