package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/postgres"
)

// TestCrash crashes the server under load, several times. What Update
// acknowledged must be there afterwards, and nothing may be there twice; the
// store must find its way back without help.
func TestCrash(t *testing.T) {
	server := testbed.Postgres(t)
	db := open(t, server.NewDatabase(t), store.Options{})
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "1"})
	})
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged sync.Map // activity id
	var good, bad atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 20 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, i)
				err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					return tx.InsertActivity(ctx, &store.Activity{ID: id, Ticket: 1, Text: id, CreatedAt: time.Now()})
				})
				switch {
				case err == nil:
					good.Add(1)
					acknowledged.Store(id, true)
				case store.CodeOf(err) != store.CodeUnavailable:
					t.Errorf("%s: %v", id, err)
				default:
					bad.Add(1)
				}
			}
		})
	}
	await := func(n int64) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for good.Load() < n {
			if time.Now().After(deadline) {
				t.Fatalf("%d commits of %d, %d refused: the store does not come back", good.Load(), n, bad.Load())
			}
			time.Sleep(time.Millisecond) // counters of other goroutines have no signal
		}
	}
	for range 3 {
		await(good.Load() + 200)
		server.Restart(t, "immediate")
	}
	await(good.Load() + 200)
	close(stop)
	wg.Wait()

	seen := map[string]bool{}
	err = db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for next, page := "", 0; page == 0 || next != ""; page++ {
			var all []store.Activity
			var err error
			if all, next, err = tx.Activities(ctx, 1, next, 200); err != nil {
				return err
			}
			for _, a := range all {
				if seen[a.Text] {
					t.Errorf("%s is there twice", a.Text)
				}
				seen[a.Text] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged.Range(func(id, _ any) bool {
		if !seen[id.(string)] {
			t.Errorf("%s was acknowledged, and is gone", id)
		}
		return true
	})
	t.Logf("%d acknowledged, %d refused, %d there", good.Load(), bad.Load(), len(seen))
}

// TestServerGone asks while the server is down, and after.
func TestServerGone(t *testing.T) {
	server := testbed.Postgres(t)
	url := server.NewDatabase(t)
	db := open(t, url, store.Options{})
	set := func() error {
		return db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "a", "b") })
	}
	get := func() error {
		return db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Meta(ctx, "a")
			return err
		})
	}
	for range 3 { // some connections in the pool
		if err := set(); err != nil {
			t.Fatal(err)
		}
	}
	server.Stop(t, "immediate")
	for name, err := range map[string]error{"update": set(), "view": get(), "ping": db.Ping(t.Context())} {
		if store.CodeOf(err) != store.CodeUnavailable {
			t.Errorf("%s while the server is down: %v", name, err)
		}
	}
	if _, err := postgres.Open(t.Context(), url, store.Options{}); store.CodeOf(err) != store.CodeUnavailable {
		t.Errorf("open while the server is down: %v", err)
	}
	server.Start(t)
	for range 5 {
		if err := get(); err != nil {
			t.Errorf("view after a restart: %v", err)
		}
		if err := set(); err != nil {
			t.Errorf("update after a restart: %v", err)
		}
	}
	// Nobody asks meanwhile: what stays in the pool is dead, and not noticed.
	server.Restart(t, "immediate")
	if err := get(); err != nil {
		t.Errorf("view after a silent restart: %v", err)
	}
	server.Restart(t, "immediate")
	if err := set(); err != nil {
		t.Errorf("update after a silent restart: %v", err)
	}
}
