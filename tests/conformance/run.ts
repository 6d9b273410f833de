/** `npm run conformance -- FOLDER…`: each folder is a case, or a connector's folder of cases. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres } from '../kit/postgres.ts';
import { replay } from './replay.ts';

const SHOWN = Number(process.env["SHOWN"] ?? 12);
const cases = process.argv.slice(2).flatMap(folder => (existsSync(join(folder, 'case.json')) ? [folder] : readdirSync(folder).map(name => join(folder, name)).filter(path => existsSync(join(path, 'case.json')))));
let failed = 0;
const waiting = [...cases];
const SERVERS = Number(process.env['SERVERS'] ?? 2);

/** Cases one after the other on a server of their own: they share database and slot names. */
async function lane(): Promise<void> {
  await using server = await startPostgres({ version: 15 });
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    const found = await replay(folder, server).catch((error: Error) => [`${error.name}: ${error.message}`]);
    if (found.length > 0) failed++;
    process.stdout.write(`${found.length === 0 ? 'equal ' : 'differs'} ${folder}\n${found.slice(0, SHOWN).map(line => `    ${line}\n`).join('')}${found.length > SHOWN ? `    … and ${found.length - SHOWN} more\n` : ''}`);
  }
}

await Promise.all(Array.from({ length: Math.min(SERVERS, cases.length) }, lane));
process.stdout.write(`${cases.length - failed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || cases.length === 0 ? 1 : 0;
