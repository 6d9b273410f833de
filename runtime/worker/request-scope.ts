/** What the REST request that is being served brought along for a worker that may have to forward it. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface RequestScope {
  /** Connect's `forward` parameter: undefined from a user; `true`, `false`: forwarded already, and whether it may be once more. */
  readonly forward: boolean | undefined;
  readonly authorization: string | undefined;
}
export const requestScope = new AsyncLocalStorage<RequestScope>();
