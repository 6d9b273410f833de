"""Appends the events of the topic user-events that have an id to the Iceberg table lake.shop.user_events."""
import os

from pyspark.sql.functions import col, from_json
from pyspark.sql.types import DoubleType, StringType, StructField, StructType, TimestampType

from session import open_session, read_topic, run

TABLE = "lake.shop.user_events"
EVENT = StructType([
    StructField("event_id", StringType()),
    StructField("user_id", StringType()),
    StructField("action", StringType()),
    StructField("amount", DoubleType()),
    StructField("event_time", TimestampType()),
])

spark = open_session("user-events")
spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.shop")
spark.sql(f"CREATE TABLE IF NOT EXISTS {TABLE} (event_id STRING, user_id STRING, action STRING, amount DOUBLE, event_time TIMESTAMP) USING iceberg")

events = (
    read_topic(spark, "user-events")
    .select(from_json(col("value").cast("string"), EVENT).alias("event"))
    .select("event.*")
    .where(col("event_id").isNotNull())
)


run(events.writeStream.format("iceberg").outputMode("append").option("path", TABLE), os.path.join(os.environ["CHECKPOINTS"], "user-events"))
