/** `npm run docs`: writes docs/reference anew. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../kit/worker.ts';
import { referencePages } from './pages.ts';

const folder = join(projectRoot, 'docs/reference');
mkdirSync(folder, { recursive: true });
const pages = await referencePages(projectRoot);
for (const old of readdirSync(folder)) if (!pages.some(({ name }) => name === old)) rmSync(join(folder, old));
for (const { name, text } of pages) writeFileSync(join(folder, name), text);
process.stdout.write(`${pages.length} pages in docs/reference\n`);
