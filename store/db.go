package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options is what a store is opened with. The zero value works, but for mail
// that is too large for the database: that needs Blobs.
type Options struct {
	Blobs     Blobs                                 // large blobs; nil: all blobs lie in the database
	Log       *slog.Logger                          // nil: nothing is logged
	Now       func() time.Time                      // nil: time.Now
	Observe   func(batch int, commit time.Duration) // told of each group commit; may be nil
	MaxConns  int                                   // connections for reading; 0: the driver's choice
	Exclusive bool                                  // SQLite: refuse a second opener that is exclusive too
	Effort    *Effort                               // of lists; nil: DefaultEffort
}

// DB is a store. Its methods may be called from several goroutines at once.
type DB struct {
	driver  Driver
	dialect Dialect
	opt     Options
	pack    *packer
	desk    atomic.Pointer[Desk] // the newest committed snapshot that was read

	deskRecent  atomic.Pointer[recentDesk]
	deskChanges atomic.Int64 // that this process committed

	bell bell // rung when events were committed

	jobs    chan *job // unbuffered: who waits to be taken waits in the send
	quit    chan struct{}
	stop    sync.Once
	alone   sync.Mutex // held by the one job that is tried again
	writers sync.WaitGroup
}

// New makes a store of a driver whose schema is up to date. It is called by
// store/sqlite and store/postgres; everyone else opens one of these. The
// driver belongs to the store from then on.
func New(driver Driver, opt Options) (*DB, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Effort == nil {
		effort := DefaultEffort()
		opt.Effort = &effort
	}
	pack, err := newPacker()
	if err != nil {
		return nil, err
	}
	db := &DB{
		driver: driver, dialect: driver.Dialect(), opt: opt, pack: pack,
		jobs: make(chan *job), quit: make(chan struct{}),
	}
	for range driver.Writers() {
		db.writers.Go(db.commitLoop)
	}
	return db, nil
}

// Close waits for the transactions that were taken, refuses the others, and
// gives the database back. It may be called again.
func (db *DB) Close() error {
	var err error
	db.stop.Do(func() {
		close(db.quit)
		db.writers.Wait()
		db.pack.close()
		err = db.driver.Close()
	})
	return err
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.refused("ping", db.driver.Ping(ctx))
}

// View runs fn with a transaction that only reads. On SQLite fn sees one
// state; on PostgreSQL each of its statements sees what is committed by then.
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	session, err := db.driver.Read(ctx)
	if err != nil {
		return db.refused("read", err)
	}
	defer session.End()
	tx := &Tx{db: db, session: session, shared: new(shared)}
	return guarded(ctx, tx, fn)
}

// Dry runs fn as Update would, and takes everything back, whatever fn says. A
// ticket number that fn drew may leave a gap.
func (db *DB) Dry(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	session, err := db.driver.Begin(ctx, false)
	if err != nil {
		return db.refused("begin", err)
	}
	defer session.End()
	tx := &Tx{db: db, session: session, shared: new(shared), write: true}
	return guarded(context.WithoutCancel(ctx), tx, fn)
}

// refused is wrap for what never began: a store that is closed is the reason.
func (db *DB) refused(doing string, err error) error {
	select {
	case <-db.quit:
		if err != nil {
			return &Error{Code: CodeUnavailable, Message: "the store is closed", Err: err}
		}
	default:
	}
	return db.wrap(doing, err)
}

// wrap makes an *Error of what a driver said; nil stays nil, and so does an
// *Error.
func (db *DB) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	fault := db.driver.Classify(err)
	return &Error{Code: fault.Code, Reason: fault.Reason, Message: doing, Err: err}
}
