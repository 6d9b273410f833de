"""
Keeps the Iceberg table lake.shop.orders equal to public.orders, out of the topic cdc.public.orders.

A micro-batch may hold several changes of one key, and MERGE refuses a target row that matches twice, so the last change of
each key (the highest offset: a key stays in its partition) is taken first. A delete has no `after`, so its key comes from
`before`: coalesce(after, before).
"""
import os

from pyspark.sql import DataFrame, Window
from pyspark.sql.functions import coalesce, col, from_json, row_number
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType

from session import open_session, read_topic, run

TABLE = "lake.shop.orders"
# The source runs with decimal.handling.mode=string, and with JSON without schemas. updated_at is a timestamp with microseconds.
ROW = StructType([
    StructField("id", LongType()),
    StructField("customer_id", IntegerType()),
    StructField("product", StringType()),
    StructField("amount", StringType()),
    StructField("updated_at", LongType()),
])
ENVELOPE = StructType([StructField("before", ROW), StructField("after", ROW), StructField("op", StringType())])

spark = open_session("orders-merge")
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.shop")
spark.sql(f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (id BIGINT, customer_id INT, product STRING, amount DECIMAL(12,2), updated_at TIMESTAMP)
    USING iceberg TBLPROPERTIES ('format-version' = '2', 'write.merge.mode' = 'merge-on-read')
""")

changes = (
    read_topic(spark, "cdc.public.orders")
    .where(col("value").isNotNull())  # the tombstone behind a delete is for compaction alone
    .select(from_json(col("value").cast("string"), ENVELOPE).alias("change"), "partition", "offset")
    .where(col("change.op").isin("c", "u", "d", "r"))
    .select(coalesce("change.after", "change.before").alias("row"), col("change.op").alias("op"), "partition", "offset")
    .selectExpr(
        "row.id", "row.customer_id", "row.product", "CAST(row.amount AS DECIMAL(12,2)) AS amount",
        "timestamp_micros(row.updated_at) AS updated_at", "op", "offset",
    )
)


def merge(batch: DataFrame, _batch_id: int) -> None:
    newest = Window.partitionBy("id").orderBy(col("offset").desc())
    last = batch.withColumn("place", row_number().over(newest)).where("place = 1").drop("place", "offset")
    last.createOrReplaceTempView("changes")
    last.sparkSession.sql(f"""
        MERGE INTO {TABLE} AS target USING changes AS source ON target.id = source.id
        WHEN MATCHED AND source.op = 'd' THEN DELETE
        WHEN MATCHED THEN UPDATE SET customer_id = source.customer_id, product = source.product, amount = source.amount, updated_at = source.updated_at
        WHEN NOT MATCHED AND source.op != 'd' THEN
            INSERT (id, customer_id, product, amount, updated_at)
            VALUES (source.id, source.customer_id, source.product, source.amount, source.updated_at)
    """)


run(changes.writeStream.foreachBatch(merge), os.path.join(os.environ["CHECKPOINTS"], "orders"))
