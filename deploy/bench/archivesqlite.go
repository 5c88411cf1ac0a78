package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver of the store's files
)

// sqliteArchive fills a file that no daemon has open. Until finish a crash
// leaves it broken.
type sqliteArchive struct {
	ctx context.Context //nolint:containedctx // of the one run that it lives for
	db  *sql.DB
}

func openSQLite(ctx context.Context, path string) (*sqliteArchive, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-400000)&_pragma=journal_size_limit(67108864)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &sqliteArchive{ctx, db}, nil
}

func (s *sqliteArchive) add(t *table, rows [][]any) error {
	tx, err := s.db.BeginTx(s.ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	places := strings.TrimSuffix(strings.Repeat("?,", len(t.columns)), ",")
	insert, err := tx.PrepareContext(s.ctx, fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, t.name, strings.Join(t.columns, ","), places))
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	for _, row := range rows {
		if _, err := insert.ExecContext(s.ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *sqliteArchive) words(text string) any { return text }

func (s *sqliteArchive) finish() error {
	// As NextNumber would have left it.
	for _, text := range []string{
		`UPDATE counters SET value = (SELECT MAX(number) FROM tickets) WHERE name = 'ticket'`,
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := s.db.ExecContext(s.ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteArchive) close() error { return s.db.Close() }
