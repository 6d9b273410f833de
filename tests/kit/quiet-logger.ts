import type { Logger } from '../../runtime/api/logger.ts';

/** Says nothing. */
export const quietLogger: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quietLogger };
