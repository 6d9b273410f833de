/** Bodies of `POST /connectors` and of `…/config`. */
import { randomUUID } from 'node:crypto';
import type { ConnectorConfig, SourceSignal, TargetState } from '../../runtime/worker/herder.ts';
import { HttpError } from '../errors.ts';
import { badBody, javaTypes, readObject, readProperties } from './json-body.ts';

export interface CreateRequest { readonly name: string; readonly config: ConnectorConfig; readonly initialState: TargetState }

const FIELDS = ['config', 'name', 'initial_state'];
const STATES: readonly TargetState[] = ['RUNNING', 'PAUSED', 'STOPPED'];

/** Throws HttpError 500 with what Connect says of a body that it cannot use; Jackson stands behind the body for an unknown field, behind the value for a bad one. */
export function readCreateRequest(text: string): CreateRequest {
  const body = readObject(text, javaTypes.create, 'text');
  if (body === undefined) throw new HttpError(500, `Cannot invoke "${javaTypes.create}.name()" because "createRequest" is null`);
  const unknown = Object.keys(body).find(key => !FIELDS.includes(key));
  if (unknown !== undefined) {
    throw badBody(`Unrecognized field "${unknown}" (class ${javaTypes.create}), not marked as ignorable (3 known properties: "config", "name", "initial_state")`, text, text.trimEnd().length, ` (through reference chain: ${javaTypes.create}["${unknown}"])`);
  }
  const initialState = readState(body['initial_state'], text);
  const config = body['config'];
  if (config === undefined || config === null) throw new HttpError(500, 'Cannot invoke "java.util.Map.get(Object)" because "connectorConfig" is null');
  if (typeof config !== 'object' || Array.isArray(config)) throw badBody(`Cannot deserialize value of type \`${javaTypes.config}\` from ${Array.isArray(config) ? 'Array value (token `JsonToken.START_ARRAY`)' : 'String value (token `JsonToken.VALUE_STRING`)'}`, text, valueIndex(text, 'config'), ` (through reference chain: ${javaTypes.create}["config"])`);
  const properties = withoutNulls(readProperties(config, text));
  const name = body['name'];
  return { name: typeof name === 'string' ? name : properties['name'] ?? '', config: properties, initialState };
}

function readState(value: unknown, text: string): TargetState {
  if (value === undefined || value === null) return 'RUNNING';
  const state = STATES.find(one => one === String(value).toUpperCase());
  if (state !== undefined) return state;
  throw badBody(`Cannot construct instance of \`${javaTypes.initialState}\`, problem: No enum constant ${javaTypes.initialState.replace('$', '.')}.${String(value).toUpperCase()}`, text, valueIndex(text, 'initial_state') + JSON.stringify(value).length, ` (through reference chain: ${javaTypes.create}["initial_state"])`);
}

/** Where the value of the last member of that name begins. */
function valueIndex(text: string, key: string): number {
  const name = JSON.stringify(key);
  const after = text.lastIndexOf(name) + name.length;
  return after + (/^\s*:\s*/.exec(text.slice(after))?.[0].length ?? 0);
}

function withoutNulls(properties: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).filter((entry): entry is [string, string] => entry[1] !== null));
}

/** A whole configuration; null values are left out. */
export function readConfig(text: string): ConnectorConfig { return withoutNulls(readPatch(text)); }

/** Task configurations that another worker sends: an array of plain maps. Throws HttpError 400. */
export function readTaskConfigs(text: string): readonly ConnectorConfig[] {
  let body: unknown;
  try { body = JSON.parse(text); } catch { body = undefined; }
  const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!Array.isArray(body) || !body.every(isMap)) throw new HttpError(400, 'The body must be an array of task configurations');
  return body.map(config => Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null).map(([key, value]) => [key, String(value)])));
}

const SIGNALS = ['execute-snapshot', 'stop-snapshot', 'pause-snapshot', 'resume-snapshot', 'log'];
/** A signal; one without an id gets one. Throws HttpError 400. */
export function readSignal(text: string): SourceSignal {
  let body: unknown;
  try { body = JSON.parse(text); } catch { body = undefined; }
  const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(body)) throw new HttpError(400, 'The body must be a JSON object: {"id", "type", "data"}');
  const { id = randomUUID(), type, data = {} } = body;
  if (typeof type !== 'string' || !SIGNALS.includes(type)) throw new HttpError(400, `type must be one of ${SIGNALS.join(', ')}`);
  if (typeof id !== 'string') throw new HttpError(400, 'id must be a text');
  let members: unknown = data;
  if (typeof data === 'string') try { members = JSON.parse(data); } catch { members = undefined; }
  if (!isMap(members)) throw new HttpError(400, 'data must be a JSON object, or the text of one');
  return { id, type, data: members };
}

/** Changes to a configuration; null removes a key. */
export function readPatch(text: string): Readonly<Record<string, string | null>> {
  const body = readObject(text, javaTypes.config, 'text');
  if (body === undefined) throw new HttpError(500, 'Cannot invoke "java.util.Map.get(Object)" because "connectorConfig" is null');
  return readProperties(body, text);
}
