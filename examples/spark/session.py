"""A Spark session with Iceberg's catalog, and a Kafka stream over SASL_SSL. Settings come from the environment."""
import os

from pyspark.sql import DataFrame, SparkSession


def open_session(name: str) -> SparkSession:
    """WAREHOUSE: folder or bucket of the Iceberg tables, kept by a Hadoop catalog named `lake`."""
    return (
        SparkSession.builder.appName(name)
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.lake.type", "hadoop")
        .config("spark.sql.catalog.lake.warehouse", os.environ["WAREHOUSE"])
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


def read_topic(spark: SparkSession, topic: str) -> DataFrame:
    """
    The topic from its beginning, as rows of key, value (bytes), topic, partition, offset, timestamp.
    KAFKA_BOOTSTRAP, KAFKA_USER, KAFKA_PASSWORD, KAFKA_TRUSTSTORE, KAFKA_TRUSTSTORE_PASSWORD; without a user it reads in the clear.
    KAFKA_MAX_OFFSETS bounds a micro-batch.
    """
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", os.environ["KAFKA_BOOTSTRAP"])
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        # Records of an aborted transaction are not for us; without exactly-once sources this changes nothing.
        .option("kafka.isolation.level", "read_committed")
        .option("maxOffsetsPerTrigger", os.environ.get("KAFKA_MAX_OFFSETS", "100000"))
    )
    if "KAFKA_USER" in os.environ:
        user, password = os.environ["KAFKA_USER"], os.environ["KAFKA_PASSWORD"]
        stream = (
            stream.option("kafka.security.protocol", "SASL_SSL")
            .option("kafka.sasl.mechanism", "SCRAM-SHA-512")
            .option("kafka.sasl.jaas.config", f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}";')
            .option("kafka.ssl.truststore.location", os.environ["KAFKA_TRUSTSTORE"])
            .option("kafka.ssl.truststore.password", os.environ["KAFKA_TRUSTSTORE_PASSWORD"])
        )
    return stream.load()


def run(writer, checkpoint: str) -> None:
    """UNTIL_NOW=1 takes what is in the topic and ends; else the query runs until it is stopped."""
    writer = writer.option("checkpointLocation", checkpoint)
    if os.environ.get("UNTIL_NOW") == "1":
        writer = writer.trigger(availableNow=True)
    writer.start().awaitTermination()
