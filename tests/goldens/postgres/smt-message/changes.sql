SELECT pg_logical_emit_message(true, 'outbox', '{"id": "e1", "aggregatetype": "Ord", "aggregateid": "7", "type": "T", "payload": "{\"a\": 1}", "n": 5}'); SELECT pg_logical_emit_message(false, 'outbox', '{"id": "e2", "aggregatetype": "Ord", "aggregateid": "8", "type": "T", "payload": {"a": [1,2]}}');
INSERT INTO zz_done VALUES (2,'SENTINEL-2');
