package storetest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
)

func claimCards(t *testing.T, db *store.DB, url, holder string, now, until time.Time) (s store.CardSource, ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		s, ok, err = tx.ClaimCardSource(ctx, url, holder, now, until)
		return err
	})
	return s, ok
}

// leaveCards ends a claim, and tells whether it was still the holder's.
func leaveCards(t *testing.T, db *store.DB, holder string, due time.Time, failures int) (ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		ok, err = tx.LeaveCardSource(ctx, holder, due, failures)
		return err
	})
	return ok
}

func testCardSource(t *testing.T, open Open) {
	db := one(t, open)
	if s, ok := claimCards(t, db, "u", "a", noon(0), noon(2)); !ok || s.URL != "u" || s.Failures != 0 {
		t.Errorf("the first claim: %+v, %v", s, ok)
	}
	if _, ok := claimCards(t, db, "u", "b", noon(1), noon(3)); ok {
		t.Error("two hold it at once")
	}
	if leaveCards(t, db, "b", noon(9), 1) {
		t.Error("somebody left what he did not hold")
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		mine, err := tx.HoldCardSource(ctx, "a", noon(4))
		other, otherErr := tx.HoldCardSource(ctx, "b", noon(9))
		if !mine || other || otherErr != nil {
			t.Errorf("held by a: %v, by b: %v, %v", mine, other, otherErr)
		}
		return err
	})
	if _, ok := claimCards(t, db, "u", "b", noon(3), noon(5)); ok {
		t.Error("a claim that was held on to was taken over")
	}
	if _, ok := claimCards(t, db, "u", "b", noon(4), noon(6)); !ok {
		t.Error("a claim that is over was not taken over")
	}
	if leaveCards(t, db, "a", noon(9), 1) || !leaveCards(t, db, "b", noon(8), 2) {
		t.Error("the older one left, or the newer one did not")
	}
	if _, ok := claimCards(t, db, "u", "a", noon(7), noon(9)); ok {
		t.Error("claimed before it was due")
	}
	if s, ok := claimCards(t, db, "u", "a", noon(8), noon(9)); !ok || s.Failures != 2 {
		t.Errorf("claimed when due: %+v, %v", s, ok)
	}
}

// Of many that want it at once, on two handles, one gets it.
func testCardSourceRace(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := handles[i%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, ok, err := tx.ClaimCardSource(ctx, "u", fmt.Sprint(i), noon(0), noon(1))
				if ok {
					tx.AfterCommit(func() { won.Add(1) })
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d hold it", won.Load())
	}
}

func testBookCards(t *testing.T, open Open) {
	db := one(t, open)
	claimCards(t, db, "u", "a", noon(0), noon(1))
	cards := map[string]store.BookCard{"h1": {Card: "h1", ETag: "1", ContactID: "c1"}, "h2": {Card: "h2", ETag: "2"}}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutBookCards(ctx, "/one/", []store.BookCard{{Card: "h1", ETag: "0"}, cards["h1"], cards["h2"], {Card: "h3"}}); err != nil {
			return err
		}
		if err := tx.PutBookCards(ctx, "/two/", []store.BookCard{{Card: "h1", ETag: "9", ContactID: "c1"}}); err != nil {
			return err
		}
		if err := tx.DeleteBookCards(ctx, "/one/", []string{"h3", "h4"}); err != nil {
			return err
		}
		if err := tx.SetBookMark(ctx, "/one/", "m0"); err != nil {
			return err
		}
		return tx.SetBookMark(ctx, "/one/", "m1")
	})
	look := func(book, mark string, want map[string]store.BookCard) {
		t.Helper()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.BookCards(ctx, book)
			gotMark, markErr := tx.BookMark(ctx, book)
			if !reflect.DeepEqual(got, want) || gotMark != mark || markErr != nil {
				t.Errorf("%s: %v, mark %q, %v", book, got, gotMark, markErr)
			}
			return err
		})
	}
	look("/one/", "m1", cards)
	look("/two/", "", map[string]store.BookCard{"h1": {Card: "h1", ETag: "9", ContactID: "c1"}})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.EraseContacts(ctx, []string{"c1"}, nil) })
	cards["h1"] = store.BookCard{Card: "h1", ETag: "1"}
	look("/one/", "m1", cards)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.ForgetBooks(ctx, []string{"/one/"}) })
	look("/one/", "m1", cards)
	look("/two/", "", map[string]store.BookCard{})
	if leaveCards(t, db, "a", noon(5), 0); t.Failed() {
		return
	}
	if _, ok := claimCards(t, db, "another", "a", noon(1), noon(2)); !ok { // due or not: it is another one
		t.Error("another source has to wait")
	}
	look("/one/", "", map[string]store.BookCard{})
}
