package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
)

func testUpdate(t *testing.T, open Open) {
	db := one(t, open)
	must(t, db.Ping(t.Context()))
	ran := false
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		tx.AfterCommit(func() { ran = true })
		return tx.SetMeta(ctx, "kept", "yes")
	})
	if !ran {
		t.Error("what was to run after the commit did not")
	}

	sentinel := errors.New("no")
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		tx.AfterCommit(func() { t.Error("ran after a rollback") })
		if err := tx.SetMeta(ctx, "gone", "yes"); err != nil {
			return err
		}
		return sentinel
	})
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want the function's own", err)
	}
	err = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetMeta(ctx, "gone", "yes"); err != nil {
			return err
		}
		panic("boom")
	})
	wantCode(t, err, store.CodeInternal, "")

	err = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetMeta(ctx, "gone", "yes"); err != nil {
			return err
		}
		// The error is overlooked: the work must be undone all the same.
		_ = tx.SetMeta(ctx, "nul", "a\x00b")
		_, _ = tx.Ticket(ctx, 4711)
		return tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "twice"})
	})
	must(t, err)
	err = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetMeta(ctx, "gone", "again"); err != nil {
			return err
		}
		_ = tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "twice"})
		return nil
	})
	wantCode(t, err, store.CodeData, store.ReasonDuplicate)

	must(t, db.Dry(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "dry", "yes") }))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = db.Update(ended, func(context.Context, *store.Tx) error {
		t.Error("ran for a caller who had gone")
		return nil
	})
	wantCode(t, err, store.CodeUnavailable, "")

	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for key, want := range map[string]string{"kept": "yes", "gone": "yes", "dry": ""} {
			if got, err := tx.Meta(ctx, key); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", key, got, err, want)
			}
		}
		return nil
	})
	must(t, db.Close())
	must(t, db.Close())
	err = db.Update(t.Context(), func(context.Context, *store.Tx) error { return nil })
	wantCode(t, err, store.CodeUnavailable, "")
}

// testGroups lets many callers write at once; every third of them fails, in
// each of the ways there are, and takes nobody along.
func testGroups(t *testing.T, open Open) {
	var commits atomic.Int64
	db := open(t, store.Options{Observe: func(int, time.Duration) { commits.Add(1) }})()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "one"})
	})
	sentinel := errors.New("no")
	fail := func(ctx context.Context, tx *store.Tx, i int) error {
		switch i % 12 {
		case 2:
			return sentinel
		case 5:
			panic("boom")
		case 8:
			return tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "again"})
		case 11:
			return tx.SetMeta(ctx, "text", "not \xff UTF-8")
		}
		return nil
	}
	const callers, rounds = 50, 6
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for r := range rounds {
				i := c*rounds + r
				err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					number, err := tx.NextNumber(ctx)
					if err != nil {
						return err
					}
					ticket := store.Ticket{Number: number, ID: fmt.Sprint(i), Kind: store.KindEmail, CreatedAt: noon(i)}
					if err := tx.InsertTicket(ctx, ticket); err != nil {
						return err
					}
					a := &store.Activity{ID: fmt.Sprint("a", i), Ticket: 1, CreatedAt: noon(i)}
					if err := tx.InsertActivity(ctx, a); err != nil {
						return err
					}
					if err := tx.Index(ctx, store.SearchEntry{ActivityID: a.ID, Text: fmt.Sprintf("word%d", i)}); err != nil {
						return err
					}
					return fail(ctx, tx, i)
				})
				if (err != nil) != (i%3 == 2) {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if n := commits.Load(); n >= callers*rounds {
		t.Errorf("%d commits for %d calls: nothing was grouped", n, callers*rounds)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		seen := map[string]bool{}
		next := ""
		for page := 0; page == 0 || next != ""; page++ {
			var tickets []store.Ticket
			var err error
			if tickets, next, err = tx.Tickets(ctx, store.TicketFilter{Cursor: next, Limit: 70}); err != nil {
				return err
			}
			for _, ticket := range tickets {
				seen[ticket.ID] = true
			}
		}
		for i := range callers * rounds {
			if seen[fmt.Sprint(i)] != (i%3 != 2) {
				t.Errorf("ticket of call %d is there: %v", i, seen[fmt.Sprint(i)])
			}
			hits, _, err := tx.Tickets(ctx, store.TicketFilter{Query: fmt.Sprintf("word%d", i)})
			if err != nil || (len(hits) == 1) != (i%3 != 2) {
				t.Errorf("call %d is found: %v, %v", i, numbers(hits), err)
			}
		}
		first, err := tx.Ticket(ctx, 1)
		if want := callers * rounds * 2 / 3; first.Activities != want {
			t.Errorf("%d activities, want %d", first.Activities, want)
		}
		return err
	})
}

// testHandles lets two handles, as of two processes, write the same rows.
func testHandles(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	a, b := addTicket(t, handles[0], nil), addTicket(t, handles[1], nil)
	if a.Number != 10001 || b.Number != 10002 {
		t.Errorf("numbers %d and %d", a.Number, b.Number)
	}
	var wg sync.WaitGroup
	const each = 20
	for c := range 8 {
		wg.Go(func() {
			// Half of them lock the tickets in the other order.
			order := []int64{a.Number, b.Number}
			if c%4 >= 2 {
				order = []int64{b.Number, a.Number}
			}
			for range each {
				err := handles[c%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					for _, number := range order {
						ticket, err := tx.Ticket(ctx, number)
						if err != nil {
							return err
						}
						ticket.Version++
						if err := tx.UpdateTicket(ctx, ticket); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
		both, err := tx.TicketsByNumber(ctx, []int64{b.Number, a.Number, 4711})
		if len(both) != 2 || both[0].Version != 1+8*each || both[1].Version != 1+8*each {
			t.Errorf("an update was lost: %+v", both)
		}
		return err
	})
}

func testView(t *testing.T, open Open) {
	db := one(t, open)
	err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if tx.Writable() {
			t.Error("a view says that it writes")
		}
		return tx.SetMeta(ctx, "a", "b")
	})
	wantCode(t, err, store.CodeInternal, "")
	err = db.View(t.Context(), func(context.Context, *store.Tx) error { panic("boom") })
	wantCode(t, err, store.CodeInternal, "")
	// More readers at once than there are connections.
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if _, err := db.Desk(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = db.View(ended, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Meta(ctx, "a")
		return err
	})
	wantCode(t, err, store.CodeUnavailable, "")
	if _, err := db.Desk(t.Context()); err != nil {
		t.Errorf("after a reader that gave up: %v", err)
	}
}
