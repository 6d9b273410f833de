/**
 * `npm run check`: what is looked at before each commit, in less than a minute: types, lint, promises, dead code, the
 * import table and the unit tests. The unit tests run beside all else. The exit status is 1 when a step found something.
 */
import { install, runNodeBeside, tools } from './tools.mjs';

install();
const lanes = [
  [['unit tests (vitest)', tools.vitest, ['run', '--project', 'unit', '--reporter=dot']]],
  [
    ['lint (biome)', tools.biome, ['lint', '.']],
    ['types (tsc)', tools.tsc, ['-p', 'tsconfig.json', '--noEmit']],
    ['promises (eslint)', tools.eslint, ['.', '--cache', '--cache-location', '.cache/eslint']],
    ['dead code (knip)', tools.knip, ['--no-progress']],
  ],
];
const failed = [];
await Promise.all(lanes.map(async lane => {
  for (const [title, tool, args] of lane) if (await runNodeBeside(title, tool, args) !== 0) failed.push(title);
}));
process.stdout.write(failed.length === 0 ? '\ncheck: all well\n' : `\ncheck: ${failed.join(', ')} found something\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
