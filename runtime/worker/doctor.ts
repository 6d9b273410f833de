/** `tributary doctor FILE…`: what a connector or worker would stumble over, found before it is started, with what mends it. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseConfig } from '../api/config-parse.ts';
import { HIDDEN } from '../api/config-infos.ts';
import type { ConfigDef, ConfigOf } from '../api/config.ts';
import { ConfigError, TributaryError } from '../api/errors.ts';
import type { Finding, Plugin } from '../api/plugin.ts';
import { configProviders, resolveProviders, resolveWorker } from '../config-providers.ts';
import { readConfigFile } from '../properties.ts';
import { connectorProblems } from './connector-validation.ts';
import { findPlugin } from './plugins.ts';
import { hideSecrets } from './secrets.ts';
import { workerConfig } from './worker-config.ts';

type Properties = Readonly<Record<string, string>>;
/** What was found in one file. */
export interface Diagnosis { readonly file: string; readonly kind: 'worker' | 'connector'; readonly name: string; readonly findings: readonly Finding[] }
export interface DoctorScope { readonly pluginsUrl: string; /** Longest look at one live system. */ readonly limitMs: number }

/** Looks at every file; a worker file among them also gives the converters of the connectors. Throws ConfigError for a file that cannot be read. */
export async function diagnose(files: readonly string[], scope: DoctorScope): Promise<readonly Diagnosis[]> {
  const read = files.map(file => ({ file, given: readConfigFile(file) }));
  const worker = read.find(({ given }) => given['connector.class'] === undefined && given['name'] === undefined)?.given ?? {};
  const found: Diagnosis[] = [];
  for (const { file, given } of read) {
    const isWorker = given === worker;
    const findings = await (isWorker ? Promise.resolve(attempt(() => workerFindings(given))) : connectorFindings(given, worker, scope).catch((error: unknown) => [broken(error)]));
    found.push({ file, kind: isWorker ? 'worker' : 'connector', name: given['name'] ?? '', findings: findings.map(finding => withoutSecrets(finding, given)) });
  }
  return found;
}

/** What was thrown, as a finding. Bugs pass. */
function broken(error: unknown): Finding {
  if (!(error instanceof TributaryError)) throw error;
  return { code: error.code, severity: 'error', option: /configuration (\S+?):|^(\S+): /.exec(error.message)?.slice(1).find(Boolean) ?? '', message: error.message, mend: error.hint ?? 'Correct the file.' };
}
function attempt(look: () => readonly Finding[]): readonly Finding[] { try { return look(); } catch (error) { return [broken(error)]; } }

const unknownOption = (option: string, nearest: string | undefined): Finding => ({ code: 'OPTION_UNKNOWN', severity: 'warning', option, message: `Nothing here knows the option ${option}`, mend: nearest === undefined ? 'Leave it out, if it was not meant for a Java class.' : `Did you mean ${nearest}?` });

function workerFindings(given: Properties): readonly Finding[] {
  const { config, problems, unknown } = parseConfig(workerConfig, resolveWorker(given));
  const found: Finding[] = problems.map(({ option, message }) => ({ code: 'WORKER_CONFIG', severity: 'error', option, message, mend: 'Correct the worker file.' }));
  for (const { option, nearest } of unknown) found.push({ ...unknownOption(option, nearest), ...(nearest !== undefined && { severity: 'error' as const }) });
  if (config === undefined) return found;
  let folder = resolve(config['log.dir']);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try { accessSync(folder, constants.W_OK | constants.X_OK); } catch {
    found.push({ code: 'LOG_DIR', severity: 'error', option: 'log.dir', message: `This user may not write to ${folder}`, mend: `Give this user the directory (chown), or choose another log.dir.` });
  }
  return found;
}

async function connectorFindings(given: Properties, worker: Properties, scope: DoctorScope): Promise<readonly Finding[]> {
  const config = resolveProviders(given, configProviders(worker));
  const problems = await connectorProblems(given, { pluginsUrl: scope.pluginsUrl, properties: worker }, AbortSignal.timeout(scope.limitMs), false);
  const plugin = await findPlugin(scope.pluginsUrl, config['connector.class'] ?? '');
  const found: Finding[] = problems.map(({ option, message }) => ({ code: 'CONFIG_INVALID', severity: 'error', option, message, mend: `Correct ${option}.` }));
  if (given['name'] === undefined) found.push({ code: 'CONNECTOR_NAME', severity: 'error', option: 'name', message: 'The connector has no name', mend: 'Add name=… to the file.' });
  const own = parseConfig(plugin.config, config);
  for (const { option, nearest } of own.unknown) found.push(unknownOption(option, nearest));
  return own.config === undefined ? found : [...found, ...await live(plugin, own.config, scope.limitMs)];
}

async function live(plugin: Plugin, config: ConfigOf<ConfigDef>, limitMs: number): Promise<readonly Finding[]> {
  const signal = AbortSignal.timeout(limitMs);
  const looked = plugin.diagnose !== undefined ? plugin.diagnose(config, signal)
    : (plugin.preflight?.(config, signal) ?? Promise.resolve([])).then(problems => problems.map(({ option, message }): Finding => ({ code: 'PREFLIGHT', severity: 'error', option, message, mend: `Correct ${option}, or what it names.` })));
  const late = new Promise<readonly Finding[]>(done => {
    signal.addEventListener('abort', () => { done([{ code: 'DOCTOR_TIMEOUT', severity: 'error', option: 'connector.class', message: `The system did not answer within ${limitMs / 1000} s`, mend: 'Check the network to it, or give it more time with --timeout.' }]); }, { once: true });
  });
  return Promise.race([looked, late]);
}

/** No value of an option that holds a secret stands in what is printed, whoever worded it. */
function withoutSecrets(finding: Finding, given: Properties): Finding {
  const resolved = attemptResolve(given);
  const masked = hideSecrets(resolved, new Set());
  const secrets = Object.keys(resolved).filter(key => masked[key] === HIDDEN).map(key => resolved[key] ?? '').filter(value => value.length > 3);
  const clean = (text: string): string => secrets.reduce((all, secret) => all.replaceAll(secret, HIDDEN), text);
  return { ...finding, message: clean(finding.message), mend: clean(finding.mend) };
}
function attemptResolve(given: Properties): Properties { try { return resolveProviders(given); } catch (error) { if (error instanceof ConfigError) return given; throw error; } }

/** For a person: one paragraph a finding, the errors first. */
export function reportText(diagnoses: readonly Diagnosis[]): string {
  const lines: string[] = [];
  let errors = 0, warnings = 0;
  for (const { file, kind, name, findings } of diagnoses) {
    lines.push(`${file}  (${kind}${name === '' ? '' : ` ${name}`})`);
    if (findings.length === 0) lines.push('  nothing found');
    for (const { severity, code, option, message, mend } of [...findings].sort((a, b) => a.severity.localeCompare(b.severity))) {
      if (severity === 'error') errors++; else warnings++;
      lines.push(`  ${severity.padEnd(7)}  ${code}  ${option}`, `           ${message}`, `           ${mend}`);
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n${errors} error${errors === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}`;
}
export const hasErrors = (diagnoses: readonly Diagnosis[]): boolean => diagnoses.some(({ findings }) => findings.some(({ severity }) => severity === 'error'));
