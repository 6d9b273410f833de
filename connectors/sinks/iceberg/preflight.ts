/** What must be true of the warehouse before a Iceberg sink starts. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../../runtime/api/config.ts';
import { warehousePath } from '../tables/options.ts';
import type { IcebergConfig } from './config.ts';

/** The warehouse can be written to and has hard links, by which commits are made atomic. */
export async function icebergPreflight(config: IcebergConfig): Promise<readonly Problem[]> {
  const folder = warehousePath(config.warehouse);
  if (/^[a-z][a-z0-9+.-]*:/i.test(folder)) return [{ option: 'warehouse', message: `Only local paths are supported so far, not ${folder.split(':')[0] ?? ''}:` }];
  const probe = join(folder, `.${randomUUID()}.probe`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, '');
    await link(probe, `${probe}.link`);
    return [];
  } catch (error) {
    return [{ option: 'warehouse', message: `Folder ${folder} cannot be written to or lacks hard links (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}): choose another, or give this user write access` }];
  } finally { for (const name of [probe, `${probe}.link`]) await unlink(name).catch(() => undefined); }
}
