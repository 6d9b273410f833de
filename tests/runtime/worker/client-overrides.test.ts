import { describe, expect, test } from 'vitest';
import { clientOverrides, overrideProblems } from '../../../runtime/worker/client-overrides.ts';

const config = { name: 'c', 'producer.override.acks': 'all', 'consumer.override.sasl.jaas.config': 'x', 'admin.override.client.id': 'a' };
const policy = (name: string, more: Readonly<Record<string, string>> = {}): readonly string[] => overrideProblems(config, { 'connector.client.config.override.policy': name, ...more }).map(({ option }) => option);

describe('overrides of Kafka clients', () => {
  test('are told apart by client, without their prefix', () => {
    expect(clientOverrides(config)).toEqual({ producer: { acks: 'all' }, consumer: { 'sasl.jaas.config': 'x' }, admin: { 'client.id': 'a' } });
  });

  test('obey each of the four policies, by alias and by class', () => {
    expect(policy('None')).toEqual(['producer.override.acks', 'consumer.override.sasl.jaas.config', 'admin.override.client.id']);
    expect(policy('Principal')).toEqual(['producer.override.acks', 'admin.override.client.id']);
    expect(policy('org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy')).toEqual(policy('Principal'));
    expect(policy('Allowlist', { 'connector.client.config.override.allowlist': 'acks, client.id' })).toEqual(['consumer.override.sasl.jaas.config']);
    expect(policy('All')).toEqual([]);
    expect(overrideProblems(config, {})).toEqual([]);
  });

  test('are refused in Connect\'s words', () => {
    expect(overrideProblems({ 'producer.override.acks': '1' }, { 'connector.client.config.override.policy': 'None' })).toEqual([{ option: 'producer.override.acks', message: 'The \'None\' policy does not allow \'acks\' to be overridden in the connector configuration.' }]);
    expect(() => policy('com.example.Mine')).toThrow(/override\.policy/);
  });
});
