/** The doubles that other tests lean on: what the network is told to do, it does. */
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from './condition.ts';
import { type FaultProxy, startProxy } from './fault-proxy.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => { for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose](); });

/** A server that gives back what it gets, and a client of it through the proxy. */
async function echo(): Promise<{ proxy: FaultProxy; dial(): Promise<{ socket: Socket; text(): string; pieces(): number; ended(): string | undefined }> }> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => { sockets.add(socket); socket.on('error', () => undefined); socket.pipe(socket); });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  open.push({ [Symbol.asyncDispose]: () => new Promise<void>(resolve => { for (const socket of sockets) socket.destroy(); server.close(() => resolve()); }) });
  const proxy = await startProxy({ host: '127.0.0.1', port: (server.address() as { port: number }).port });
  open.push(proxy);
  return {
    proxy,
    dial: async () => {
      const socket = connect({ host: proxy.host, port: proxy.port, noDelay: true });
      let text = '', pieces = 0, ended: string | undefined;
      socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); pieces++; });
      socket.on('error', error => { ended = (error as NodeJS.ErrnoException).code ?? 'error'; });
      socket.on('close', () => { ended ??= 'closed'; });
      open.push({ [Symbol.asyncDispose]: async () => { socket.destroy(); } });
      return { socket, text: () => text, pieces: () => pieces, ended: () => ended };
    },
  };
}

describe('a network that fails on command', () => {
  it('passes everything, in order, more than its buffers hold', async () => {
    const { dial, proxy } = await echo();
    const client = await dial();
    const sent = Array.from({ length: 200_000 }, (_, i) => `${i};`).join('');
    client.socket.write(sent);
    await until('the echo', () => client.text().length === sent.length);
    expect(client.text()).toBe(sent);
    expect(proxy.delivered).toBe(sent.length);
  });

  it('holds every byte back and keeps the connection, then lets it pass', async () => {
    const { dial, proxy } = await echo();
    const client = await dial();
    client.socket.write('a');
    await until('the first echo', () => client.text() === 'a');
    proxy.hold();
    client.socket.write('b');
    const other = await dial();
    other.socket.write('c');
    await until('a connection into the black hole', () => proxy.accepted === 2);
    expect([client.text(), other.text(), client.ended()]).toEqual(['a', '', undefined]);
    proxy.release();
    await until('what was held back', () => client.text() === 'ab' && other.text() === 'c');
  });

  it('resets what is open, also while it is held, and refuses on command', async () => {
    const { dial, proxy } = await echo();
    const client = await dial();
    client.socket.write('a');
    await until('the echo', () => client.text() === 'a');
    proxy.hold();
    client.socket.write('b');
    proxy.reset();
    await until('the reset', () => client.ended());
    expect(client.ended()).toBe('ECONNRESET');
    await until('no connection', () => proxy.open === 0);
    proxy.release();
    proxy.refuse();
    const refused = await dial();
    await until('the refusal', () => refused.ended());
    proxy.accept();
    const later = await dial();
    later.socket.write('z');
    await until('the echo after it', () => later.text() === 'z');
  });

  it('trickles byte by byte, and cuts in the middle', async () => {
    const { dial, proxy } = await echo();
    const client = await dial();
    proxy.trickle();
    client.socket.write('x'.repeat(100));
    await until('the trickle', () => client.text().length === 100);
    expect(client.pieces()).toBeGreaterThan(10);
    proxy.release();
    proxy.resetAfter(30);
    client.socket.write('y'.repeat(100));
    await until('the cut', () => client.ended());
    expect(client.text().length).toBeLessThan(200);
  });
});
