CREATE TABLE x (id int PRIMARY KEY);
CREATE TABLE zz_done (id int PRIMARY KEY, mark text);
INSERT INTO zz_done VALUES (1,'SENTINEL-1');
