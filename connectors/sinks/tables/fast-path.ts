/** Envelope bytes → columns without values in between, for what a compiled parser knows; everything else goes the general way. */
import type { SinkBatch } from '../../../runtime/api/plugin.ts';
import { compileEnvelope, type EnvelopeParser } from './envelope-parser.ts';
import type { NameFacts } from './table-name.ts';
import type { Binding } from './binding.ts';
import type { TableWriter } from './table-writer.ts';

/** Parsers by topic, learnt from the records that went the general way. */
export class FastPath {
  private readonly parsers = new Map<string, EnvelopeParser>();

  /** The parser for records of this batch, when there is one. What {@link learn} and {@link forget} do may change it. */
  parserOf({ json, topic }: SinkBatch): EnvelopeParser | undefined { return json === undefined ? undefined : this.parsers.get(topic); }

  learn(batch: SinkBatch, i: number, writer: TableWriter, binding: Binding, facts: NameFacts): void {
    const { json } = batch;
    if (json === undefined) return;
    // A record that the parser left to the general way, not one that it does not know.
    if (this.parsers.get(batch.topic)?.knows(json, i, binding) === true) return;
    const parser = compileEnvelope(json, i, writer, binding, facts);
    if (parser !== undefined) this.parsers.set(batch.topic, parser);
  }

  /** A table's columns may have changed: parsers for the old ones go. */
  forget(writer: TableWriter): void { for (const [topic, parser] of this.parsers) if (parser.writer === writer && !writer.holds(parser.binding)) this.parsers.delete(topic); }
}
