import { defineConfig } from 'vitest/config';

const servers = ['tests/**/*.postgres.test.ts', 'tests/**/*.kafka.test.ts'];
const whole = ['tests/conformance/**/*.test.ts', 'tests/end-to-end/**/*.test.ts'];
const long = process.env['TRIBUTARY_LONG'] === '1';

/** Three projects: `unit` needs nothing, `servers` starts real servers, `whole` runs workers and builds of ours (dist). */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['tests/**/*.test.ts'], exclude: [...servers, ...whole], testTimeout: 20_000 } },
      { test: { name: 'servers', include: servers, exclude: whole, testTimeout: 120_000, hookTimeout: 180_000 } },
      { test: { name: 'whole', include: whole, testTimeout: long ? 7_200_000 : 900_000, hookTimeout: 600_000, fileParallelism: false } },
    ],
    maxWorkers: 2,
  },
});
