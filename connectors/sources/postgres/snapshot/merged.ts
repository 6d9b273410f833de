/** Several generators as one: whoever has something first. Each is advanced only after its last item was taken, so what waits is one item of each. */
export async function* merged<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) { yield* only; return; }
  const waiting = new Map<AsyncGenerator<T>, Promise<readonly [AsyncGenerator<T>, IteratorResult<T>]>>();
  const pull = (source: AsyncGenerator<T>): void => {
    const next = source.next().then(result => [source, result] as const);
    next.catch(() => { /* met by the race */ });
    waiting.set(source, next);
  };
  sources.forEach(pull);
  try {
    while (waiting.size > 0) {
      const [source, result] = await Promise.race(waiting.values());
      if (result.done === true) { waiting.delete(source); continue; }
      yield result.value;
      pull(source);
    }
  } finally { for (const source of waiting.keys()) source.return(undefined).catch(() => { /* it had failed, or was cut off */ }); }
}
