INSERT INTO shard_1 VALUES (2,'a'); UPDATE shard_1 SET id=3 WHERE id=2; SELECT pg_sleep(0.5); DELETE FROM shard_2; INSERT INTO other VALUES (2,'c');
INSERT INTO zz_done VALUES (2,'SENTINEL-2');
