/**
 * Writes the few objects of Java that keys are made of, as its serialisation does (Java Object Serialization
 * Specification, 6.4.2). A class is described once and referred to after that; what stands in {@link CLASSES} are the
 * names, serial numbers and fields of the classes themselves.
 */
import { encodeJavaText } from '../../capture/java-text.ts';

/** A value of one of the classes below. */
export type JavaScalar =
  | { readonly type: 'Integer' | 'Long'; readonly value: bigint }
  | { readonly type: 'Float' | 'Double'; readonly value: number }
  | { readonly type: 'Boolean'; readonly value: boolean }
  | { readonly type: 'Bytes'; readonly value: Buffer }
  | { readonly type: 'Date'; readonly millis: bigint }
  | { readonly type: 'String'; readonly value: string }
  | { readonly type: 'UUID'; readonly most: bigint; readonly least: bigint }
  | { readonly type: 'Decimal'; readonly unscaled: bigint; readonly scale: number };

interface JavaClass { readonly suid: bigint; readonly flags: number; readonly fields: readonly (readonly [code: string, name: string, type?: string])[]; readonly parent?: string }
const NUMBER = 'java.lang.Number', BIG_INTEGER = 'java.math.BigInteger', BIG_DECIMAL = 'java.math.BigDecimal', DATE = 'java.util.Date';
const CLASSES: Readonly<Record<string, JavaClass>> = {
  '[Ljava.lang.Object;': { suid: 0x90ce589f1073296cn, flags: 2, fields: [] },
  '[B': { suid: 0xacf317f8060854e0n, flags: 2, fields: [] },
  [NUMBER]: { suid: 0x86ac951d0b94e08bn, flags: 2, fields: [] },
  'java.lang.Float': { suid: 0xdaedc9a2db3cf0ecn, flags: 2, fields: [['F', 'value']], parent: NUMBER },
  'java.lang.Double': { suid: 0x80b3c24a296bfb04n, flags: 2, fields: [['D', 'value']], parent: NUMBER },
  'java.lang.Integer': { suid: 0x12e2a0a4f7818738n, flags: 2, fields: [['I', 'value']], parent: NUMBER },
  'java.lang.Long': { suid: 0x3b8be490cc8f23dfn, flags: 2, fields: [['J', 'value']], parent: NUMBER },
  'java.lang.Boolean': { suid: 0xcd207280d59cfaeen, flags: 2, fields: [['Z', 'value']] },
  'java.util.UUID': { suid: 0xbc9903f7986d852fn, flags: 2, fields: [['J', 'leastSigBits'], ['J', 'mostSigBits']] },
  [BIG_INTEGER]: { suid: 0x8cfc9f1fa93bfb1dn, flags: 3, fields: [['I', 'bitCount'], ['I', 'bitLength'], ['I', 'firstNonzeroByteNum'], ['I', 'lowestSetBit'], ['I', 'signum'], ['[', 'magnitude', '[B']], parent: NUMBER },
  [BIG_DECIMAL]: { suid: 0x54c71557f981284fn, flags: 3, fields: [['I', 'scale'], ['L', 'intVal', 'Ljava/math/BigInteger;']], parent: NUMBER },
  [DATE]: { suid: 0x686a81014b597419n, flags: 3, fields: [] },
  'java.sql.Date': { suid: 0x14fa46683f356697n, flags: 2, fields: [], parent: DATE },
};

const NULL = 0x70, REFERENCE = 0x71, CLASS = 0x72, OBJECT = 0x73, STRING = 0x74, ARRAY = 0x75, BLOCK = 0x77, END = 0x78, LONG_STRING = 0x7c;
const FIRST_HANDLE = 0x7e0000;

/** An `Object[]` of them, or the null in its place. */
export function writeJavaArray(values: readonly JavaScalar[] | undefined): Buffer {
  const writer = new Writer();
  if (values === undefined) writer.u8(NULL);
  else {
    writer.u8(ARRAY);
    writer.describe('[Ljava.lang.Object;');
    writer.handle();
    writer.i32(values.length);
    for (const value of values) writer.scalar(value);
  }
  return writer.bytes();
}

