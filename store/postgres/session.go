package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketgate/store"
)

// session implements store.Session. Statements of a transaction don't listen
// to a context: one that ended would close the connection under all callers of
// the batch. A watchdog ends what takes too long.
type session struct {
	db       *database
	conn     *pgxpool.Conn
	write    bool
	used     bool     // a statement was run
	queue    []queued // not sent yet
	saved    bool     // a savepoint is set, or queued
	second   bool     // which of the two names it has
	mark     int      // where the queue goes on after the savepoint; -1: the savepoint was sent
	watchdog *time.Timer
}

type queued struct {
	sql  string
	args []any
}

func newSession(db *database, conn *pgxpool.Conn) *session {
	s := &session{db: db, conn: conn, mark: -1}
	s.watch(sessionLimit)
	return s
}

// watch ends the session's connection after a time.
func (s *session) watch(limit time.Duration) {
	if s.watchdog != nil {
		s.watchdog.Stop()
	}
	socket := s.conn.Conn().PgConn().Conn()
	s.watchdog = time.AfterFunc(limit, func() {
		// A connection that is gone already needs no deadline.
		_ = socket.SetDeadline(time.Now())
	})
}

func (s *session) context(ctx context.Context) context.Context {
	if s.write {
		return context.Background()
	}
	return ctx
}

// check marks an error after which the connection can't be used.
func (s *session) check(err error) error {
	if err != nil && s.conn.Conn().IsClosed() {
		return &lostError{err}
	}
	return err
}

// simple runs statements without arguments in one round trip.
func (s *session) simple(ctx context.Context, text string) error {
	_, err := s.conn.Conn().PgConn().Exec(ctx, text).ReadAll()
	return s.check(err)
}

func (s *session) Queue(_ context.Context, sql string, args ...any) error {
	s.queue = append(s.queue, queued{sql, args})
	// The server answers while we still send; a bound keeps both buffers from
	// filling up.
	if len(s.queue) >= maxQueue {
		return s.Flush(context.Background())
	}
	return nil
}

// maxQueue is how many statements go out in one batch.
const maxQueue = 100

// send begins the round trip of all that is queued.
func (s *session) send(ctx context.Context) pgx.BatchResults {
	var b pgx.Batch
	for _, q := range s.queue {
		b.Queue(q.sql, q.args...)
	}
	s.queue, s.mark = nil, -1
	return s.conn.SendBatch(ctx, &b)
}

func (s *session) Flush(ctx context.Context) error {
	if len(s.queue) == 0 {
		return nil
	}
	return s.check(s.send(s.context(ctx)).Close())
}

func (s *session) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	ctx = s.context(ctx)
	if len(s.queue) == 0 {
		tag, err := s.conn.Exec(ctx, sql, args...)
		return tag.RowsAffected(), s.check(err)
	}
	n := len(s.queue)
	s.queue = append(s.queue, queued{sql, args})
	results := s.send(ctx)
	err := skip(results, n)
	if err != nil {
		return 0, s.check(errors.Join(err, results.Close()))
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed
	}
	return tag.RowsAffected(), s.check(err)
}

