import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, putIfAbsent, tableFolder, warehouseProblems, writeDurable } from '../../../../connectors/sinks/tables/local-files.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';

describe('files of table formats', () => {
  it('puts a file once, whole, and leaves no draft', async () => {
    using home = temporaryDirectory();
    const path = join(home.path, 'log', '1.json');
    expect(await putIfAbsent(path, 'first')).toBe('committed');
    expect(await putIfAbsent(path, 'second')).toBe('conflict');
    expect(await putIfAbsent(join(home.path, 'log', '2.json'), 'late', () => Promise.resolve(true))).toBe('conflict');
    expect(await readFile(path, 'utf8')).toBe('first');
    expect(await readdir(join(home.path, 'log'))).toEqual(['1.json']);
  });
  it('names trouble of the disk as passing', async () => {
    using home = temporaryDirectory();
    const file = join(home.path, 'file');
    await writeFile(file, '');
    await expect(putIfAbsent(join(file, '1.json'), 'x')).rejects.toMatchObject({ name: 'RetriableError', code: 'WAREHOUSE_DISK' });
    await expect(writeDurable(join(file, 'x'), Buffer.of(1))).rejects.toMatchObject({ name: 'RetriableError', code: 'WAREHOUSE_DISK' });
    expect(await warehouseProblems(file)).toMatchObject([{ option: 'warehouse' }]);
    expect(await warehouseProblems('s3://bucket')).toMatchObject([{ message: expect.stringContaining('Only local paths') as string }]);
    expect(await warehouseProblems(join(file, 'below'))).toMatchObject([{ option: 'warehouse' }]);
    expect(await warehouseProblems(join(home.path, 'new', 'er'))).toEqual([]);
    expect(existsSync(join(home.path, 'new'))).toBe(false);
  });
  // Node's own recursive mkdir never comes back there.
  it.runIf(process.platform === 'linux')('says that a folder cannot be made where a file system takes none', async () => {
    expect(await warehouseProblems('/proc/warehouse/deep')).toMatchObject([{ option: 'warehouse', message: expect.stringContaining('ENOENT') as string }]);
    await expect(putIfAbsent('/proc/warehouse/deep/1.json', 'x')).rejects.toMatchObject({ code: 'WAREHOUSE_DISK' });
    await expect(makeFolder('/proc/self/warehouse')).rejects.toMatchObject({ code: 'WAREHOUSE_DISK' });
  });
  it('keeps tables below the warehouse', () => {
    expect(tableFolder('/lake', ['public', 'orders'])).toBe('/lake/public/orders');
    expect(tableFolder('/lake', ['..', '.', '', 'a/../b'])).toBe('/lake/_/_/_/a_.._b');
  });
});
