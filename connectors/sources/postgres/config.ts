/** Options of the PostgreSQL source, under Debezium's names and with Debezium's defaults (reference, connector properties). */
import { type ConfigOf, defineConfig, type Problem } from '../../../runtime/api/config.ts';
import { captureOptions } from './config/capture.ts';
import { eventsOptions } from './config/events.ts';
import { extensionProblems } from './config/extensions.ts';
import { serverOptions } from './config/server.ts';
import { streamParameterProblems } from './config/stream-parameters.ts';
import { unlistedOptions } from './config/unlisted.ts';

const PAIRS = ['schema', 'table', 'column', 'message.prefix'] as const;

export const postgresConfig = defineConfig({ ...serverOptions, ...captureOptions, ...eventsOptions, ...unlistedOptions }, {
  check: (config, extra) => {
    const problems: Problem[] = [];
    for (const kind of PAIRS) {
      if (config[`${kind}.include.list`] !== undefined && config[`${kind}.exclude.list`] !== undefined) problems.push({ option: `${kind}.exclude.list`, message: `The '${kind}.exclude.list' value is invalid: "${kind}.include.list" is already specified` });
    }
    if (config['max.queue.size'] <= config['max.batch.size']) problems.push({ option: 'max.queue.size', message: "The 'max.queue.size' value is invalid: Must be larger than the maximum batch size" });
    if (config['notification.enabled.channels']?.includes('sink') === true && config['notification.sink.topic.name'] === undefined) problems.push({ option: 'notification.sink.topic.name', message: "The 'notification.sink.topic.name' value is invalid: Notification topic name must be provided when kafka notification channel is enabled" });
    if (config['message.key.columns'] !== undefined && !/^\s*([^\s:;]|[^:;])+:[^:;]+(;([^:;])+:[^:;]+)*;?\s*$/.test(config['message.key.columns'])) problems.push({ option: 'message.key.columns', message: `The 'message.key.columns' value is invalid: ${config['message.key.columns']} has an invalid format (expecting '[^\\s:;]+:[^;]+')` });
    for (const mode of ['snapshot.mode', 'snapshot.locking.mode', 'snapshot.query.mode'] as const) {
      if (config[mode] === 'custom') problems.push({ option: mode, message: `The '${mode}' value is invalid: custom implementations are Java classes, which cannot be loaded here` });
    }
    problems.push(...extensionProblems(config, extra), ...streamParameterProblems(config['slot.stream.params']));
    if (config['openlineage.integration.enabled']) problems.push({ option: 'openlineage.integration.enabled', message: "The 'openlineage.integration.enabled' value is invalid: OpenLineage is not supported" });
    return problems;
  },
  wording: 'debezium',
  listed: ['converters', 'post.processors'],
  families: [/^column\.mask\.(with\.\d+\.chars|hash\..+\.with\.salt\..+)$/, /^column\.truncate\.to\.\d+\.chars$/, /^snapshot\.select\.statement\.overrides\..+/, /^topic\.creation\./, /^driver\./, /^signal\.consumer\./, /^internal\./],
});

export type PostgresConfig = ConfigOf<typeof postgresConfig>;
