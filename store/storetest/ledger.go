package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"ticketgate/store"
)

// addMail adds a mail about a ticket, with one queued delivery for each
// recipient: "d0", "d1", ... with the prefix.
func addMail(t *testing.T, db *store.DB, prefix string, kind store.MailKind, ticket int64, recipients ...string) store.Mail {
	t.Helper()
	m := store.Mail{ID: prefix + "mail", Kind: kind, AccountID: "mail", ActivityID: prefix + "activity", Ticket: ticket, CreatedAt: noon(0),
		MailContent: store.MailContent{From: store.Address{Address: "s@desk.example"}, Subject: "Re: x", Date: noon(0), MessageID: prefix + "@desk.example"}}
	must(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.AddMail(ctx, m, deliveries(prefix, recipients))
	}))
	return m
}

func deliveries(prefix string, recipients []string) []store.Delivery {
	var all []store.Delivery
	for i, r := range recipients {
		all = append(all, store.Delivery{ID: fmt.Sprintf("%sd%d", prefix, i), AccountID: "mail", Recipient: r, RecipientKey: r, Domain: "a.example",
			ReturnPath: "b+x@desk.example", MessageID: prefix + "@desk.example", State: store.Queued, NextAttemptAt: noon(0), CreatedAt: noon(0), UpdatedAt: noon(0)})
	}
	return all
}

func claim(t *testing.T, db *store.DB, id string, now, until time.Time) (d store.Delivery, ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		d, _, ok, err = tx.ClaimDelivery(ctx, id, now, until)
		return err
	})
	return d, ok
}

func finish(t *testing.T, db *store.DB, id string, fence int64, o store.Outcome) (d store.Delivery, ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		d, ok, err = tx.FinishDelivery(ctx, id, fence, o)
		return err
	})
	return d, ok
}

func testLedger(t *testing.T, open Open) {
	db := one(t, open)
	m := addMail(t, db, "x", store.MailAnswer, 0, "a@a.example", "b@a.example")
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.Mail(ctx, m.ID); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("mail\n%+v, %v; want\n%+v", got, err, m)
		}
		got, err := tx.Delivery(ctx, "xd0")
		want := deliveries("x", []string{"a@a.example"})[0]
		want.MailID, want.Kind, want.ActivityID = m.ID, m.Kind, m.ActivityID
		if got != want {
			t.Errorf("delivery\n%+v, want\n%+v", got, want)
		}
		if due := got.Due(); due != (store.Due{DeliveryID: "xd0", AccountID: "mail", Domain: "a.example", Priority: 2, DueAt: noon(0)}) {
			t.Errorf("due %+v", due)
		}
		return err
	})
	if _, ok := claim(t, db, "xd0", noon(-1), noon(4)); ok {
		t.Error("claimed before it is due")
	}
	d, ok := claim(t, db, "xd0", noon(1), noon(6))
	if !ok || d.State != store.Sending || d.Fence != 1 || !d.LeaseUntil.Equal(noon(6)) {
		t.Fatalf("claim %+v, %v", d, ok)
	}
	d, ok = finish(t, db, "xd0", 1, store.Outcome{State: store.Deferred, Reason: "greylisted", NextAttemptAt: noon(10),
		Attempt: &store.Attempt{At: noon(2), Host: "mx", Code: 450, Enhanced: "4.2.0", Text: "later"}})
	if !ok || d.State != store.Deferred || d.Attempts != 1 || !d.NextAttemptAt.Equal(noon(10)) || d.LastCode != 450 || !d.LeaseUntil.IsZero() {
		t.Fatalf("deferred %+v, %v", d, ok)
	}
	if _, ok := claim(t, db, "xd0", noon(9), noon(12)); ok {
		t.Error("claimed before the next attempt is due")
	}
	if d, ok = claim(t, db, "xd0", noon(10), noon(15)); !ok || d.Fence != 2 {
		t.Fatalf("second claim %+v, %v", d, ok)
	}
	if d, ok = finish(t, db, "xd0", 2, store.Outcome{State: store.Sent, Attempt: &store.Attempt{At: noon(11), Host: "mx", Code: 250}}); !ok || d.State != store.Sent {
		t.Fatalf("sent %+v, %v", d, ok)
	}
	if _, ok := claim(t, db, "xd0", noon(20), noon(25)); ok {
		t.Error("claimed though it was sent")
	}
	if _, ok := claim(t, db, "none", noon(20), noon(25)); ok {
		t.Error("claimed what is not there")
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Attempts(ctx, "xd0", "xd1")
		want := []store.Attempt{{At: noon(2), Host: "mx", Code: 450, Enhanced: "4.2.0", Text: "later"}, {At: noon(11), Host: "mx", Code: 250}}
		if !slices.Equal(got["xd0"], want) || len(got) != 1 {
			t.Errorf("attempts %+v", got)
		}
		for _, missing := range []error{second(tx.Mail(ctx, "none")), second(tx.Delivery(ctx, "none"))} {
			wantCode(t, missing, store.CodeNotFound, "")
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.WarnDelivery(ctx, "xd1") })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		d, err := tx.Delivery(ctx, "xd1")
		if !d.Warned {
			t.Error("not warned")
		}
		return err
	})
}

