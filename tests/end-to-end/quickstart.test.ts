/** The README's first command as a process of its own: exit status 0 only when both tables equal the source. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../kit/worker.ts';

test('the quickstart ends with every row and value equal', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(projectRoot, 'tests', 'start.mjs'), 'examples/quickstart/run.js', '--seconds', '8'], { cwd: projectRoot, encoding: 'utf8', timeout: 300_000 });
  expect(`${stdout}${stderr}`).toContain('Every row and every value of the source is in both tables, and nothing else is.');
  expect(stdout.match(/^ {2}equal {4}(iceberg|delta)/gm)).toHaveLength(4);
  expect(status).toBe(0);
});
