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

func takeOver(t *testing.T, db *store.DB, id string, ended time.Time) (d store.Delivery, ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		d, ok, err = tx.TakeOverDelivery(ctx, id, ended, noon(9))
		return err
	})
	return d, ok
}

// testClaims lets two workers of two processes want the same delivery, and one
// come too late.
func testClaims(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	db := handles[0]
	var recipients []string
	for i := range 10 {
		recipients = append(recipients, fmt.Sprintf("r%d@a.example", i))
	}
	addMail(t, db, "x", store.MailAnswer, 0, recipients...)
	var wg sync.WaitGroup
	var granted [10]atomic.Int64
	for c := range 8 {
		wg.Go(func() {
			for i := range granted {
				err := handles[c%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					_, _, ok, err := tx.ClaimDelivery(ctx, fmt.Sprintf("xd%d", i), noon(1), noon(6))
					if ok {
						tx.AfterCommit(func() { granted[i].Add(1) })
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range granted {
		if n := granted[i].Load(); n != 1 {
			t.Errorf("delivery %d was granted %d times", i, n)
		}
	}
	// The first worker's lease ends, and a second one takes over.
	if _, ok := takeOver(t, db, "xd0", noon(5)); ok {
		t.Error("taken over while the lease lasts")
	}
	if _, ok := claim(t, db, "xd0", noon(7), noon(9)); ok {
		t.Error("claimed though nobody said that its worker is lost")
	}
	if d, ok := takeOver(t, db, "xd0", noon(6)); !ok || d.Fence != 2 || d.State != store.Sending || !d.LeaseUntil.Equal(noon(9)) {
		t.Fatalf("taken over: %+v, %v", d, ok)
	}
	if _, ok := finish(t, db, "xd0", 1, store.Outcome{State: store.Sent, Attempt: &store.Attempt{At: noon(7)}}); ok {
		t.Error("a stale worker's outcome was taken")
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for fence, want := range map[int64]bool{1: false, 2: true} {
			if ok, err := tx.ExtendLease(ctx, "xd0", fence, noon(20)); ok != want || err != nil {
				t.Errorf("lease of %d extended: %v, %v", fence, ok, err)
			}
		}
		return nil
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if expired, err := tx.ExpiredLeases(ctx, noon(5), 100); len(expired) != 0 || err != nil {
			t.Errorf("expired %+v, %v", expired, err)
		}
		expired, err := tx.ExpiredLeases(ctx, noon(6), 100)
		if len(expired) != 9 {
			t.Errorf("%d expired, want 9", len(expired))
		}
		attempts, err2 := tx.Attempts(ctx, "xd0")
		if len(attempts) != 0 || err2 != nil {
			t.Errorf("attempts %v, %v", attempts, err2)
		}
		return err
	})
	// What the reconciler does with one of them.
	if d, ok := finish(t, db, "xd1", 1, store.Outcome{State: store.Unknown, NextAttemptAt: noon(7)}); !ok || d.State != store.Unknown || d.Attempts != 0 {
		t.Errorf("unknown %+v, %v", d, ok)
	}
	testLateSent(t, db)
}

// testLateSent: a worker that was given up for lost knows that the mail left.
func testLateSent(t *testing.T, db *store.DB) {
	t.Helper()
	lost := store.Outcome{State: store.Unknown, NextAttemptAt: noon(7)}
	sent := store.Outcome{State: store.Sent, Attempt: &store.Attempt{At: noon(8), Code: 250}}
	takeOver(t, db, "xd2", noon(6))
	finish(t, db, "xd2", 2, lost)
	if _, ok := finish(t, db, "xd2", 1, store.Outcome{State: store.Failure}); ok {
		t.Error("a late failure was taken")
	}
	if d, ok := finish(t, db, "xd2", 1, sent); !ok || d.State != store.Sent || d.Attempts != 1 {
		t.Errorf("late: %+v, %v", d, ok)
	}
	takeOver(t, db, "xd3", noon(6))
	finish(t, db, "xd3", 2, lost)
	claim(t, db, "xd3", noon(7), noon(9))
	if _, ok := finish(t, db, "xd3", 1, sent); ok {
		t.Error("a late outcome was taken while another one sends")
	}
	finish(t, db, "xd3", 3, lost)
	if d, ok := finish(t, db, "xd3", 1, sent); ok {
		t.Errorf("too late: %+v", d)
	}
}

// testWaiting: what became queued since a time, and what says why it waits.
func testWaiting(t *testing.T, open Open) {
	db := one(t, open)
	addMail(t, db, "x", store.MailAnswer, 0, "a@a.example", "b@a.example", "c@a.example", "d@a.example")
	claim(t, db, "xd0", noon(1), noon(6))
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ChangeDelivery(ctx, "xd1", store.ActionRetry, noon(3))
		return err
	})
	since := func(from time.Time, after string) (ids string, last store.Delivery) {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			rows, err := tx.QueuedSince(ctx, from, after, 2)
			for _, d := range rows {
				ids, last = ids+d.ID+" ", d
			}
			return err
		})
		return ids, last
	}
	first, last := since(noon(0), "")
	rest, _ := since(last.UpdatedAt, last.ID)
	recent, _ := since(noon(1), "")
	if first != "xd2 xd3 " || rest != "xd1 " || recent != "xd1 " {
		t.Errorf("queued since: %q, then %q; recently %q", first, rest, recent)
	}
	for _, reason := range []string{"smarthost unreachable", "another"} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.ExplainWait(ctx, reason, noon(4)), tx.ExplainWait(ctx, reason, noon(4), "xd0", "xd2", "none"))
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for id, want := range map[string]store.DeliveryState{"xd0": store.Sending, "xd1": store.Queued, "xd2": store.Deferred, "xd3": store.Queued} {
			d, err := tx.Delivery(ctx, id)
			if err != nil || d.State != want || (want == store.Deferred) != (d.Reason == "smarthost unreachable") || d.Attempts != 0 {
				t.Errorf("%+v, %v", d, err)
			}
		}
		return nil
	})
}
