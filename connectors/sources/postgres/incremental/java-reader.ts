/**
 * Reads objects as Java's serialisation writes them (Java Object Serialization Specification, 6.4.2): the keys in
 * Debezium's offsets are `Object[]` in this form. Only data is built, no class is ever looked up.
 *
 *   stream:   magic version contents          contents: one of the type codes below and what belongs to it
 *   object:   TC_OBJECT classDesc, for each class from the topmost down its fields and, where it writes itself, annotation
 *   array:    TC_ARRAY classDesc size values
 *   class:    TC_CLASSDESC name suid flags fields annotation super
 */
import { DataError } from '../../../../runtime/api/errors.ts';
import { decodeJavaText } from '../../capture/java-text.ts';

export type JavaValue = null | boolean | number | bigint | string | JavaObject | readonly JavaValue[] | Buffer;
/** `fields` of all its classes; `written` what the classes wrote themselves, in order. */
export interface JavaObject { readonly type: string; readonly fields: ReadonlyMap<string, JavaValue>; readonly written: readonly JavaValue[] }

interface Field { readonly code: string; readonly name: string }
interface ClassDescription { readonly name: string; readonly flags: number; readonly fields: readonly Field[]; parent: ClassDescription | undefined }

const NULL = 0x70, REFERENCE = 0x71, CLASS = 0x72, OBJECT = 0x73, STRING = 0x74, ARRAY = 0x75, BLOCK = 0x77, END = 0x78, LONG_BLOCK = 0x7a, LONG_STRING = 0x7c, ENUM = 0x7e;
const WRITES_ITSELF = 1, SERIALIZABLE = 2, EXTERNALIZABLE = 4;
const FIRST_HANDLE = 0x7e0000;
/** Objects within objects: a stream is only as deep as a key's classes are. */
const MOST_DEPTH = 64;

/** The one value that a stream holds. Throws DataError JAVA_OBJECT. */
export function readJava(bytes: Buffer): JavaValue {
  try { return new Reader(bytes).stream(); } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new DataError(`not a serialised Java object: ${error.message}`, { code: 'JAVA_OBJECT', cause: error });
    throw error;
  }
}

class Reader {
  private readonly bytes: Buffer;
  private at = 0;
  private depth = 0;
  private readonly handles: (JavaValue | ClassDescription)[] = [];
  constructor(bytes: Buffer) { this.bytes = bytes; }

  stream(): JavaValue {
    if (this.u16() !== 0xaced || this.u16() !== 5) throw new RangeError('it does not begin as one');
    return this.content();
  }

  private u8(): number { const value = this.bytes.readUInt8(this.at); this.at += 1; return value; }
  private u16(): number { const value = this.bytes.readUInt16BE(this.at); this.at += 2; return value; }
  private i32(): number { const value = this.bytes.readInt32BE(this.at); this.at += 4; return value; }
  private i64(): bigint { const value = this.bytes.readBigInt64BE(this.at); this.at += 8; return value; }
  private take(length: number): Buffer {
    if (length < 0 || this.at + length > this.bytes.length) throw new RangeError('it ends too early');
    return this.bytes.subarray(this.at, this.at += length);
  }
  private text(): string { return this.utf(this.u16()); }
  private utf(length: number): string { return decodeJavaText(this.take(length)); }
  private keep<T extends JavaValue | ClassDescription>(value: T): T { this.handles.push(value); return value; }
  private referred(): JavaValue | ClassDescription {
    const found = this.handles[this.i32() - FIRST_HANDLE];
    if (found === undefined) throw new RangeError('it refers to what is not there');
    return found;
  }

  private content(): JavaValue {
    if (++this.depth > MOST_DEPTH) throw new RangeError('it is nested too deeply');
    try { return this.contentOf(this.u8()); } finally { this.depth--; }
  }
  private contentOf(code: number): JavaValue {
    switch (code) {
      case NULL: return null;
      case REFERENCE: return this.referred() as JavaValue;
      case STRING: return this.keep(this.text());
      case LONG_STRING: return this.keep(this.utf(Number(this.i64())));
      case BLOCK: return this.take(this.u8());
      case LONG_BLOCK: return this.take(this.i32());
      case OBJECT: return this.object();
      case ARRAY: return this.array();
      case ENUM: return this.enumeration();
      default: throw new RangeError(`it has a part of kind ${code}`);
    }
  }

  private classDescription(): ClassDescription | undefined {
    const code = this.u8();
    if (code === NULL) return undefined;
    if (code === REFERENCE) return this.referred() as ClassDescription;
    if (code !== CLASS) throw new RangeError(`it has a class of kind ${code}`);
    const name = this.text();
    this.i64();
    const fields: Field[] = [];
    const described: ClassDescription & { flags: number } = this.keep({ name, flags: 0, fields, parent: undefined });
    described.flags = this.u8();
    for (let left = this.u16(); left > 0; left--) {
      const kind = String.fromCharCode(this.u8());
      fields.push({ code: kind, name: this.text() });
      if (kind === 'L' || kind === '[') this.content();
    }
    this.annotation();
    described.parent = this.classDescription();
    return described;
  }

  private annotation(): JavaValue[] {
    const written: JavaValue[] = [];
    while (this.bytes[this.at] !== END) written.push(this.content());
    this.at++;
    return written;
  }

  private object(): JavaObject {
    const described = this.classDescription();
    if (described === undefined) throw new RangeError('an object has no class');
    const fields = new Map<string, JavaValue>(), written: JavaValue[] = [];
    const made: JavaObject = { type: described.name, fields, written };
    this.keep(made);
    const lineage: ClassDescription[] = [];
    for (let one: ClassDescription | undefined = described; one !== undefined && lineage.length <= MOST_DEPTH; one = one.parent) lineage.unshift(one);
    for (const { flags, fields: own } of lineage) {
      if ((flags & SERIALIZABLE) !== 0) for (const { code, name } of own) fields.set(name, this.value(code));
      if ((flags & EXTERNALIZABLE) !== 0 || (flags & WRITES_ITSELF) !== 0) written.push(...this.annotation());
    }
    return made;
  }

  /** A constant, by its name. */
  private enumeration(): JavaObject {
    const described = this.classDescription();
    if (described === undefined) throw new RangeError('a constant has no class');
    const fields = new Map<string, JavaValue>();
    const made = this.keep<JavaObject>({ type: described.name, fields, written: [] });
    fields.set('name', this.content());
    return made;
  }

  private array(): JavaValue {
    const described = this.classDescription();
    const code = described?.name[1] ?? 'L';
    const values: JavaValue[] = [];
    const slot = this.handles.push(values) - 1;
    const size = this.i32();
    if (code === 'B') { const bytes = Buffer.from(this.take(size)); this.handles[slot] = bytes; return bytes; }
    if (size < 0 || size > this.bytes.length) throw new RangeError('an array is longer than the whole');
    for (let i = 0; i < size; i++) values.push(this.value(code));
    return values;
  }

  private value(code: string): JavaValue {
    switch (code) {
      case 'Z': return this.u8() !== 0;
      case 'B': { const value = this.bytes.readInt8(this.at); this.at += 1; return value; }
      case 'S': { const value = this.bytes.readInt16BE(this.at); this.at += 2; return value; }
      case 'C': return this.u16();
      case 'I': return this.i32();
      case 'J': return this.i64();
      case 'F': { const value = this.bytes.readFloatBE(this.at); this.at += 4; return value; }
      case 'D': { const value = this.bytes.readDoubleBE(this.at); this.at += 8; return value; }
      case 'L': case '[': return this.content();
      default: throw new RangeError(`a field is of kind ${code}`);
    }
  }
}
