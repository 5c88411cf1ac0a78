package store

import (
	"context"
	"strings"
	"unicode/utf8"
)

// Tx is a transaction, handed to the function of Update, View or Dry. It
// belongs to the goroutine that it was handed to, and ends with the function.
//
// Errors of its methods are *Error: CodeNotFound, CodeConflict,
// CodeUnavailable, CodeData, CodeInternal.
type Tx struct {
	*shared
	db        *DB
	session   Session
	write     bool
	wrote     bool  // something was written, or tried to be
	broken    error // the first statement that failed; nothing runs after it
	fault     Fault // what it meant
	deskDirty bool  // this transaction changed the desk
	told      bool  // it wrote an event
	// sharesBlobs: it keeps others from removing blobs
	sharesBlobs bool
	after       []func()
}

// shared is what the transactions of one batch have in common. It belongs to
// the committer's goroutine.
type shared struct {
	desk        *Desk // as this batch sees it; nil: not read yet
	late        []lateStatement
	deskChanged bool // some transaction of the batch changed the desk, or tried to
	lost        bool // the database's transaction is beyond use
}

// lateStatement runs at the end of a batch, outside of all savepoints: SQLite's
// full text index would write a segment at each of them.
type lateStatement struct {
	sql  string
	args []any
}

// runLate runs what was put off.
func (s *shared) runLate(session Session) error {
	for _, l := range s.late {
		if err := session.Queue(context.Background(), l.sql, l.args...); err != nil {
			return err
		}
	}
	return session.Flush(context.Background())
}

// AfterCommit registers what runs in the caller's goroutine when the
// transaction is committed, before Update returns. It must not block for long.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

// Writable tells whether this transaction may change anything.
func (tx *Tx) Writable() bool { return tx.write }

// exec runs one statement and tells how many rows it touched.
func (tx *Tx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := tx.ready(true, args); err != nil {
		return 0, err
	}
	n, err := tx.session.Exec(ctx, sql, args...)
	return n, tx.note(err)
}

// queue runs one statement at the latest with the next one.
func (tx *Tx) queue(ctx context.Context, sql string, args ...any) error {
	if err := tx.ready(true, args); err != nil {
		return err
	}
	return tx.note(tx.session.Queue(ctx, sql, args...))
}

// defers runs one statement at the end of the batch.
func (tx *Tx) defers(sql string, args ...any) error {
	if err := tx.ready(true, args); err != nil {
		return err
	}
	tx.late = append(tx.late, lateStatement{sql, args})
	return nil
}

// ready refuses what can't go to the database.
func (tx *Tx) ready(write bool, args []any) error {
	if tx.broken != nil {
		return tx.broken
	}
	if write && !tx.write {
		return Errorf(CodeInternal, "a write in a transaction that reads")
	}
	tx.wrote = tx.wrote || write
	for _, a := range args {
		s, ok := a.(string)
		if ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			return Errorf(CodeData, "a text that is no UTF-8 or holds NUL")
		}
	}
	return nil
}

// note keeps the first error of a statement, and what it means.
func (tx *Tx) note(err error) error {
	if err == nil {
		return nil
	}
	if tx.broken == nil {
		tx.fault = tx.db.driver.Classify(err)
		tx.broken = tx.db.wrap("statement", err)
	}
	return tx.broken
}

// query calls scan for each row.
func (tx *Tx) query(ctx context.Context, scan func(Rows) error, sql string, args ...any) error {
	if err := tx.ready(false, args); err != nil {
		return err
	}
	rows, err := tx.session.Query(ctx, sql, args...)
	if err != nil {
		return tx.note(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return tx.note(err)
		}
	}
	return tx.note(rows.Err())
}

// list reads all rows.
func list[T any](ctx context.Context, tx *Tx, scan func(Rows, *T) error, sql string, args ...any) ([]T, error) {
	var all []T
	err := tx.query(ctx, func(r Rows) error {
		var one T
		if err := scan(r, &one); err != nil {
			return err
		}
		all = append(all, one)
		return nil
	}, sql, args...)
	return all, err
}

// first reads one row, or says that what is not there.
func first[T any](ctx context.Context, tx *Tx, what string, scan func(Rows, *T) error, sql string, args ...any) (T, error) {
	var one T
	all, err := list(ctx, tx, scan, sql, args...)
	if err == nil && len(all) == 0 {
		return one, Errorf(CodeNotFound, "no such %s", what)
	}
	if err != nil {
		return one, err
	}
	return all[0], nil
}

// count reads one number; 0 where there is no row.
func (tx *Tx) count(ctx context.Context, sql string, args ...any) (int64, error) {
	var n int64
	err := tx.query(ctx, func(r Rows) error { return r.Scan(&n) }, sql, args...)
	return n, err
}

// touched is exec of a statement that must touch a row.
func (tx *Tx) touched(ctx context.Context, what, sql string, args ...any) error {
	n, err := tx.exec(ctx, sql, args...)
	if err == nil && n == 0 {
		return Errorf(CodeNotFound, "no such %s", what)
	}
	return err
}