func second[T any](_ T, err error) error { return err }

func testChanges(t *testing.T, open Open) {
	db := one(t, open)
	states := []store.DeliveryState{store.Queued, store.Sending, store.Sent, store.Deferred, store.Failure, store.Unknown, store.Held, store.Cancelled}
	allowed := map[string]map[store.DeliveryState]store.DeliveryState{
		store.ActionRetry:   {store.Queued: store.Queued, store.Deferred: store.Queued, store.Failure: store.Queued, store.Unknown: store.Queued},
		store.ActionHold:    {store.Queued: store.Held, store.Deferred: store.Held, store.Unknown: store.Held},
		store.ActionRelease: {store.Held: store.Queued},
		store.ActionCancel:  {store.Queued: store.Cancelled, store.Deferred: store.Cancelled, store.Unknown: store.Cancelled, store.Held: store.Cancelled},
	}
	for action, table := range allowed {
		for _, state := range states {
			id := action + string(state)
			d := deliveries(id, []string{"a@a.example"})
			d[0].State, d[0].NextAttemptAt = state, noon(30)
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddMail(ctx, store.Mail{ID: id, Kind: store.MailAnswer}, d)
			})
			err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.ChangeDelivery(ctx, d[0].ID, action, noon(5))
				asked := err == nil && got.State == store.Queued
				if asked && !got.NextAttemptAt.Equal(noon(5)) || err == nil && asked != got.RetriedAt.Equal(noon(5)) {
					t.Errorf("%s of %s: due at %v, retried at %v", action, state, got.NextAttemptAt, got.RetriedAt)
				}
				return err
			})
			want, ok := table[state]
			if !ok {
				wantCode(t, err, store.CodeConflict, "")
				want = state
			} else if err != nil {
				t.Errorf("%s of %s: %v", action, state, err)
			}
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				got, err := tx.Delivery(ctx, d[0].ID)
				if got.State != want {
					t.Errorf("%s of %s gives %s, want %s", action, state, got.State, want)
				}
				return err
			})
		}
	}
	// What was written to leave at a time leaves then, also after it was held.
	later := deliveries("later", []string{"a@a.example"})
	later[0].State, later[0].CreatedAt, later[0].NextAttemptAt = store.Held, noon(30), noon(30)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddMail(ctx, store.Mail{ID: "later", Kind: store.MailAnswer}, later); err != nil {
			return err
		}
		got, err := tx.ChangeDelivery(ctx, later[0].ID, store.ActionRelease, noon(5))
		if !got.NextAttemptAt.Equal(noon(30)) || !got.RetriedAt.Equal(noon(30)) {
			t.Errorf("released it is due at %v, and ages from %v", got.NextAttemptAt, got.RetriedAt)
		}
		return err
	})
	for id, code := range map[string]store.Code{"retryqueuedd0": store.CodeInvalid, "none": store.CodeNotFound} {
		wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ChangeDelivery(ctx, id, "explode", noon(5))
			return err
		}), code, "")
	}
}

