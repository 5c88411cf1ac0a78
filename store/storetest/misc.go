package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/blob"
)

func testDeliveryKeys(t *testing.T, open Open) {
	db := one(t, open)
	key := store.DeliveryKey{ActivityID: "a", QuarantineID: "q", Ticket: 7, At: noon(1)}
	for i, want := range []bool{true, false} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			added, err := tx.AddDeliveryKey(ctx, "mail", "h1", key)
			if added != want {
				t.Errorf("time %d: added %v", i, added)
			}
			return err
		})
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		added, err := tx.AddDeliveryKey(ctx, "other", "h1", store.DeliveryKey{At: noon(5)})
		if !added {
			t.Error("another account's key is taken for this one's")
		}
		return err
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		key.AccountID, key.Hash = "mail", "h1"
		if got, err := tx.DeliveryKeys(ctx, "mail", []string{"h0", "h1"}); err != nil || !slices.Equal(got, []store.DeliveryKey{key}) {
			t.Errorf("keys %+v, %v", got, err)
		}
		if got, err := tx.DeliveryKeys(ctx, "", []string{"h1"}); err != nil || len(got) != 2 || got[0] != key {
			t.Errorf("keys %+v, %v", got, err)
		}
		if got, err := tx.DeliveryKeys(ctx, "", nil); err != nil || len(got) != 0 {
			t.Errorf("keys %+v, %v", got, err)
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PruneDeliveryKeys(ctx, noon(3))
		if n != 1 {
			t.Errorf("%d keys pruned", n)
		}
		return err
	})
}

// testDeliveryKeyRace hands the same bytes to two handles at once, many times.
func testDeliveryKeyRace(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	var wg sync.WaitGroup
	var added [10]atomic.Int64
	for c := range 10 {
		wg.Go(func() {
			for h := range added {
				// Half of them come from the other end.
				if c%2 == 0 {
					h = len(added) - 1 - h
				}
				mine := false
				err := handles[c%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
					if mine, err = tx.AddDeliveryKey(ctx, "mail", fmt.Sprint(h), store.DeliveryKey{At: noon(0)}); err != nil || !mine {
						return err
					}
					n, err := tx.NextNumber(ctx)
					if err != nil {
						return err
					}
					return tx.InsertTicket(ctx, store.Ticket{Number: n, ID: fmt.Sprint(h)})
				})
				if err != nil {
					t.Error(err)
				}
				if mine {
					added[h].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for h := range added {
		if n := added[h].Load(); n != 1 {
			t.Errorf("key %d was added %d times", h, n)
		}
	}
	view(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
		all, _, err := tx.Tickets(ctx, store.TicketFilter{Limit: 100})
		if len(all) != len(added) {
			t.Errorf("%d tickets, want %d", len(all), len(added))
		}
		return err
	})
}

func testQuarantine(t *testing.T, open Open) {
	db := one(t, open)
	q := store.Quarantined{ID: "q1", Reason: "loop", AccountID: "mail", EnvelopeFrom: "a@b", EnvelopeTo: []string{"c@d"},
		From: []store.Address{{Address: "a@b"}}, To: []store.Address{{Name: "C", Address: "c@d"}}, Subject: "S", RawHash: "h",
		Trace: "X: y\r\n", CreatedAt: noon(1)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertQuarantined(ctx, q); err != nil {
			return err
		}
		return tx.InsertQuarantined(ctx, store.Quarantined{ID: "q2"})
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.Quarantined(ctx, "q1"); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("quarantined %+v, %v", got, err)
		}
		page, next, err := tx.QuarantinedList(ctx, "", 1)
		if err != nil || len(page) != 1 || page[0].ID != "q2" {
			t.Errorf("page %+v, %v", page, err)
		}
		if page, next, err = tx.QuarantinedList(ctx, next, 1); len(page) != 1 || page[0].ID != "q1" || next != "" {
			t.Errorf("second page %+v, %q", page, next)
		}
		return err
	})
	q.Reason, q.Auth = "other", &store.Auth{Verdict: store.Verified}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.UpdateQuarantined(ctx, q); err != nil {
			return err
		}
		for i, id := range []string{"r1", "r2", "r3", "r1"} {
			if err := tx.PutRecheck(ctx, store.Recheck{ID: id, Attempt: i, DueAt: noon(10 - i)}); err != nil {
				return err
			}
		}
		return tx.DeleteRecheck(ctx, "r2")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.Quarantined(ctx, "q1"); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("quarantined %+v, %v", got, err)
		}
		due, err := tx.DueRechecks(ctx, noon(8), 10)
		if !slices.Equal(due, []store.Recheck{{ID: "r1", Attempt: 3, DueAt: noon(7)}, {ID: "r3", Attempt: 2, DueAt: noon(8)}}) {
			t.Errorf("due %+v", due)
		}
		if due, err := tx.DueRechecks(ctx, noon(7), 1); len(due) != 1 || err != nil {
			t.Errorf("due %+v, %v", due, err)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, attempt := range []int{1, 3, 3} { // one that is not the row's any more changes nothing
			if err := tx.RetryRecheck(ctx, store.Recheck{ID: "r1", Attempt: attempt}, noon(20)); err != nil {
				return err
			}
		}
		if err := tx.RetryRecheck(ctx, store.Recheck{ID: "r2"}, noon(20)); err != nil { // ended, and stays so
			return err
		}
		due, err := tx.DueRechecks(ctx, noon(30), 10)
		if !slices.Equal(due, []store.Recheck{{ID: "r3", Attempt: 2, DueAt: noon(8)}, {ID: "r1", Attempt: 4, DueAt: noon(20)}}) {
			t.Errorf("due %+v", due)
		}
		for _, want := range []bool{true, false} {
			if mine, err := tx.EndRecheck(ctx, "r3"); mine != want || err != nil {
				t.Errorf("ended %v, %v", mine, err)
			}
		}
		return err
	})
	del := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteQuarantined(ctx, "q1") }
	update(t, db, del)
	wantCode(t, db.Update(t.Context(), del), store.CodeNotFound, "")
}

