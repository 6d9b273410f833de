import type { RawJson } from '../../../runtime/api/plugin.ts';
import type { NameFacts } from './table-name.ts';
import type { Binding, TableWriter } from './table-writer.ts';

export interface EnvelopeParser { readonly writer: TableWriter; take(json: RawJson, i: number): boolean; rebind(): boolean }
export function compileEnvelope(_json: RawJson, _i: number, _writer: TableWriter, _binding: Binding, _facts: NameFacts): EnvelopeParser | undefined { return undefined; }
