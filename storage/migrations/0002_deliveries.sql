-- What a workflow put out for a frame, without pictures: a JSON object, NULL
-- when there was nothing. errors is a JSON list of texts: what failed on the
-- frame although the run went on; NULL when nothing did.
ALTER TABLE results ADD COLUMN data   TEXT;
ALTER TABLE results ADD COLUMN errors TEXT;

DROP VIEW frames;
CREATE VIEW frames AS
  SELECT results.id >> 40 AS run, results.id & 1099511627775 AS frame, pts_us, wall_ms,
         runs.started_us + pts_us + 1000 * wall_ms AS wall_us, detections, data, errors
  FROM results JOIN runs ON runs.id = results.id >> 40;

-- Messages owed to others than the device's own broker: a webhook, a mail
-- server. Written with the result that caused them, gone when they arrived or
-- were given up, the latter with an event of kind delivery.failed.
CREATE TABLE deliveries (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  kind       TEXT    NOT NULL, -- who delivers it: 'webhook', 'mqtt', 'smtp', 'slack'
  dest       TEXT    NOT NULL, -- the destination without credentials
  body       BLOB    NOT NULL, -- JSON for the deliverer; may hold credentials of the destination
  frame      INTEGER NOT NULL, -- whose result caused it: run << 40 | frame, as results.id
  created_us INTEGER NOT NULL,
  due_us     INTEGER NOT NULL, -- when it is tried next
  expires_us INTEGER NOT NULL, -- after this it is given up
  tries      INTEGER NOT NULL DEFAULT 0,
  error      TEXT    NOT NULL DEFAULT '' -- of the last attempt
) STRICT;
CREATE INDEX deliveries_by_destination ON deliveries (kind, dest, due_us, id);

CREATE TABLE deliveries_size (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  n        INTEGER NOT NULL,
  bytes    INTEGER NOT NULL, -- of bodies
  given_up INTEGER NOT NULL  -- deliveries that never arrived, since the database was made
) STRICT;
INSERT INTO deliveries_size VALUES (1, 0, 0, 0);
CREATE TRIGGER deliveries_grow AFTER INSERT ON deliveries BEGIN
  UPDATE deliveries_size SET n = n + 1, bytes = bytes + length(new.body);
END;
CREATE TRIGGER deliveries_shrink AFTER DELETE ON deliveries BEGIN
  UPDATE deliveries_size SET n = n - 1, bytes = bytes - length(old.body);
END;
