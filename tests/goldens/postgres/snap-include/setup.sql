CREATE TABLE a1 (id int PRIMARY KEY, v text); CREATE TABLE b1 (id int PRIMARY KEY, v text); CREATE TABLE c1 (id int PRIMARY KEY, v text); CREATE TABLE e1 (id int PRIMARY KEY); INSERT INTO a1 SELECT i,'r'||i FROM generate_series(1,4) i; INSERT INTO b1 SELECT i,'r'||i FROM generate_series(1,2) i; INSERT INTO c1 VALUES (1,'only');
CREATE TABLE zz_done (id int PRIMARY KEY, mark text);
INSERT INTO zz_done VALUES (1,'SENTINEL-1');
