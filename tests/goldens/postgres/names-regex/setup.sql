CREATE TABLE shard_1 (id int PRIMARY KEY, v text); CREATE TABLE shard_2 (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO shard_1 VALUES (1,'a'); INSERT INTO shard_2 VALUES (1,'b'); INSERT INTO other VALUES (1,'c'); CREATE TABLE shard_3 (v text); INSERT INTO shard_3 VALUES ('n');
CREATE TABLE zz_done (id int PRIMARY KEY, mark text);
INSERT INTO zz_done VALUES (1,'SENTINEL-1');
