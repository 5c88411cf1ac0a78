package sqlite

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"ticketgate/store"
)

// database implements store.Driver.
type database struct {
	path    string
	lock    *os.File      // nil: not exclusive
	writer  chan *conn    // holds the writing connection while nobody writes
	idle    chan *conn    // readers that nobody uses
	tickets chan struct{} // one for each reader that exists
	quit    chan struct{} // closed by Close: nobody waits for a connection any more
	closed  sync.Once
}

var errClosed = errors.New("the database is closed")

func (d *database) Writers() int { return 1 }

func (d *database) Classify(err error) store.Fault { return classify(err) }

func (d *database) Searcher() store.Searcher { return searcher{} }

func (d *database) Dialect() store.Dialect {
	return store.Dialect{
		Number: `UPDATE counters SET value = value + 1 WHERE name = 'ticket' RETURNING value`,
		// VALUES, and not SELECT: a statement that may add several rows runs in
		// a savepoint of its own, at which the index writes a segment. The text
		// in place of a number makes an error of an activity that is not there.
		Index: `INSERT OR REPLACE INTO search (rowid, words)
			VALUES (COALESCE((SELECT n FROM activities WHERE id = $1), 'none'), $2)`,
		Document: func(words string) any { return words },
		Phrases:  func(phrases []string) string { return `"` + strings.Join(phrases, `" "`) + `"` },
		Unindex:  `DELETE FROM search WHERE rowid = (SELECT n FROM activities WHERE id = $1)`,
		Position: `n`,
		Tagged: func(param string) string {
			return `number IN (SELECT ticket FROM ticket_tags WHERE tag = ` + param + `)`
		},
		From: func(param string) string {
			return `EXISTS (SELECT 1 FROM json_each(detail, '$.from') f
				WHERE lower(json_extract(f.value, '$.address')) = lower(` + param + `))`
		},
		// The newest event is never removed, so no id is given twice.
		EventPosition: `0, COALESCE((SELECT id FROM events ORDER BY tx DESC, id DESC LIMIT 1), 0) + 1`,
		EventsSettled: `1`,
		EventsForeign: `tx > 0`,
		In: func(column, param string) string {
			return column + ` IN (SELECT value FROM json_each(` + param + `))`
		},
		Strings: func(s []string) any { return asJSON(s) },
		Numbers: func(n []int64) any { return asJSON(n) },
	}
}

// Begin takes the writing connection.
func (d *database) Begin(ctx context.Context, _ bool) (store.Session, error) {
	select {
	case c := <-d.writer:
		if _, err := c.exec(context.Background(), "BEGIN IMMEDIATE"); err != nil {
			d.writer <- c
			return nil, err
		}
		return &session{conn: c, db: d, write: true, open: true}, nil
	case <-d.quit:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Read takes an idle reader, makes one, or waits.
func (d *database) Read(ctx context.Context) (store.Session, error) {
	c, err := d.reader(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: c, db: d, open: true}
	if _, err := c.exec(ctx, "BEGIN"); err != nil {
		s.End()
		return nil, err
	}
	return s, nil
}

func (d *database) reader(ctx context.Context) (*conn, error) {
	select {
	case c := <-d.idle:
		return c, nil
	default:
	}
	select {
	case c := <-d.idle:
		return c, nil
	case d.tickets <- struct{}{}:
		c, err := dial(dsn(d.path, readerPragmas()))
		if err != nil {
			<-d.tickets
		}
		return c, err
	case <-d.quit:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *database) Ping(ctx context.Context) error {
	s, err := d.Read(ctx)
	if err != nil {
		return err
	}
	defer s.End()
	r, err := s.Query(ctx, "SELECT version FROM desk_version")
	if err != nil {
		return err
	}
	defer r.Close()
	r.Next()
	return r.Err()
}

// Close closes all connections; the readers that are still in use first come
// back.
func (d *database) Close() error {
	var errs []error
	d.closed.Do(func() {
		close(d.quit)
		for range cap(d.tickets) {
			select {
			case c := <-d.idle:
				errs = append(errs, c.close())
			case d.tickets <- struct{}{}: // was never opened
			}
		}
		// The writer goes last: it then finds nobody else, and folds the log
		// into the database.
		w := <-d.writer
		errs = append(errs, w.close())
		if d.lock != nil {
			errs = append(errs, d.lock.Close())
		}
	})
	return errors.Join(errs...)
}

// session implements store.Session. Statements that write are run without the
// caller's context: they take microseconds, and watching a context costs as
// much.
type session struct {
	conn  *conn
	db    *database
	write bool
	open  bool // the transaction
	saved bool // a savepoint is set
}

func (s *session) context(ctx context.Context) context.Context {
	if s.write {
		return context.Background()
	}
	return ctx
}

func (s *session) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return s.conn.exec(s.context(ctx), sql, args...)
}

func (s *session) Query(ctx context.Context, sql string, args ...any) (store.Rows, error) {
	return s.conn.query(s.context(ctx), sql, args...)
}

func (s *session) Queue(ctx context.Context, sql string, args ...any) error {
	_, err := s.Exec(ctx, sql, args...)
	return err
}

func (s *session) Flush(context.Context) error { return nil }

func (s *session) Savepoint(ctx context.Context) error {
	if err := s.Release(ctx); err != nil {
		return err
	}
	_, err := s.Exec(ctx, "SAVEPOINT one")
	s.saved = err == nil
	return err
}

func (s *session) Release(ctx context.Context) error {
	if !s.saved {
		return nil
	}
	s.saved = false
	_, err := s.Exec(ctx, "RELEASE one")
	return err
}

func (s *session) RollbackTo(ctx context.Context) error {
	_, err := s.Exec(ctx, "ROLLBACK TO one")
	return err
}

func (s *session) Commit() error {
	_, err := s.conn.exec(context.Background(), "COMMIT")
	if err == nil {
		s.open = false
	}
	return err
}

// End rolls back what is open and gives the connection back; a reader that is
// broken is replaced by a new one when it is needed.
func (s *session) End() {
	if s.conn == nil {
		return
	}
	c := s.conn
	s.conn = nil
	var err error
	if s.open {
		// Some errors have ended the transaction already; then there is
		// nothing to undo.
		_, err = c.exec(context.Background(), "ROLLBACK")
	}
	if s.write {
		s.db.writer <- c
		return
	}
	if err != nil {
		// Best effort: what can't be rolled back can't be reused either.
		_ = c.close()
		<-s.db.tickets
		return
	}
	s.db.idle <- c
}
