// Package sqlite keeps a store in one SQLite file: one connection writes, a
// pool of others reads, and every commit is synced (WAL, synchronous=FULL).
package sqlite

import (
	"context"
	"embed"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"ticketgate/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// defaultReaders is how many connections read at most, where Options don't say.
const defaultReaders = 8

// Open opens the store in a file, makes it where there is none, and brings its
// schema up to date. A newer schema than this program knows is an error.
//
// Several processes may have the same file open, as a command beside a running
// daemon. With opt.Exclusive a second opener that is exclusive too is refused
// with CodeConflict (ReasonInUse).
func Open(ctx context.Context, path string, opt store.Options) (*store.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &store.Error{Code: store.CodeUnavailable, Message: "find the database", Err: err}
	}
	var lock *os.File
	if opt.Exclusive {
		if lock, err = lockFile(path+".lock", false); err != nil {
			return nil, err
		}
	}
	d, err := open(ctx, path, opt)
	if err != nil {
		if lock != nil {
			lock.Close()
		}
		return nil, err
	}
	d.lock = lock
	db, err := store.New(d, opt)
	if err != nil {
		_ = d.Close() // the first error tells more
	}
	return db, err
}

func open(ctx context.Context, path string, opt store.Options) (*database, error) {
	if err := migrate(ctx, path); err != nil {
		return nil, err
	}
	readers := opt.MaxConns
	if readers <= 0 {
		readers = defaultReaders
	}
	d := &database{
		quit:    make(chan struct{}),
		path:    path,
		writer:  make(chan *conn, 1),
		idle:    make(chan *conn, readers),
		tickets: make(chan struct{}, readers),
	}
	w, err := dial(dsn(path, writerPragmas()))
	if err != nil {
		return nil, unavailable("open the database", err)
	}
	d.writer <- w
	return d, nil
}

// unavailable is the error of a database that can't be opened.
func unavailable(doing string, err error) error {
	f := classify(err)
	return &store.Error{Code: f.Code, Reason: f.Reason, Message: doing, Err: err}
}

func commonPragmas() []string {
	return []string{
		"busy_timeout(10000)", // another process may be writing
		"journal_mode(WAL)",
		"synchronous(FULL)", // a commit is on the disk when it returns
		"temp_store(MEMORY)",
	}
}

func writerPragmas() []string {
	return append(commonPragmas(),
		"secure_delete(1)",             // what is deleted is overwritten, in pages that go free as well
		"cache_size(-16384)",           // KiB; filled as it is needed
		"wal_autocheckpoint(8192)",     // pages: checkpoints sync the whole file, so not too often
		"journal_size_limit(67108864)", // bytes: what a burst has blown up shrinks again
	)
}

func readerPragmas() []string {
	return append(commonPragmas(), "cache_size(-4096)", "query_only(1)")
}

// dsn is a SQLite URI for a path.
func dsn(path string, pragmas []string) string {
	u := url.URL{Scheme: "file", Path: path}
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	return fmt.Sprintf("%s?%s", u.String(), q.Encode())
}
