-- Times: *_us are microseconds since 1970-01-01 UTC by the device's wall clock;
-- clock_trusted = 0 says that this clock was not synchronised at that moment.
-- monotonic_s counts seconds since the boot that boot_id names (CLOCK_BOOTTIME)
-- and orders what happened within one boot whatever the wall clock said.

CREATE TABLE migrations (
  version    INTEGER PRIMARY KEY, -- number of the file in storage/migrations
  name       TEXT    NOT NULL,
  applied_us INTEGER NOT NULL
) STRICT;

-- One row for each run, written before its first frame.
CREATE TABLE runs (
  id            INTEGER PRIMARY KEY AUTOINCREMENT, -- short number, used in results, tracks, labels
  run           TEXT    NOT NULL UNIQUE,           -- run id, a ULID
  device        TEXT    NOT NULL,
  camera        TEXT    NOT NULL,                  -- '' for files and sessions
  source_kind   TEXT    NOT NULL,
  source_name   TEXT    NOT NULL,                  -- without credentials
  workflow      TEXT    NOT NULL,
  started_us    INTEGER NOT NULL,
  boot_id       TEXT    NOT NULL,
  monotonic_s   REAL    NOT NULL,
  clock_trusted INTEGER NOT NULL CHECK (clock_trusted IN (0, 1)),
  width         INTEGER NOT NULL,                  -- of frames in pixels; 0 until one was kept
  height        INTEGER NOT NULL,
  keep          TEXT    NOT NULL CHECK (keep IN ('every', 'changes', 'events')),
  start         TEXT    NOT NULL,                  -- all that was known at the start, as JSON
  owner         TEXT    NOT NULL,                  -- the process that writes it: writers/<owner>.lock
  deleted       INTEGER NOT NULL DEFAULT 0         -- results removed by retention
) STRICT;
CREATE INDEX runs_by_camera ON runs (camera, id);

-- The end of a run. Its primary key is what makes a second end impossible.
CREATE TABLE completions (
  run      INTEGER PRIMARY KEY REFERENCES runs (id),
  ended_us INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  record   TEXT    NOT NULL -- the JSON object of schemas/run.complete.v1.json, byte for byte as published
) STRICT;

-- What an unfinished run has done so far, written with its rows, so that a run
-- cut short by a crash can be closed with the counts of what was stored.
CREATE TABLE progress (
  run        INTEGER PRIMARY KEY REFERENCES runs (id),
  frames     INTEGER NOT NULL, -- processed
  detections TEXT    NOT NULL, -- {"label": n}
  last_us    INTEGER NOT NULL  -- wall time of the last of these frames
) STRICT;

-- One row for each frame that was kept. id is run << 40 | frame, which keeps a
-- run together, in order, without another index. The frame's wall time is
-- runs.started_us + pts_us + 1000 * wall_ms. detections is the packed form of
-- storage/README.md, NULL when nothing was seen.
CREATE TABLE results (
  id         INTEGER PRIMARY KEY,
  pts_us     INTEGER NOT NULL, -- presentation time from the start of the source
  wall_ms    INTEGER NOT NULL, -- how much later than started + pts the frame came
  detections BLOB
) STRICT;

CREATE VIEW frames AS
  SELECT results.id >> 40 AS run, results.id & 1099511627775 AS frame, pts_us, wall_ms,
         runs.started_us + pts_us + 1000 * wall_ms AS wall_us, detections
  FROM results JOIN runs ON runs.id = results.id >> 40;

-- Names of classes that runs.start does not have.
CREATE TABLE labels (
  run   INTEGER NOT NULL REFERENCES runs (id),
  class INTEGER NOT NULL,
  label TEXT    NOT NULL,
  PRIMARY KEY (run, class)
) STRICT, WITHOUT ROWID;

-- One row for each object that a tracker followed.
CREATE TABLE tracks (
  run          INTEGER NOT NULL REFERENCES runs (id),
  track        INTEGER NOT NULL,
  class        INTEGER NOT NULL, -- as last seen
  label        TEXT    NOT NULL,
  first_frame  INTEGER NOT NULL,
  last_frame   INTEGER NOT NULL,
  first_pts_us INTEGER NOT NULL,
  last_pts_us  INTEGER NOT NULL,
  frames       INTEGER NOT NULL, -- in which it was seen, kept or not
  best_score   REAL    NOT NULL,
  PRIMARY KEY (run, track)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id      TEXT    NOT NULL UNIQUE,
  device        TEXT    NOT NULL,
  kind          TEXT    NOT NULL,
  camera        TEXT    NOT NULL, -- '' when none
  run           TEXT    NOT NULL, -- run id, '' when none
  frame         INTEGER NOT NULL, -- 0 when none
  track         INTEGER NOT NULL, -- 0 when none
  class         TEXT    NOT NULL, -- '' when none
  wall_us       INTEGER NOT NULL,
  boot_id       TEXT    NOT NULL,
  monotonic_s   REAL    NOT NULL,
  clock_trusted INTEGER NOT NULL CHECK (clock_trusted IN (0, 1)),
  detail        TEXT              -- a JSON object or NULL
) STRICT;
CREATE INDEX events_by_run    ON events (run, id) WHERE run <> '';
CREATE INDEX events_by_camera ON events (camera, id);
CREATE INDEX events_by_time   ON events (wall_us);

-- Messages that the broker has not confirmed. AUTOINCREMENT: an id is never
-- used twice, so a late confirmation cannot delete another message.
CREATE TABLE outbox (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  topic      TEXT    NOT NULL, -- below the device's prefix
  payload    BLOB    NOT NULL,
  retain     INTEGER NOT NULL CHECK (retain IN (0, 1)),
  completion INTEGER NOT NULL CHECK (completion IN (0, 1)), -- dropped last
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_by_rank     ON outbox (completion, id);
CREATE INDEX outbox_by_retained ON outbox (topic) WHERE retain = 1;

-- The outbox's size, kept by triggers so that the bound costs no scan.
CREATE TABLE outbox_size (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  n     INTEGER NOT NULL,
  bytes INTEGER NOT NULL, -- of topics and payloads
  lost  INTEGER NOT NULL  -- messages dropped because the outbox was full
) STRICT;
INSERT INTO outbox_size VALUES (1, 0, 0, 0);
CREATE TRIGGER outbox_grows AFTER INSERT ON outbox BEGIN
  UPDATE outbox_size SET n = n + 1, bytes = bytes + length(CAST(new.topic AS BLOB)) + length(new.payload);
END;
CREATE TRIGGER outbox_shrinks AFTER DELETE ON outbox BEGIN
  UPDATE outbox_size SET n = n - 1, bytes = bytes - length(CAST(old.topic AS BLOB)) - length(old.payload);
END;