func testOpenings(t *testing.T, open Open) {
	db := one(t, open)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i, o := range []store.Opening{
			{AccountID: "a", Key: "k", Subject: "disk", Ticket: 7, At: noon(1)},
			{AccountID: "a", Key: "k", Subject: "disk", Ticket: 8, At: noon(2)},
			{AccountID: "a", Key: "k", Subject: "load", Ticket: 9, At: noon(3)},
			{AccountID: "a", Key: "other", Subject: "disk", Ticket: 10, At: noon(3)},
			{AccountID: "b", Key: "k", Subject: "disk", Ticket: 11, At: noon(3)},
		} {
			if err := tx.AddOpening(ctx, o); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		for i, want := range []bool{true, false, false, true} {
			if told, err := tx.NoteFlood(ctx, "a", "k", noon(3+i), noon(i)); err != nil || told != want {
				t.Errorf("told %d: %v, %v", i, told, err)
			}
		}
		return nil
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, c := range []struct{ since, most, want int }{{0, 10, 3}, {0, 2, 2}, {1, 10, 2}, {3, 10, 0}} {
			if n, err := tx.CountOpenings(ctx, "a", "k", noon(c.since), c.most); err != nil || n != c.want {
				t.Errorf("%+v: %d, %v", c, n, err)
			}
		}
		for _, c := range []struct {
			subject string
			since   int
			want    int64
		}{{"disk", 0, 8}, {"load", 0, 9}, {"disk", 2, 0}, {"", 0, 0}} {
			if n, err := tx.NewestOpening(ctx, "a", "k", c.subject, noon(c.since)); err != nil || n != c.want {
				t.Errorf("%+v: %d, %v", c, n, err)
			}
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PruneOpenings(ctx, noon(3))
		if n != 2 {
			t.Errorf("%d pruned", n)
		}
		return err
	})
}

func testBlobs(t *testing.T, open Open) {
	large, err := blob.Open("file:" + t.TempDir())
	must(t, err)
	db := open(t, store.Options{Blobs: large, Now: func() time.Time { return time.Now().Add(time.Hour) }})()
	noise := make([]byte, 300<<10)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for name, data := range map[string][]byte{
		"empty":        {},
		"small":        []byte("From: a@b\r\n\r\ntext\r\n"),
		"large":        noise,
		"well packed":  bytes.Repeat([]byte("all the same "), 1<<20),
		"not to clean": {0, 0xff, 0xfe},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := db.Stage(t.Context(), data)
			must(t, err)
			sum := sha256.Sum256(data)
			if b.Hash != hex.EncodeToString(sum[:]) || b.Size != int64(len(data)) {
				t.Errorf("blob %s %d", b.Hash, b.Size)
			}
			_, err = db.Blob(t.Context(), b.Hash)
			wantCode(t, err, store.CodeNotFound, "")
			for range 2 {
				update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddBlob(ctx, b) })
			}
			got, err := db.Blob(t.Context(), b.Hash)
			must(t, err)
			if !bytes.Equal(got, data) {
				t.Error("other bytes came back")
			}
			if has, err := large.Has(t.Context(), b.Hash); err != nil || has != (name == "large") {
				t.Errorf("lies outside of the database: %v, %v", has, err)
			}
		})
	}
	orphan, err := db.Stage(t.Context(), noise[1:])
	must(t, err)
	if n, err := db.SweepBlobs(t.Context(), 2*time.Hour); n != 0 || err != nil {
		t.Errorf("a young blob was swept: %d, %v", n, err)
	}
	if n, err := db.SweepBlobs(t.Context(), time.Minute); n != 1 || err != nil {
		t.Errorf("%d blobs swept, %v", n, err)
	}
	if has, err := large.Has(t.Context(), orphan.Hash); has || err != nil {
		t.Errorf("the orphan is there: %v", err)
	}
}

