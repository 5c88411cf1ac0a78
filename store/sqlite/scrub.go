package sqlite

import (
	"context"
	"errors"

	"ticketgate/store"
)

// mergePages is how much of the search index one step of a merge writes; mail
// comes in between two of them.
const mergePages = 500

// Scrub merges the search index, which marks what was deleted and keeps it until
// then, and empties the log of the database. The pages themselves were
// overwritten when they went free (secure_delete).
func (d *database) Scrub(ctx context.Context) error {
	pages := -mergePages // the first step takes all segments up
	for {
		worked, err := d.mergeIndex(ctx, pages)
		if err != nil {
			return err
		}
		if !worked {
			break
		}
		pages = mergePages
	}
	return d.emptyLog(ctx)
}

// mergeIndex makes one step; www.sqlite.org/fts5.html, 6.8: a step that had
// nothing to do changes less than two rows.
func (d *database) mergeIndex(ctx context.Context, pages int) (worked bool, err error) {
	err = d.writing(ctx, func(c *conn) error {
		var before, after int64
		if err := row(c, "SELECT total_changes()", &before); err != nil {
			return err
		}
		if _, err := c.exec(context.Background(), "INSERT INTO search (search, rank) VALUES ('merge', $1)", pages); err != nil {
			return err
		}
		err := row(c, "SELECT total_changes()", &after)
		worked = after-before >= 2
		return err
	})
	return worked, err
}

var errLogInUse = errors.New("somebody reads an older state of the database")

// emptyLog folds the log into the database and cuts it off.
func (d *database) emptyLog(ctx context.Context) error {
	return d.writing(ctx, func(c *conn) error {
		var busy, logged, moved int64
		err := row(c, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, &logged, &moved)
		if err == nil && busy != 0 {
			return &store.Error{Code: store.CodeUnavailable, Message: "empty the log of the database", Err: errLogInUse}
		}
		return err
	})
}

// writing runs fn with the writing connection, outside of any transaction.
func (d *database) writing(ctx context.Context, fn func(*conn) error) error {
	select {
	case c := <-d.writer:
		defer func() { d.writer <- c }()
		return fn(c)
	case <-d.quit:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// row reads the columns of a result of one row.
func row(c *conn, sql string, columns ...any) error {
	rows, err := c.query(context.Background(), sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
	}
	return rows.Err()
}
