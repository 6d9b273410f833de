/** Actions of a Delta log: one JSON object a line. https://github.com/delta-io/delta/blob/master/PROTOCOL.md */
export interface DeletionVector { readonly storageType: 'u' | 'i' | 'p'; readonly pathOrInlineDv: string; readonly offset?: number; readonly sizeInBytes: number; readonly cardinality: number }
export interface AddFile {
  /** Relative to the table, percent-encoded. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string>>;
  readonly size: number;
  readonly modificationTime: number;
  readonly dataChange: boolean;
  readonly stats?: string;
  readonly deletionVector?: DeletionVector;
}
export interface RemoveFile {
  readonly path: string;
  readonly deletionTimestamp: number;
  readonly dataChange: boolean;
  readonly extendedFileMetadata: boolean;
  readonly partitionValues: Readonly<Record<string, string>>;
  readonly size: number;
  readonly deletionVector?: DeletionVector;
}
export interface Metadata {
  readonly id: string;
  readonly format: { readonly provider: string; readonly options: Readonly<Record<string, string>> };
  readonly schemaString: string;
  readonly partitionColumns: readonly string[];
  readonly configuration: Readonly<Record<string, string>>;
  readonly createdTime: number;
}
export interface Protocol { readonly minReaderVersion: number; readonly minWriterVersion: number; readonly readerFeatures?: readonly string[]; readonly writerFeatures?: readonly string[] }
export interface Transaction { readonly appId: string; readonly version: number; readonly lastUpdated?: number }
export interface CommitInfo { readonly timestamp: number; readonly operation: string; readonly operationParameters: Readonly<Record<string, string>>; readonly engineInfo: string; readonly txnId: string; readonly isBlindAppend: boolean; readonly operationMetrics?: Readonly<Record<string, string>> }
/** Exactly one member is set. */
export interface Action {
  readonly commitInfo?: CommitInfo;
  readonly protocol?: Protocol;
  readonly metaData?: Metadata;
  readonly add?: AddFile;
  readonly remove?: RemoveFile;
  readonly txn?: Transaction;
}

export function encodeActions(actions: readonly Action[]): string { return `${actions.map(action => JSON.stringify(action)).join('\n')}\n`; }
/** Members that we do not know are left alone. Throws SyntaxError. */
export function decodeActions(text: string): readonly Action[] { return text.split('\n').filter(line => line.trim() !== '').map(line => JSON.parse(line) as Action); }

/** `00000000000000000012`. */
export function versionName(version: number): string { return String(version).padStart(20, '0'); }

/** Identity of an add or remove: the same file with another deletion vector is another logical file. */
export function fileKey({ path, deletionVector }: AddFile | RemoveFile): string {
  return deletionVector === undefined ? path : `${path}\u0000${deletionVector.storageType}${deletionVector.pathOrInlineDv}@${deletionVector.offset ?? ''}`;
}
