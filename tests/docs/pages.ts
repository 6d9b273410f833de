/** The reference pages, made from what the program declares. `npm run docs` writes them; tests/docs.test.ts compares. */
import { connectors } from '../../connectors/index.ts';
import { restConfig } from '../../rest/config.ts';
import { metricTexts } from '../../rest/metric-texts.ts';
import { adminRoutes, mainRoutes } from '../../rest/routes.ts';
import { defineConfig } from '../../runtime/api/config.ts';
import type { Plugin } from '../../runtime/api/plugin.ts';
import { kafkaClientConfig } from '../../runtime/log/kafka/client-config.ts';
import { consumerConfig, producerConfig } from '../../runtime/log/kafka/log-config.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from '../../runtime/worker/connector-config.ts';
import { partConfig, parts } from '../../runtime/worker/parts.ts';
import { workerConfig } from '../../runtime/worker/worker-config.ts';
import { errorsPage } from './errors-page.ts';
import { familyList, optionTables, table } from './options-page.ts';

const MADE = 'Made from the program by `npm run docs`; do not edit.';
export interface Page { /** Below docs/reference/. */ readonly name: string; readonly text: string }

const fileOf = (plugin: Plugin): string => {
  const [full, alias] = plugin.names;
  return `${alias ?? full.replace(/.*\.|Connector$/g, '').replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}.md`;
};
const titleOf = (plugin: Plugin): string => plugin.names[0].replace(/.*\./, '');

function pluginPage(plugin: Plugin): Page {
  const names = plugin.names.map(name => `\`${name}\``).join(' or ');
  return { name: fileOf(plugin), text: `# ${titleOf(plugin)}\n\n${MADE} A ${plugin.kind}: \`connector.class\` is ${names}. The options that every ${plugin.kind} has stand in [connectors.md](connectors.md).\n\n${optionTables(plugin.config)}${familyList(plugin.config)}\n` };
}

function connectorsPage(plugins: readonly Plugin[]): Page {
  const { options: source } = sourceConnectorConfig, { options: sink } = sinkConnectorConfig;
  const only = (mine: typeof sinkConnectorConfig.options | typeof sourceConnectorConfig.options, other: object, both: boolean) => defineConfig(Object.fromEntries(Object.entries(mine).filter(([name]) => name in other === both)));
  return { name: 'connectors.md', text: `# Connectors\n\n${MADE}\n\n${table(['class', 'kind', 'options'], plugins.map(plugin => [`\`${plugin.names[0]}\``, plugin.kind, `[${fileOf(plugin)}](${fileOf(plugin)})`]))}

## Options of every connector

${optionTables(only(source, sink, true), 3)}

## Options of every source

${optionTables(only(source, sink, false), 3)}

## Options of every sink

${optionTables(only(sink, source, false), 3)}
` };
}

function kafkaPage(): Page {
  return { name: 'kafka.md', text: `# Kafka as the engine\n\n${MADE} With \`bootstrap.servers\` in the worker file records lie in Kafka's topics and sinks' positions in its consumer groups (\`connect-<name>\`); \`log.dir\` keeps what is this worker's own. The keys below are Kafka's. Those of connection and security stand in the worker file as they are and hold for all clients; \`producer.\`, \`consumer.\` and \`admin.\` in front of a key set it for the clients of connectors; \`producer.override.\` and so on in a connector set it for that one, where \`connector.client.config.override.policy\` (\`All\`, \`None\`, \`Principal\`, \`Allowlist\` with \`connector.client.config.override.allowlist\`) allows it. Topics are made by the connector's \`topic.creation.\` keys, or by the brokers where those make topics by themselves.\n\n${optionTables(kafkaClientConfig)}\n\n${optionTables(producerConfig)}\n\n${optionTables(consumerConfig)}\n` };
}

function workerPage(): Page {
  return { name: 'worker.md', text: `# The worker file\n\n${MADE} A \`.properties\` file, the first argument of \`tributary standalone\`. Values may be references: \`\${env:NAME}\`, \`\${file:/path:key}\`, \`\${dir:/path:file}\`. A key that nobody knows is named on standard error; one that is nearly a known one ends the start.\n\n${optionTables(workerConfig)}\n\n${optionTables(restConfig)}${familyList(workerConfig)}\n` };
}

function partsPage(name: string, title: string, types: readonly string[], intro: string): Page {
  const sections = parts.filter(({ type }) => types.includes(type)).map(part => `## ${part.name.replace(/.*\./, '')}\n\n\`${part.name}\`\n\n${optionTables(partConfig(part.name)?.config ?? defineConfig({}), 3)}`);
  return { name, text: `# ${title}\n\n${MADE} ${intro}\n\n${[...new Set(sections)].join('\n\n')}\n` };
}

function restPage(): Page {
  const rows = (routes: typeof mainRoutes): (readonly string[])[] => routes.map(({ method, path, doc }) => [`${method} \`${path.replace(/:(\w+)/g, '{$1}')}\``, doc]);
  return { name: 'rest.md', text: `# REST\n\n${MADE} Paths, bodies, answers and messages are those of Kafka Connect 4.3; what differs stands in [compatibility.md](../compatibility.md). An error is \`{"error_code": 404, "message": "…"}\`. Every path answers OPTIONS, and HEAD where it answers GET.\n\n${table(['request', 'what it does'], rows(mainRoutes))}\n\nOn \`admin.listeners\` where those are set:\n\n${table(['request', 'what it does'], rows(adminRoutes))}\n` };
}

function metricsPage(): Page {
  const rows = Object.entries(metricTexts).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { kind, text, labels }]) => [`\`tributary_${name}${kind === 'counter' ? '_total' : ''}\``, kind, labels.map(label => `\`${label}\``).join(', '), text]);
  return { name: 'metrics.md', text: `# Metrics\n\n${MADE} \`GET /metrics\` gives them in Prometheus' text form. Each has the labels \`connector\` and, but for \`connector_state\`, \`task\`; what a task reports is at most 0.5 s old. The process's own (\`tributary_process_…\`, \`tributary_nodejs_…\`) come from prom-client.\n\n${table(['name', 'kind', 'further labels', 'meaning'], rows)}\n` };
}

/** All pages. `root` is the folder of package.json. */
export async function referencePages(root: string): Promise<readonly Page[]> {
  const plugins = await Promise.all(connectors.map(load => load()));
  return [
    connectorsPage(plugins), ...plugins.map(pluginPage), workerPage(), kafkaPage(), restPage(), metricsPage(),
    partsPage('converters.md', 'Converters', ['converter', 'header_converter'], 'Options are written behind the role: `value.converter.schemas.enable=false`.'),
    partsPage('transforms.md', 'Transforms and predicates', ['transformation', 'predicate'], 'Options are written behind the alias: `transforms.unwrap.add.fields=op`.'),
    { name: 'errors.md', text: errorsPage(root) },
  ];
}
