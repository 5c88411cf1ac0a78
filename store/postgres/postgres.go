// Package postgres keeps a store in a PostgreSQL database, which any number of
// processes share.
package postgres

import (
	"context"
	"embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"ticketgate/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// writers is how many group commits run side by side: while one waits for its
// sync, another one runs statements. defaultReaders is how many connections
// read at most, where Options don't say.
const (
	writers        = 3
	defaultReaders = 8
)

// Time limits. The server's own for a statement is the shortest, so that it is
// the server that gives up and the connection can go on.
const (
	connectLimit   = 5 * time.Second
	acquireLimit   = 10 * time.Second
	statementLimit = 20 * time.Second
	sessionLimit   = 60 * time.Second // all of a transaction, or of a reader's use
	commitLimit    = 15 * time.Second
)

// Open opens the store in a database, and brings its schema up to date. A
// newer schema than this program knows is an error. An error never shows the
// password.
func Open(ctx context.Context, url string, opt store.Options) (*store.DB, error) {
	config, err := configure(url, opt)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, failure("open the database", err)
	}
	d := &database{pool: pool, reading: make(chan struct{}, config.MaxConns-writers-1)}
	if err := d.Ping(ctx); err != nil {
		_ = d.Close() // the first error tells more
		return nil, failure("open the database", err)
	}
	db, err := store.New(d, opt)
	if err != nil {
		_ = d.Close() // the first error tells more
	}
	return db, err
}

func configure(url string, opt store.Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &store.Error{Code: store.CodeInvalid, Field: "store.url", Message: "is no URL of a PostgreSQL database", Err: err}
	}
	readers := opt.MaxConns
	if readers <= 0 {
		readers = defaultReaders
	}
	// One more for Dry, which must not wait for the committers.
	config.MaxConns = int32(min(readers, 1000) + writers + 1) //nolint:gosec // small
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.PingTimeout = connectLimit
	config.AfterConnect = prefer
	config.ConnConfig.ConnectTimeout = connectLimit
	config.ConnConfig.BuildContextWatcherHandler = watch
	return config, nil
}

// prefer sets how statements are planned. A plan that was made while a table
// was small is kept for as long as the connection lives, or until the server
// has counted the table anew: on a young desk that would mean to read whole
// tables for each mail. All statements of the hot path have an index.
func prefer(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `SET enable_seqscan = off; SET jit = off`); err != nil {
		return err
	}
	// Whoever set it off for the role or the database did not mean a mail that
	// was answered 250.
	if _, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false)
		WHERE current_setting('synchronous_commit') = 'off'`); err != nil {
		return err
	}
	// Texts are packed in a third of the time. A server that was built without
	// LZ4 refuses, and packs as it always did.
	_, err := conn.Exec(ctx, `SET default_toast_compression = 'lz4'`)
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return nil
	}
	return err
}

// watch makes a context that ends cancel the statement on the server, and
// closes the connection only if that doesn't help: a storm of callers that
// give up would else become a storm of new connections.
func watch(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
}

// failure is the error of a database that can't be opened.
func failure(doing string, err error) error {
	f := classify(err)
	return &store.Error{Code: f.Code, Reason: f.Reason, Message: doing, Err: err}
}

// database implements store.Driver.
type database struct {
	pool    *pgxpool.Pool
	reading chan struct{} // a place for each reader: however many there are, the committers find a connection
}

func (d *database) Writers() int { return writers }

func (d *database) Classify(err error) store.Fault { return classify(err) }

func (d *database) Searcher() store.Searcher { return searcher{} }

func (d *database) Dialect() store.Dialect {
	return store.Dialect{
		Number:    `SELECT nextval('ticket_numbers')`,
		LockRow:   ` FOR UPDATE`,
		LockWord:  `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`,
		ShareWord: `SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))`,
		Index: `INSERT INTO search (ticket, activity_id, words) SELECT ticket, id, $2 FROM activities WHERE id = $1
			ON CONFLICT (activity_id) DO UPDATE SET ticket = excluded.ticket, words = excluded.words`,
		Document:  document,
		Phrases:   phrases,
		Unindex:   `DELETE FROM search WHERE activity_id = $1`,
		MoveIndex: `UPDATE search SET ticket = a.ticket FROM activities a WHERE a.id = $1 AND activity_id = $1`,
		Position:  `CAST(0 AS BIGINT)`,
		Reorder:   true,
		Tagged: func(param string) string {
			return `CAST(tags AS JSONB) @> jsonb_build_array(` + param + `::text)`
		},
		From: func(param string) string {
			return `EXISTS (SELECT 1 FROM jsonb_array_elements(CAST(detail AS JSONB) -> 'from') f
				WHERE lower(f ->> 'address') = lower(` + param + `::text))`
		},
		EventPosition: `DEFAULT, DEFAULT`,
		EventsSettled: `pg_snapshot_xmin(pg_current_snapshot())::text::bigint`,
		// A transaction sees of those that began after its snapshot only itself.
		EventsForeign: `tx >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
			AND tx <> pg_current_xact_id()::text::bigint`,

		In:      func(column, param string) string { return column + ` = ANY(` + param + `)` },
		Strings: func(s []string) any { return s },
		Numbers: func(n []int64) any { return n },
	}
}

// Ping tells whether the database answers.
// Scrub leaves that to the server, which reuses and overwrites what is free.
func (d *database) Scrub(context.Context) error { return nil }

func (d *database) Ping(ctx context.Context) error {
	s, err := d.Read(ctx)
	if err != nil {
		return err
	}
	defer s.End()
	r, err := s.Query(ctx, `SELECT version FROM desk_version`)
	if err != nil {
		return err
	}
	r.Close()
	return r.Err()
}

// Close closes all connections, when those in use come back.
func (d *database) Close() error {
	d.pool.Close()
	return nil
}

// beginning opens a transaction that writes, but for the limit of its waits for
// locks.
const beginning = `BEGIN; SET LOCAL statement_timeout = 20000; SET LOCAL lock_timeout = `

// Begin opens a transaction. What a restart of the server has left in the pool
// is found here, and thrown out.
func (d *database) Begin(ctx context.Context, brief bool) (store.Session, error) {
	// A batch that waits for a lock makes all of its callers wait, and two
	// batches may wait for each other, which the server notices after a second
	// only: there, whoever meets a lock gives way soon.
	begin := beginning + `10000`
	if brief {
		begin = beginning + `100`
	}
	s, err := d.begin(ctx, begin)
	if err != nil && classify(err).Lost {
		d.pool.Reset()
		s, err = d.begin(ctx, begin)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (d *database) begin(ctx context.Context, text string) (*session, error) {
	s, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	s.write = true
	if err := s.simple(context.Background(), text); err != nil {
		s.End()
		return nil, err
	}
	return s, nil
}

// Read takes a connection from the pool, of those that are for readers.
func (d *database) Read(ctx context.Context) (store.Session, error) {
	limit := time.NewTimer(acquireLimit)
	defer limit.Stop()
	select {
	case d.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-limit.C:
		return nil, context.DeadlineExceeded
	}
	s, err := d.acquire(ctx)
	if err != nil {
		<-d.reading
		return nil, err
	}
	return s, nil
}

func (d *database) acquire(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireLimit)
	defer cancel()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return newSession(d, conn), nil
}
