package storage

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// applicationID marks the file as Perch's: "Prch".
const applicationID = 0x50726368

//go:embed migrations/*.sql
var migrations embed.FS

var (
	errNewer   = errors.New("the database was written by a newer Perch")
	errForeign = errors.New("the file is a database of another program")
)

// openDB opens connections to the file. Settings are in the DSN, because
// database/sql opens connections by itself and a PRAGMA reaches only one.
func openDB(path, mode string, conns int) (*sql.DB, error) {
	q := url.Values{
		"mode":          {mode},
		"_foreign_keys": {"on"},
		"_busy_timeout": {strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
	}
	if mode == "ro" {
		q.Set("_query_only", "on")
	} else {
		q.Set("_journal_mode", "WAL")
		// NORMAL loses acknowledged rows when the power goes.
		q.Set("_synchronous", "FULL")
		q.Set("_txlock", "immediate")
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// checkVersion refuses a file that is not ours or that we are too old for.
// With exact it refuses one that is too old for us as well.
func checkVersion(ctx context.Context, db *sql.DB, exact bool) error {
	var app, version, tables int
	if err := db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&app, &version, &tables); err != nil {
		return err
	}
	known, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	switch {
	case app != applicationID && (app != 0 || version != 0 || tables != 0):
		return errForeign
	case version > len(known):
		return fmt.Errorf("%w: it has schema %d, this Perch knows %d", errNewer, version, len(known))
	case exact && version < len(known):
		return fmt.Errorf("the database has schema %d, this Perch needs %d: open it once with perch run or perch process", version, len(known))
	}
	return nil
}

// migrate applies the numbered files that the database does not have yet, each
// in a transaction of its own. They only ever add.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := applyMigration(ctx, db, log, i+1, name); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

func applyMigration(ctx context.Context, db *sql.DB, log *slog.Logger, number int, name string) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int // read inside the transaction: another process may be migrating too
	if err := tx.QueryRow(`PRAGMA user_version`).Scan(&version); err != nil || version >= number {
		return err
	}
	base := strings.TrimPrefix(name, "migrations/")
	for _, q := range []string{string(text), fmt.Sprintf(`PRAGMA user_version = %d`, number), fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)} {
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`INSERT INTO migrations VALUES (?, ?, ?)`, number, base, time.Now().UnixMicro()); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	log.Info("database schema updated", "migration", base)
	return nil
}
