/**
 * A network that fails on command: a TCP proxy between a client under test and a real server.
 *
 *   await using proxy = await startProxy({ host: '127.0.0.1', port: server.port });
 *   // the client connects to proxy.host:proxy.port
 *   proxy.hold();       // a black hole: connections stay open, new ones are accepted, no byte passes
 *   proxy.release();    // what was held back passes after all
 *   proxy.reset();      // every open connection ends with RST on both sides; new ones are accepted
 *   proxy.refuse();     // new connections are reset at once, until accept()
 *   proxy.trickle(1);   // one byte at a time in both directions, until release()
 *   proxy.delay(50);    // each piece arrives 50 ms later, until release()
 *   proxy.resetAfter(1000); // RST after so many more bytes from the server
 *
 * Each side is read only as fast as the other takes it, so that back-pressure passes through.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';

export interface ProxyTarget { readonly host: string; readonly port: number }

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Connections accepted since the start. */
  readonly accepted: number;
  /** Bytes that went from the server to clients since the start. */
  readonly delivered: number;
  hold(): void;
  /** Ends hold, trickle and delay. */
  release(): void;
  reset(): void;
  refuse(): void;
  accept(): void;
  /** Pieces of `bytes` bytes, one at each turn of the event loop. */
  trickle(bytes?: number): void;
  delay(ms: number): void;
  /** One-shot: resets every connection when the server has sent so many more bytes, in the middle of a message if it falls so. */
  resetAfter(bytes: number): void;
}

/** What all connections obey. `changed` wakes those that wait for it. */
interface Weather { held: boolean; piece: number; delayMs: number; delivered: number; cutAt: number; readonly changed: Set<() => void> }

/** Resolves once `target` was told to: the proxy listens on a free port of 127.0.0.1. Closing it resets what is open. */
export async function startProxy(target: ProxyTarget): Promise<FaultProxy> {
  const weather: Weather = { held: false, piece: 0, delayMs: 0, delivered: 0, cutAt: Infinity, changed: new Set() };
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0, refusing = false;
  const reset = (): void => { for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy(); wake(weather); };
  const server = createServer({ noDelay: true }, client => {
    client.on('error', () => { /* the other side hears of the close */ });
    if (refusing) { client.resetAndDestroy(); return; }
    accepted++;
    const upstream = connect({ ...target, noDelay: true });
    const pair = [client, upstream] as const;
    pairs.add(pair);
    upstream.on('error', () => { client.resetAndDestroy(); });
    for (const socket of pair) socket.on('close', () => { pairs.delete(pair); for (const other of pair) other.destroy(); wake(weather); });
    void carry(client, upstream, weather, () => { /* only the server's bytes count */ });
    void carry(upstream, client, weather, bytes => { weather.delivered += bytes; if (weather.delivered >= weather.cutAt) { weather.cutAt = Infinity; reset(); } });
  });
  await new Promise<void>((resolve, reject) => { server.once('error', reject); server.listen(0, '127.0.0.1', resolve); });
  const address = server.address() as { readonly port: number };
  const set = (change: Partial<Weather>): void => { Object.assign(weather, change); wake(weather); };
  return {
    host: '127.0.0.1', port: address.port, get open() { return pairs.size; }, get accepted() { return accepted; }, get delivered() { return weather.delivered; },
    hold: () => set({ held: true }), release: () => set({ held: false, piece: 0, delayMs: 0 }), reset,
    refuse: () => { refusing = true; }, accept: () => { refusing = false; },
    trickle: (bytes = 1) => set({ held: false, piece: bytes }), delay: ms => set({ held: false, delayMs: ms }),
    resetAfter: bytes => { weather.cutAt = weather.delivered + bytes; },
    [Symbol.asyncDispose]: () => { reset(); return close(server); },
  };
}

function wake({ changed }: Weather): void { const waiting = [...changed]; changed.clear(); for (const go of waiting) go(); }

const close = (server: Server): Promise<void> => new Promise(resolve => { server.close(() => { resolve(); }); });

/** Resolves when the socket takes more, or is gone. */
function writable(to: Socket): Promise<void> {
  return new Promise(resolve => {
    const go = (): void => { to.off('drain', go).off('close', go); resolve(); };
    to.on('drain', go).on('close', go);
  });
}

/** Moves bytes one way until either side is gone. Ends without a word: what matters is what the two sides see. */
async function carry(from: Socket, to: Socket, weather: Weather, passed: (bytes: number) => void): Promise<void> {
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        while (weather.held && !to.destroyed) await new Promise<void>(resolve => { weather.changed.add(resolve); });
        if (to.destroyed) return;
        if (weather.delayMs > 0) await new Promise(resolve => { setTimeout(resolve, weather.delayMs); });
        const piece = chunk.subarray(at, weather.piece > 0 ? at + weather.piece : chunk.length);
        at += piece.length;
        passed(piece.length);
        if (to.destroyed) return;
        if (!to.write(piece)) await writable(to);
        else if (weather.piece > 0) await new Promise(resolve => { setImmediate(resolve); });
      }
    }
    if (!to.destroyed) to.end();
  } catch { to.destroy(); }
}
