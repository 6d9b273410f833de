CREATE TABLE c1 (id int PRIMARY KEY, v text, b bytea, a int[], t timestamptz); ALTER TABLE c1 REPLICA IDENTITY FULL; INSERT INTO c1 VALUES (1,'a','\x01','{1}','2020-01-01 00:00:00+00'),(2,'b',NULL,NULL,NULL);
CREATE TABLE c2 (id int PRIMARY KEY, v text, b bytea, a int[], t timestamptz); ALTER TABLE c2 REPLICA IDENTITY FULL; INSERT INTO c2 VALUES (1,'a','\x01','{1}','2020-01-01 00:00:00+00'),(2,'b',NULL,NULL,NULL);
CREATE TABLE c3 (id int PRIMARY KEY, v text, b bytea, a int[], t timestamptz); ALTER TABLE c3 REPLICA IDENTITY FULL; INSERT INTO c3 VALUES (1,'a','\x01','{1}','2020-01-01 00:00:00+00'),(2,'b',NULL,NULL,NULL);
CREATE TABLE zz_done (id int PRIMARY KEY, mark text);
INSERT INTO zz_done VALUES (1,'SENTINEL-1');
