INSERT INTO mk SELECT id+10,t,v,v2,c,e,d,ci,u,j,a,n,i,ts,nn,k,nm,x,inet,by FROM mk; UPDATE mk SET nn='q' WHERE id=1; DELETE FROM mk WHERE id=2; UPDATE mkey SET v='w'; DELETE FROM mkey;
INSERT INTO zz_done VALUES (2,'SENTINEL-2');
