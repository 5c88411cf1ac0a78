package postgres_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/blob"
)

// busy keeps every committer busy until the returned function is called, so
// that what is begun meanwhile is committed as one group.
func busy(t *testing.T, db *store.DB) (free func()) {
	t.Helper()
	hold := make(chan struct{})
	for range 4 {
		began := make(chan struct{}, 1)
		go func() {
			_ = db.Update(context.Background(), func(context.Context, *store.Tx) error {
				select {
				case began <- struct{}{}:
				default:
				}
				<-hold
				return nil
			})
		}()
		select {
		case <-began:
		case <-time.After(100 * time.Millisecond): // all are busy, and this one waits
		}
	}
	return func() { close(hold) }
}

// A statement that can't even be prepared takes its own work away, and not
// that of the one before it in the group.
func TestAStatementThatCannotBePrepared(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	db := open(t, url, store.Options{})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE rechecks IN SHARE MODE`); err != nil { // as CREATE INDEX does
		t.Fatal(err)
	}
	free := busy(t, db)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- db.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "mail", "kept") })
	}()
	time.Sleep(50 * time.Millisecond) // they stand in line in this order; nothing tells when
	go func() {
		second <- db.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRecheck(ctx, "x") })
	}()
	time.Sleep(50 * time.Millisecond)
	free()
	if err := <-first; err != nil {
		t.Fatalf("the first: %v", err)
	}
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	<-second // it may have succeeded after all, or not
	if err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if v, err := tx.Meta(ctx, "mail"); err != nil || v != "kept" {
			t.Errorf("acknowledged, and %q is there (%v)", v, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Whatever the database's own settings say, a commit is synced.
func TestCommitsAreSynced(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`); err != nil {
		t.Fatal(err)
	}
	db := open(t, url, store.Options{})
	synced := 0 // other sessions write as well, so not each look finds all of it on disk
	for range 20 {
		if err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "k", store.NewID()) }); err != nil {
			t.Fatal(err)
		}
		var all bool
		if err := conn.QueryRow(t.Context(), `SELECT pg_current_wal_flush_lsn() >= (SELECT pg_current_wal_insert_lsn())`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		if all {
			synced++
		}
	}
	if synced < 10 {
		t.Errorf("of 20 commits %d were on disk when Update returned", synced)
	}
}

// Busy readers leave the committers their connections.
func TestReadersDoNotStarveCommits(t *testing.T) {
	db := open(t, testbed.SharedPostgres(t).NewDatabase(t), store.Options{MaxConns: 3})
	hold := make(chan struct{})
	defer close(hold)
	for range 6 {
		go func() {
			_ = db.View(context.Background(), func(context.Context, *store.Tx) error { <-hold; return nil })
		}()
	}
	time.Sleep(100 * time.Millisecond) // three hold a connection, three wait for one; nothing tells when
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "k", "v") }); err != nil {
		t.Errorf("a commit beside busy readers: %v", err)
	}
}

// racing runs before at the moment when a sweep deletes.
type racing struct {
	store.Blobs
	before func()
}

func (r *racing) Delete(ctx context.Context, hash string) error {
	r.before()
	return r.Blobs.Delete(ctx, hash)
}

// D14: an orphan whose mail comes again while it is swept is not lost: the mail
// is refused for now, or its bytes are there.
func TestD14SweepBesideARedelivery(t *testing.T) {
	files, err := blob.Open("file:" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &racing{Blobs: files}
	later := time.Duration(0)
	db := open(t, testbed.SharedPostgres(t).NewDatabase(t), store.Options{Blobs: r, Now: func() time.Time { return time.Now().Add(later) }})
	data := make([]byte, 1<<20)
	_, _ = rand.Read(data)
	orphan, err := db.Stage(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	later = 48 * time.Hour
	added := make(chan error, 1)
	r.before = func() {
		again, err := db.Stage(context.Background(), data)
		if err != nil {
			t.Error(err)
		}
		go func() {
			added <- db.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.AddBlob(ctx, again) })
		}()
		time.Sleep(100 * time.Millisecond) // it waits for the sweep; nothing tells when
	}
	if _, err := db.SweepBlobs(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		if store.CodeOf(err) != store.CodeUnavailable {
			t.Errorf("add: %v", err)
		}
		return
	}
	if got, err := db.Blob(t.Context(), orphan.Hash); err != nil || !bytes.Equal(got, data) {
		t.Errorf("taken, and its bytes are gone: %v", err)
	}
}