func testBounces(t *testing.T, open Open) {
	db := open(t, store.Options{Now: func() time.Time { return noon(8) }})()
	addMail(t, db, "x", store.MailAnswer, 0, "a@a.example", "b@a.example", "c@a.example")
	bounce := func(id string, permanent bool) (d store.Delivery) {
		t.Helper()
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			d, err = tx.BounceDelivery(ctx, id, 550, "5.1.1", "no such user", permanent)
			return err
		})
		return d
	}
	sent := store.Outcome{State: store.Sent, Attempt: &store.Attempt{At: noon(3), Code: 250}}

	claim(t, db, "xd0", noon(1), noon(6))
	finish(t, db, "xd0", 1, sent)
	if d := bounce("xd0", false); d.State != store.Sent || d.Bounced || d.LastCode != 550 {
		t.Errorf("a delay changed the state: %+v", d)
	}
	if d := bounce("xd0", true); d.State != store.Failure || !d.Bounced {
		t.Errorf("after a bounce: %+v", d)
	}
	// While it is being sent the bounce waits, and outweighs the outcome.
	claim(t, db, "xd1", noon(1), noon(6))
	if d := bounce("xd1", true); d.State != store.Sending {
		t.Errorf("a bounce took a delivery from its worker: %+v", d)
	}
	if _, ok := claim(t, db, "xd1", noon(7), noon(9)); ok {
		t.Error("what bounced is sent again")
	}
	if d, ok := finish(t, db, "xd1", 1, sent); !ok || d.State != store.Failure || d.LastCode != 550 {
		t.Errorf("after the outcome: %+v, %v", d, ok)
	}
	if d := bounce("xd2", true); d.State != store.Failure {
		t.Errorf("unsent, but bounced: %+v", d)
	}
	// A person may try all the same.
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ChangeDelivery(ctx, "xd2", store.ActionRetry, noon(9))
		return err
	})
	if d, ok := claim(t, db, "xd2", noon(9), noon(12)); !ok || d.Bounced {
		t.Errorf("retry after a bounce: %+v, %v", d, ok)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		attempts, err := tx.Attempts(ctx, "xd0")
		if len(attempts["xd0"]) != 3 || attempts["xd0"][2].Code != 550 {
			t.Errorf("attempts %+v", attempts)
		}
		return err
	})
}

