/**
 * A table in pieces: ranges of its pages, in the order of the heap. Nothing is asked of the table, no key and no index,
 * and a page range costs what its pages cost.
 */
import type { CapturedTable } from '../captured-tables.ts';
import type { Change } from '../change.ts';
import { identifier, literal, qualified } from '../replication.ts';
import type { CatalogueTable, Query } from '../schema.ts';
import type { TableGauge } from './gauges.ts';
import { ALL_PAGES, type Range } from './progress.ts';

/** What the server knows of a table before it is read. */
export interface TableSize { readonly chunked: boolean; readonly pages: number; readonly allPages: number; readonly rows: number; readonly node: string }

/** Line pointers that a page of 8192 bytes can have at most. */
const TUPLES_PER_8K = 291;
/** Pages of a chunk where each of its row addresses has to be listed. */
const LISTED_PAGES = 256;

/** One query for all tables: 10,000 of them take no longer than the server needs to look. `allPages` counts TOAST too. */
export async function tableSizes(query: Query, tables: readonly CatalogueTable[], blockBytes: number): Promise<ReadonlyMap<number, TableSize>> {
  if (tables.length === 0) return new Map();
  const rows = await query(`SELECT oid, relkind = 'r', coalesce(pg_relation_size(oid), 0) / ${blockBytes}, coalesce(pg_table_size(oid), 0) / ${blockBytes}, greatest(reltuples, 0)::bigint, relfilenode
    FROM pg_class WHERE oid = ANY (${literal(`{${tables.map(({ oid }) => oid).join(',')}}`)}::oid[])`);
  return new Map(rows.map(([oid, chunked, pages, allPages, count, node]) => [Number(oid), { chunked: chunked === 't', pages: Number(pages), allPages: Number(allPages), rows: Number(count), node: node ?? '0' }]));
}

/** A table that is being read. */
export interface Job {
  readonly table: CapturedTable;
  readonly name: string;
  readonly gauge: TableGauge;
  /** The whole statement in place of the table, where the options give one. */
  readonly override: string | undefined;
  readonly size: TableSize;
  readonly pagesPerChunk: number;
  /** Ranges that an earlier run had begun, still to be handed out. */
  readonly again: Range[];
  /** First page that is not handed out; ALL_PAGES when all are. */
  next: number;
  running: number;
  /** Rows taken, in this run. */
  rows: number;
  /** An earlier run has sent rows of it. */
  readonly continued: boolean;
  held: Held | undefined;
  /** The table's file was replaced while it was read: what is still under way counts for nothing. */
  dropped: boolean;
}
export interface Chunk { readonly job: Job; readonly range: Range; rows: number; ended: boolean }
/** A row that is kept until its successor, or the end of its table, says what its marker is. */
export interface Held { readonly chunk: Chunk; readonly change: Change; readonly marker: string }

/** Pages that hold about as many bytes as `pages` of a table without TOAST. */
export function chunkPages(pages: number, { pages: own, allPages }: TableSize, version: number): number {
  const scaled = Math.max(1, Math.floor(pages * Math.max(1, own) / Math.max(1, allPages)));
  return version < 140_000 ? Math.min(scaled, LISTED_PAGES) : scaled;
}

/** The next range of a job, undefined when all are handed out. */
export function nextRange(job: Job): Range | undefined {
  const again = job.again.shift();
  if (again !== undefined) return again;
  if (job.next === ALL_PAGES) return undefined;
  const from = job.next;
  const last = !job.size.chunked || job.override !== undefined || from + job.pagesPerChunk >= job.size.pages;
  job.next = last ? ALL_PAGES : from + job.pagesPerChunk;
  return { from, to: last ? undefined : job.next };
}

/** The statement that reads one chunk. `condition` holds over the row versions to be read. */
export function chunkStatement({ table: { catalogue }, override, size }: Job, { from, to }: Range, condition: string | undefined, version: number, blockBytes: number): string {
  const columns = catalogue.columns.map(({ name }) => identifier(name)).join(', ');
  if (override !== undefined) return `SELECT ${columns} FROM (${override.replace(/;\s*$/, '')}) AS chosen`;
  const whole = !size.chunked || (from === 0 && to === undefined);
  const conditions = [...(whole ? [] : [pageCondition({ from, to }, size.pages, version, blockBytes)]), ...(condition === undefined ? [] : [condition])];
  return `SELECT ${columns} FROM ${qualified(catalogue)}${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`}`;
}

/** Before version 14 a range of row addresses is no access path, a list of them is. */
function pageCondition({ from, to }: Range, pages: number, version: number, blockBytes: number): string {
  if (version >= 140_000 || to === undefined && pages - from > 4 * LISTED_PAGES) return `ctid >= '(${from},0)'${to === undefined ? '' : ` AND ctid < '(${to},0)'`}`;
  const tuples = Math.ceil(TUPLES_PER_8K * blockBytes / 8192);
  return `ctid = ANY (ARRAY(SELECT format('(%s,%s)', page, place)::tid FROM generate_series(${from}, ${(to ?? Math.max(pages, from + 1)) - 1}) AS page, generate_series(1, ${tuples}) AS place))`;
}
