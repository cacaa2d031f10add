BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'greenwave','m001_registry','2026-11-21 12:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'greenwave','m002_runs','2026-11-21 12:00:00.000000+00:00');
CREATE TABLE datasets (
             id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
             size INTEGER NOT NULL, counts TEXT NOT NULL, facts TEXT NOT NULL, run_id TEXT, created REAL NOT NULL) STRICT;
INSERT INTO "datasets" VALUES('ds-1','接警记录','conversations','datasets/ds-1/rows.jsonl','aa',300,'{"rows":3}','{"字":[1,null]}',NULL,1.5);
INSERT INTO "datasets" VALUES('ds-2','outside','documents','/media/usb/x','bb',9,'{}','{}','run-1',2.5);
CREATE TABLE events (
             id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL,
             at REAL NOT NULL, body TEXT NOT NULL) STRICT;
INSERT INTO "events" VALUES(1,'run-1',0,2.0,'{"type":"metric","name":"loss","step":1,"value":0.5}');
INSERT INTO "events" VALUES(2,'run-1',0,3.0,'{"type":"finished"}');
CREATE TABLE models (
             id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
             size INTEGER NOT NULL, facts TEXT NOT NULL, run_id TEXT, created REAL NOT NULL) STRICT;
INSERT INTO "models" VALUES('md-1','qwen','base','models/md-1','cc',1000000000000,'{"family":"qwen2"}',NULL,3.5);
INSERT INTO "models" VALUES('md-2','交警一号','adapter','models/md-2','dd',5,'{}','run-1',4.5);
CREATE TABLE parents (
             child TEXT NOT NULL, parent TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (child, parent, role)) STRICT, WITHOUT ROWID;
INSERT INTO "parents" VALUES('md-2','ds-1','dataset');
INSERT INTO "parents" VALUES('md-2','md-1','base');
CREATE TABLE runs (
             id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL,
             wish TEXT NOT NULL DEFAULT '', recipe TEXT NOT NULL, failure TEXT NOT NULL, pid INTEGER) STRICT;
INSERT INTO "runs" VALUES('run-1','夜间','done',1.0,2.0,3.0,'','{"training":{"rank":16}}','{}',NULL);
INSERT INTO "runs" VALUES('run-2','stopped','interrupted',4.0,5.0,6.0,'','{}','{"code":"disk_full","parameters":{"path":"/data"}}',77);
CREATE TABLE scores (
             model_id TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, facts TEXT NOT NULL, run_id TEXT,
             created REAL NOT NULL) STRICT;
INSERT INTO "scores" VALUES('md-2','exam_accuracy',0.93,'{"questions":100}','run-1',5.5);
CREATE TABLE stages (
             run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL, stage TEXT NOT NULL,
             title TEXT NOT NULL, plan TEXT NOT NULL, state TEXT NOT NULL, started REAL, ended REAL,
             peak_memory INTEGER NOT NULL DEFAULT 0, facts TEXT NOT NULL, PRIMARY KEY (run_id, position)) STRICT, WITHOUT ROWID;
INSERT INTO "stages" VALUES('run-1',0,'train','','{"stage":"train","spec":{"n":1}}','done',2.0,3.0,4096,'{"loss":0.5}');
INSERT INTO "stages" VALUES('run-2',0,'clean','','{"stage":"clean","spec":{}}','interrupted',5.0,6.0,0,'{}');
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX parents_by_parent ON parents (parent);
CREATE INDEX scores_by_model ON scores (model_id, name, created);
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX events_by_run ON events (run_id, id);
COMMIT;