func testLedgerLists(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	support := addTicket(t, db, nil).Number
	sales := addTicket(t, db, func(ticket *store.Ticket) { ticket.ChannelID = "sales" }).Number
	addMail(t, db, "a", store.MailAnswer, support, "a@a.example", "b@a.example")
	addMail(t, db, "b", store.MailAck, sales, "a@a.example")
	addMail(t, db, "c", store.MailNotification, sales, "anna@desk.example")
	claim(t, db, "ad1", noon(1), noon(2))
	finish(t, db, "ad1", 1, store.Outcome{State: store.Failure, Reason: "refused", Attempt: &store.Attempt{At: noon(1)}})

	for i, c := range []struct {
		f    store.DeliveryFilter
		want []string
	}{
		{store.DeliveryFilter{}, []string{"cd0", "bd0", "ad1", "ad0"}},
		{store.DeliveryFilter{State: store.Queued}, []string{"cd0", "bd0", "ad0"}},
		{store.DeliveryFilter{State: store.Sent}, nil},
		{store.DeliveryFilter{ActivityID: "aactivity"}, []string{"ad1", "ad0"}},
		{store.DeliveryFilter{Ticket: sales}, []string{"cd0", "bd0"}},
		{store.DeliveryFilter{Kind: store.MailAck}, []string{"bd0"}},
		{store.DeliveryFilter{VisibleTo: "anna"}, []string{"ad1", "ad0"}},
		{store.DeliveryFilter{VisibleTo: "root"}, []string{"cd0", "bd0", "ad1", "ad0"}},
		{store.DeliveryFilter{VisibleTo: "nobody"}, nil},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			var got []string
			c.f.Limit = 1
			for page := 0; page == 0 || c.f.Cursor != ""; page++ {
				all, next, err := tx.Deliveries(ctx, c.f)
				if err != nil {
					return err
				}
				for _, d := range all {
					got = append(got, d.ID)
				}
				c.f.Cursor = next
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("filter %d: %v, want %v", i, got, c.want)
			}
			return nil
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		states, err := tx.DeliveryStates(ctx, "aactivity", "bactivity", "cactivity", "none")
		if err != nil || len(states) != 2 || states["aactivity"] != store.Failure || states["bactivity"] != store.Queued {
			t.Errorf("states %v, %v", states, err)
		}
		first, next, err := tx.DueDeliveries(ctx, "", 2)
		if err != nil || len(first) != 2 || first[0].DeliveryID != "ad0" || first[1].Priority != 1 {
			t.Errorf("due %+v, %v", first, err)
		}
		rest, next, err := tx.DueDeliveries(ctx, next, 2)
		if err != nil || len(rest) != 1 || rest[0].DeliveryID != "cd0" || rest[0].Priority != 0 || next != "" {
			t.Errorf("due %+v, next %q, %v", rest, next, err)
		}
		counts, oldest, err := tx.LedgerCounts(ctx)
		if err != nil || !reflect.DeepEqual(counts, map[store.DeliveryState]int{store.Queued: 3, store.Failure: 1}) || !oldest.Equal(noon(0)) {
			t.Errorf("counts %v, %v, %v", counts, oldest, err)
		}
		for i, c := range []struct {
			key   string
			kinds []store.MailKind
			since time.Time
			want  int
		}{
			{"", []store.MailKind{store.MailAck}, noon(0), 1},
			{"", []store.MailKind{store.MailAck, store.MailNotification}, noon(0), 2},
			{"", []store.MailKind{store.MailAck}, noon(1), 0},
			{"a@a.example", []store.MailKind{store.MailAck}, noon(0), 1},
			{"b@a.example", []store.MailKind{store.MailAck}, noon(0), 0},
		} {
			if n, err := tx.CountAutomatic(ctx, c.key, c.kinds, c.since); n != c.want || err != nil {
				t.Errorf("automatic %d: %d, %v; want %d", i, n, err, c.want)
			}
		}
		return nil
	})
}

func testSealed(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutAgent(ctx, store.Agent{ID: "gone", Key: "gone@desk.example"})
	})
	internal := addTicket(t, db, func(ticket *store.Ticket) { ticket.Kind = store.KindInternal }).Number
	add := func(prefix string, recipients ...string) error {
		return db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.AddMail(ctx, store.Mail{ID: prefix, Kind: store.MailNotification, Ticket: internal}, deliveries(prefix, recipients))
		})
	}
	must(t, add("ok", "anna@desk.example", "root@desk.example"))
	wantCode(t, add("out", "customer@a.example"), store.CodeForbidden, "")
	wantCode(t, add("mixed", "anna@desk.example", "customer@a.example"), store.CodeForbidden, "")
	wantCode(t, add("left", "gone@desk.example"), store.CodeForbidden, "")
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, _, err := tx.Deliveries(ctx, store.DeliveryFilter{})
		if len(all) != 2 {
			t.Errorf("%d deliveries, want 2", len(all))
		}
		return err
	})
}