class Writer {
  private readonly parts: Buffer[] = [Buffer.from([0xac, 0xed, 0, 5])];
  private readonly known = new Map<string, number>();
  private next = FIRST_HANDLE;

  bytes(): Buffer { return Buffer.concat(this.parts); }
  u8(value: number): void { this.parts.push(Buffer.from([value])); }
  private u16(value: number): void { const part = Buffer.alloc(2); part.writeUInt16BE(value); this.parts.push(part); }
  i32(value: number): void { const part = Buffer.alloc(4); part.writeInt32BE(value); this.parts.push(part); }
  private i64(value: bigint): void { const part = Buffer.alloc(8); part.writeBigInt64BE(BigInt.asIntN(64, value)); this.parts.push(part); }
  private name(text: string): void { const body = encodeJavaText(text); this.u16(body.length); this.parts.push(body); }
  handle(): number { return this.next++; }

  private string(text: string): void {
    const body = encodeJavaText(text);
    this.u8(body.length > 0xffff ? LONG_STRING : STRING);
    if (body.length > 0xffff) this.i64(BigInt(body.length)); else this.u16(body.length);
    this.parts.push(body);
    this.handle();
  }

  /** True, and the reference written, when it was written before. */
  private refer(name: string): boolean {
    const handle = this.known.get(name);
    if (handle === undefined) { this.known.set(name, this.next); return false; }
    this.u8(REFERENCE);
    this.i32(handle);
    return true;
  }

  describe(name: string): void {
    const one = CLASSES[name];
    if (one === undefined) throw new RangeError(`class ${name} is not known`);
    if (this.refer(name)) return;
    this.u8(CLASS);
    this.name(name);
    this.i64(one.suid);
    this.handle();
    this.u8(one.flags);
    this.u16(one.fields.length);
    for (const [code, field, type] of one.fields) {
      this.parts.push(Buffer.from(code, 'latin1'));
      this.name(field);
      if (type !== undefined && !this.refer(`type ${type}`)) this.string(type);
    }
    this.u8(END);
    if (one.parent === undefined) this.u8(NULL); else this.describe(one.parent);
  }

  private object(name: string): void { this.u8(OBJECT); this.describe(name); this.handle(); }

  scalar(value: JavaScalar): void {
    switch (value.type) {
      case 'String': this.string(value.value); return;
      case 'Bytes': this.byteArray(value.value); return;
      case 'Decimal': this.decimal(value.unscaled, value.scale); return;
      case 'Date': this.object('java.sql.Date'); this.parts.push(Buffer.from([BLOCK, 8])); this.i64(value.millis); this.u8(END); return;
      case 'UUID': this.object('java.util.UUID'); this.i64(value.least); this.i64(value.most); return;
      default: this.object(`java.lang.${value.type}`);
    }
    switch (value.type) {
      case 'Integer': this.i32(Number(value.value)); return;
      case 'Long': this.i64(value.value); return;
      case 'Boolean': this.u8(value.value ? 1 : 0); return;
      case 'Float': { const part = Buffer.alloc(4); part.writeFloatBE(value.value); this.parts.push(part); return; }
      case 'Double': { const part = Buffer.alloc(8); part.writeDoubleBE(value.value); this.parts.push(part); }
    }
  }

  private byteArray(bytes: Buffer): void {
    this.u8(ARRAY);
    this.describe('[B');
    this.handle();
    this.i32(bytes.length);
    this.parts.push(bytes);
  }

  private decimal(unscaled: bigint, scale: number): void {
    this.object(BIG_DECIMAL);
    this.i32(scale);
    this.object(BIG_INTEGER);
    // Of the first four only their marks for "not known" are read back, the rest is the number itself.
    for (const mark of [-1, -1, -2, -2]) this.i32(mark);
    this.i32(unscaled === 0n ? 0 : unscaled < 0n ? -1 : 1);
    const hex = (unscaled < 0n ? -unscaled : unscaled).toString(16);
    this.byteArray(unscaled === 0n ? Buffer.alloc(0) : Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
    this.u8(END);
    this.u8(END);
  }
}
