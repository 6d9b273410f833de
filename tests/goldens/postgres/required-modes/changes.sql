INSERT INTO rq SELECT 2,a,b,c,u,j,jb,x,e,i,lt,ts,by,hs,b1,b3,vb,pt,r,ci,bo,s,l,o,ta,ia,na,ba,ea,da,d4 FROM rq WHERE id=1; DELETE FROM rq WHERE id=1; UPDATE rq SET id=5 WHERE id=2; UPDATE rq SET a='z' WHERE id=5;
INSERT INTO zz_done VALUES (2,'SENTINEL-2');
