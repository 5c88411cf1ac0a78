package sqlite

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/pressly/goose/v3"

	"ticketgate/store"
)

// migrate brings the schema up to date, one process at a time.
func migrate(ctx context.Context, path string) error {
	lock, err := lockFile(path+".migrate", true)
	if err != nil {
		return err
	}
	defer lock.Close()
	db, err := sql.Open("sqlite", dsn(path, commonPragmas()))
	if err != nil {
		return unavailable("open the database", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return unavailable("read the migrations", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return unavailable("read the migrations", err)
	}
	return store.Migrate(ctx, provider, classify)
}
