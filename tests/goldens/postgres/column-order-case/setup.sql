CREATE TABLE oc (id int PRIMARY KEY, a text, b text, c text); INSERT INTO oc VALUES (1,'a','b','c');
CREATE TABLE zz_done (id int PRIMARY KEY, mark text);
INSERT INTO zz_done VALUES (1,'SENTINEL-1');
