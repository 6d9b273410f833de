/**
 * `node tests/start.mjs ENTRY arguments…`: installs and builds what is missing, then runs a compiled program of tests/,
 * bench/ or examples/ in this same process, so that Ctrl-C reaches it and nothing else.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, buildTests, install, root } from './tools.mjs';

const [entry = '', ...rest] = process.argv.slice(2);
install();
build();
buildTests();
const program = join(root, '.cache', 'tests', entry);
process.argv = [process.argv[0] ?? 'node', program, ...rest];
process.stdout.write('\n');
await import(pathToFileURL(program).href);
