package postgres

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"ticketgate/store"
)

// migrate brings the schema up to date, one process at a time.
func migrate(ctx context.Context, config *pgx.ConnConfig) error {
	db := stdlib.OpenDB(*config)
	defer db.Close()
	// Tried each second for five minutes: as long as another node migrates.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return failure("prepare the migrations", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return failure("read the migrations", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return failure("read the migrations", err)
	}
	return store.Migrate(ctx, provider, classify)
}
