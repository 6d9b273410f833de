/** Temporary directories of tests and examples. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory extends Disposable { readonly path: string }

/** A new empty directory, removed with all that is in it when it is disposed of. */
export function temporaryDirectory(prefix = 'tributary-'): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), prefix));
  return { path, [Symbol.dispose]: () => { rmSync(path, { recursive: true, force: true }); } };
}