// skip reads the outcomes of the statements that were queued before.
func skip(results pgx.BatchResults, n int) error {
	for range n {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Query(ctx context.Context, sql string, args ...any) (store.Rows, error) {
	ctx = s.context(ctx)
	if n := len(s.queue); n > 0 {
		s.queue = append(s.queue, queued{sql, args})
		results := s.send(ctx)
		if err := skip(results, n); err != nil {
			return nil, s.check(errors.Join(err, results.Close()))
		}
		r, err := results.Query()
		if err != nil {
			return nil, s.check(errors.Join(err, results.Close()))
		}
		return &rows{Rows: r, session: s, results: results}, nil
	}
	r, err := s.begun(ctx, sql, args)
	if err != nil && !s.write && s.renew(ctx, err) {
		r, err = s.begun(ctx, sql, args)
	}
	s.used = true
	return r, err
}

// begun runs a query and waits for its first row, so that its failure is seen
// here.
func (s *session) begun(ctx context.Context, sql string, args []any) (store.Rows, error) {
	r, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, s.check(err)
	}
	first := r.Next()
	if !first && r.Err() != nil {
		return nil, s.check(r.Err())
	}
	return &rows{Rows: r, session: s, first: first, peeked: true}, nil
}

// renew tells whether a reader's statement that failed may be run again: it
// was planned for an older schema, or met a connection that the server had
// closed. Such a one is replaced.
func (s *session) renew(ctx context.Context, err error) bool {
	f := classify(err)
	if f.Again {
		return true
	}
	if !f.Lost || s.used || ctx.Err() != nil {
		return false
	}
	s.db.pool.Reset()
	fresh, err := s.db.acquire(ctx)
	if err != nil {
		return false
	}
	s.giveBack()
	s.conn, s.watchdog = fresh.conn, fresh.watchdog
	return true
}

// Savepoint is queued: it costs no round trip of its own.
func (s *session) Savepoint(ctx context.Context) error {
	if err := s.Release(ctx); err != nil {
		return err
	}
	// Two names in turn: if what sets this one never ran, because a statement
	// behind it could not be prepared, then RollbackTo fails, and does not take
	// the work of the one before away.
	s.second = !s.second
	s.queue = append(s.queue, queued{sql: "SAVEPOINT " + s.savepoint()})
	s.saved, s.mark = true, len(s.queue)
	return nil
}

func (s *session) Release(context.Context) error {
	if s.saved {
		s.queue = append(s.queue, queued{sql: "RELEASE SAVEPOINT " + s.savepoint()})
		s.saved = false
	}
	return nil
}

func (s *session) RollbackTo(context.Context) error {
	if s.mark >= 0 {
		// Nothing since the savepoint has left us.
		s.queue = s.queue[:s.mark]
		return nil
	}
	s.queue = nil
	return s.simple(context.Background(), "ROLLBACK TO SAVEPOINT "+s.savepoint())
}

func (s *session) savepoint() string {
	if s.second {
		return "two"
	}
	return "one"
}

func (s *session) Commit() error {
	if err := s.Flush(context.Background()); err != nil {
		return err
	}
	s.watch(commitLimit)
	results, err := s.conn.Conn().PgConn().Exec(context.Background(), "COMMIT").ReadAll()
	if err != nil {
		return s.check(err)
	}
	if tag := results[0].CommandTag.String(); tag != "COMMIT" {
		return &rolledBackError{tag}
	}
	return nil
}

// End gives the connection back; the pool closes one that is in a transaction.
func (s *session) End() {
	if s.conn == nil {
		return
	}
	s.giveBack()
	if !s.write {
		<-s.db.reading
	}
}

// giveBack returns the connection to the pool.
func (s *session) giveBack() {
	s.watchdog.Stop()
	s.watchdog = nil
	conn := s.conn.Conn()
	if status := conn.PgConn().TxStatus(); status != 'I' && !conn.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), connectLimit)
		// Best effort: a connection that can't roll back is closed by the pool.
		_ = s.simple(ctx, "ROLLBACK")
		cancel()
	}
	s.conn.Release()
	s.conn = nil
}

// rows implements store.Rows. Where it is part of a batch it ends the batch.
type rows struct {
	pgx.Rows
	session *session
	results pgx.BatchResults // nil: not of a batch
	peeked  bool             // the first Next was made already, and said:
	first   bool
	err     error // of closing the batch
}

func (r *rows) Next() bool {
	if r.peeked {
		r.peeked = false
		return r.first
	}
	return r.Rows.Next()
}

func (r *rows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.err = r.results.Close()
		r.results = nil
	}
}

func (r *rows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return r.session.check(err)
	}
	return r.session.check(r.err)
}

// lostError is an error after which the connection is closed.
type lostError struct{ cause error }

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// rolledBackError says that the server has rolled back what was to be
// committed.
type rolledBackError struct{ tag string }

func (e *rolledBackError) Error() string { return fmt.Sprintf("the commit was answered %q", e.tag) }
