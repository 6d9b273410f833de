import { HttpError, httpError } from '../errors.ts';
import { type Answer, empty, param, type RestContext, type RestRequest, type Route } from '../route.ts';
import { readTaskConfigs } from '../schemas/connector-requests.ts';
import type { ClusterRequests, InternalRequest, RefusedRequest } from '../../runtime/worker/herder.ts';

function requestOf({ body, header }: RestRequest): InternalRequest {
  return { body, signature: header('x-connect-authorization'), algorithm: header('x-connect-request-signature-algorithm') };
}
/** A worker that is alone has no such requests. */
function clusterOf({ herder }: RestContext): ClusterRequests {
  if (herder.cluster === undefined) throw httpError(404);
  return herder.cluster;
}
async function answered(work: Promise<RefusedRequest | undefined>): Promise<Answer> {
  const refused = await work;
  if (refused !== undefined) throw new HttpError(refused.status, refused.message);
  return empty(204);
}

/** What the workers of a cluster ask of their leader; signed with the cluster's session key. */
export const clusterRoutes: readonly Route[] = [
  { method: 'POST', path: '/connectors/:name/tasks', doc: 'Between workers, signed: task configurations for the leader to write.', json: true, handle: (request, context) => answered(clusterOf(context).putTaskConfigs(param(request, 'name'), readTaskConfigs(request.body), requestOf(request))) },
  { method: 'PUT', path: '/connectors/:name/fence', doc: 'Between workers, signed: shuts out earlier tasks of an exactly-once source.', handle: (request, context) => answered(clusterOf(context).fence(param(request, 'name'), requestOf(request))) },
];
