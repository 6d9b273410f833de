/** What a Delta log says, action by action (PROTOCOL.md, "Action Reconciliation"). */
import { type Action, type AddFile, fileKey, type Metadata, type Protocol, type RemoveFile, type Transaction } from './actions.ts';

/** Commit ids that are kept for the question whether a commit arrived. */
const KEPT_COMMITS = 256;

export class LogState {
  version = -1;
  /** Milliseconds, of the newest commit. */
  timestamp = 0;
  protocol: Protocol | undefined;
  metadata: Metadata | undefined;
  /** Live files by path: a path is live with one deletion vector at a time. */
  readonly files = new Map<string, AddFile>();
  readonly removed = new Map<string, RemoveFile>();
  readonly transactions = new Map<string, Transaction>();
  readonly commits = new Set<string>();

  apply(version: number, actions: readonly Action[]): void {
    const added: AddFile[] = [];
    for (const action of actions) {
      if (action.protocol !== undefined) this.protocol = action.protocol;
      if (action.metaData !== undefined) this.metadata = action.metaData;
      if (action.txn !== undefined) this.transactions.set(action.txn.appId, action.txn);
      if (action.add !== undefined) added.push(action.add);
      if (action.remove !== undefined) this.remove(action.remove);
      if (action.commitInfo !== undefined) { this.timestamp = action.commitInfo.timestamp; this.remember(action.commitInfo.txnId); }
    }
    // A commit may name the same file with its old vector and with its new one, in any order: what is added stays.
    for (const file of added) { this.removed.delete(fileKey(file)); this.files.set(file.path, file); }
    this.version = version;
  }
  private remove(file: RemoveFile): void {
    const live = this.files.get(file.path);
    if (live !== undefined && fileKey(live) === fileKey(file)) this.files.delete(file.path);
    this.removed.set(fileKey(file), file);
  }
  private remember(id: string | undefined): void {
    if (id === undefined) return;
    this.commits.add(id);
    if (this.commits.size > KEPT_COMMITS) { const [oldest] = this.commits; if (oldest !== undefined) this.commits.delete(oldest); }
  }

  /** Removals before this time (milliseconds) are forgotten. */
  forgetRemoved(before: number): void { for (const [key, file] of this.removed) if (file.deletionTimestamp <= before) this.removed.delete(key); }

  /** Everything as actions, for a checkpoint. */
  actions(): readonly Action[] {
    return [
      ...(this.protocol === undefined ? [] : [{ protocol: this.protocol }]), ...(this.metadata === undefined ? [] : [{ metaData: this.metadata }]),
      ...[...this.transactions.values()].map(txn => ({ txn })), ...[...this.files.values()].map(add => ({ add })), ...[...this.removed.values()].map(remove => ({ remove })),
    ];
  }
}