func testDKIMKeys(t *testing.T, open Open) {
	db := one(t, open)
	k := store.DKIMKey{ID: "k1", Domain: "a.example", Selector: "s", Algorithm: "rsa", State: store.DKIMNew, Public: "p", Private: []byte{0, 1}, CreatedAt: noon(0)}
	put := func(k store.DKIMKey) error {
		return db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, k) })
	}
	must(t, put(k))
	k.State, k.ActivatedAt = store.DKIMActive, noon(1)
	must(t, put(k))
	must(t, put(store.DKIMKey{ID: "k2", Domain: "b.example", Selector: "s", Private: []byte{}}))
	wantCode(t, put(store.DKIMKey{ID: "k3", Domain: "a.example", Selector: "s", Private: []byte{}}), store.CodeConflict, store.ReasonDuplicate)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.DKIMKey(ctx, "k1"); err != nil || !reflect.DeepEqual(got, k) {
			t.Errorf("key %+v, %v", got, err)
		}
		for domain, want := range map[string]int{"": 2, "a.example": 1, "c.example": 0} {
			if all, err := tx.DKIMKeys(ctx, domain); len(all) != want || err != nil {
				t.Errorf("keys of %q: %v, %v", domain, all, err)
			}
		}
		return nil
	})
	del := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteDKIMKey(ctx, "k1") }
	update(t, db, del)
	wantCode(t, db.Update(t.Context(), del), store.CodeNotFound, "")
}

func testMeta(t *testing.T, open Open) {
	db := one(t, open)
	for _, value := range []string{"1", "2"} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "k", value) })
	}
	begun := store.Answered{Caller: "anna", Path: "/tickets", Key: "k", BodyHash: "b", At: noon(1)}
	done := begun
	done.Status, done.Location, done.Response = 201, "/tickets/1", "{}"
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.Meta(ctx, "k"); got != "2" || err != nil {
			t.Errorf("meta %q, %v", got, err)
		}
		for i, want := range []bool{true, false} {
			if added, err := tx.AddIdempotent(ctx, begun); added != want || err != nil {
				t.Errorf("time %d: added %v, %v", i, added, err)
			}
		}
		if got, ok, err := tx.Idempotent(ctx, "anna", "/tickets", "k"); got != begun || !ok || err != nil {
			t.Errorf("answered %+v, %v, %v", got, ok, err)
		}
		return tx.PutIdempotent(ctx, done)
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, ok, err := tx.Idempotent(ctx, "anna", "/tickets", "k"); got != done || !ok || err != nil {
			t.Errorf("answered %+v, %v, %v", got, ok, err)
		}
		_, ok, err := tx.Idempotent(ctx, "otto", "/tickets", "k")
		if ok {
			t.Error("another caller's key")
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if n, err := tx.PruneIdempotent(ctx, noon(1)); n != 0 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if n, err := tx.PruneIdempotent(ctx, noon(2)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		return tx.DeleteIdempotent(ctx, "anna", "/tickets", "k")
	})
}

// testOddData hands over what a database may refuse: it is that one call's
// fault, and known as such.
func testOddData(t *testing.T, open Open) {
	db := one(t, open)
	for name, subject := range map[string]string{"NUL": "a\x00b", "invalid UTF-8": "a\xffb", "surrogate": "\xed\xa0\x80"} {
		err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.InsertTicket(ctx, store.Ticket{Number: 1, ID: "1", Subject: subject})
		})
		if store.CodeOf(err) != store.CodeData {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := strings.Repeat("Größe \u200b😀", 100_000)
	ticket := addTicket(t, db, func(ticket *store.Ticket) { ticket.Subject = huge })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Ticket(ctx, ticket.Number)
		if got.Subject != huge {
			t.Error("a long subject came back changed")
		}
		return err
	})
}
