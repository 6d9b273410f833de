-- public.orders as an Iceberg table, by Flink SQL over the topic cdc.public.orders. The names in ${} come from the environment.
-- debezium-json wants the old row of an update: ALTER TABLE orders REPLICA IDENTITY FULL at the source.

CREATE TABLE orders_changes (
  id BIGINT, customer_id INT, product STRING, amount STRING, updated_at BIGINT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'kafka',
  'topic' = 'cdc.public.orders',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP}',
  'properties.group.id' = 'flink-orders',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${SCAN_BOUNDED_MODE}',
  'format' = 'debezium-json'
);

CREATE CATALOG lake WITH ('type' = 'iceberg', 'catalog-type' = 'hadoop', 'warehouse' = '${WAREHOUSE}');

CREATE DATABASE IF NOT EXISTS lake.shop;

CREATE TABLE IF NOT EXISTS lake.shop.orders_flink (
  id BIGINT, customer_id INT, product STRING, amount DECIMAL(12, 2), updated_at TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('format-version' = '2', 'write.upsert.enabled' = 'true');

INSERT INTO lake.shop.orders_flink
SELECT id, customer_id, product, CAST(amount AS DECIMAL(12, 2)), CAST(TO_TIMESTAMP_LTZ(updated_at / 1000, 3) AS TIMESTAMP(3))
FROM orders_changes;
