package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
)

// putHook adds or replaces an active webhook that is told of everything.
func putHook(t *testing.T, db *store.DB, id string, change func(*store.Webhook)) {
	t.Helper()
	w := store.Webhook{ID: id, Name: id, URL: "https://" + id + ".example", Events: store.WebhookEvents(), Active: true, CreatedAt: noon(0)}
	if change != nil {
		change(&w)
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutWebhook(ctx, w) })
}

func hook(t *testing.T, db *store.DB, id string) *store.Webhook {
	t.Helper()
	desk, err := db.Desk(t.Context())
	must(t, err)
	w := desk.Webhook(id)
	if w == nil {
		t.Fatalf("there is no webhook %s", id)
	}
	return w
}

// untold takes what webhooks are still to be told, as "kind ticket".
func untold(t *testing.T, db *store.DB, limit int) []string {
	t.Helper()
	var told []string
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		events, err := tx.UntoldEvents(ctx, limit)
		told = nil
		for _, e := range events {
			told = append(told, fmt.Sprintf("%s %d", e.Kind, e.Ticket))
		}
		return err
	})
	return told
}

func testWebhooks(t *testing.T, open Open) {
	db := one(t, open)
	early := addTicket(t, db, nil).Number
	if told := untold(t, db, 10); told != nil {
		t.Errorf("without a webhook there is %v", told)
	}
	putHook(t, db, "a", func(w *store.Webhook) {
		w.Secrets = []store.WebhookSecret{{Sealed: []byte("new")}, {Sealed: []byte("old"), Until: noon(9)}}
	})
	putHook(t, db, "b", func(w *store.Webhook) { w.Active, w.ChannelIDs = false, []string{"support"} })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutWebhook(ctx, store.Webhook{ID: "c", Name: "a"})
	}), store.CodeConflict, store.ReasonDuplicate)
	got := hook(t, db, "a")
	if len(got.Secrets) != 2 || string(got.Secrets[1].Sealed) != "old" || !got.Secrets[1].Until.Equal(noon(9)) || got.Since == (store.EventPosition{}) {
		t.Errorf("kept %+v", got)
	}
	late := addTicket(t, db, nil).Number
	events := eventsAfter(t, db, store.EventPosition{}, 10)
	for i, want := range []bool{false, true} {
		if got.Wants(events[i]) != want {
			t.Errorf("event %d of ticket %d or %d is wanted: %v", i, early, late, !want)
		}
	}
	if hook(t, db, "b").Wants(events[1]) {
		t.Error("a webhook that is off wants something")
	}
	putHook(t, db, "b", func(w *store.Webhook) { w.ChannelIDs = []string{"support"} })
	b := hook(t, db, "b")
	later := events[1]
	later.Position.ID += 100
	elsewhere, notice := later, later
	elsewhere.ChannelID, notice.AgentID = "sales", "anna"
	if b.Wants(events[1]) || !b.Wants(later) || b.Wants(elsewhere) || b.Wants(notice) {
		t.Errorf("switched on, it wants the wrong ones: %+v", b)
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteWebhook(ctx, "b") })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteWebhook(ctx, "b") }),
		store.CodeNotFound, "")
}

// testWebhookFeed: every event behind the beginning of the oldest webhook is
// taken once, in order, whoever takes it.
func testWebhookFeed(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	addTicket(t, handles[0], nil)
	putHook(t, handles[0], "a", nil)
	const events = 60
	var want []string
	for range events {
		want = append(want, fmt.Sprintf("ticket.created %d", addTicket(t, handles[0], nil).Number))
	}
	var mu sync.Mutex
	var got [][]string
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				told := untold(t, handles[i%2], 7)
				if told == nil {
					return
				}
				mu.Lock()
				got = append(got, told)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(got, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if all := slices.Concat(got...); !slices.Equal(all, want) {
		t.Errorf("taken: %v", all)
	}
	// What nobody took yet is not forgotten.
	last := addTicket(t, handles[0], nil).Number
	addTicket(t, handles[0], nil)
	update(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.PruneEvents(ctx, noon(100))
		return err
	})
	view(t, handles[1], func(ctx context.Context, tx *store.Tx) error {
		any, err := tx.AnyUntold(ctx)
		if !any {
			t.Error("nothing is left")
		}
		return err
	})
	if told := untold(t, handles[1], 1); len(told) != 1 || told[0] != fmt.Sprintf("ticket.created %d", last) {
		t.Errorf("left: %v", told)
	}
}

// addMessages puts messages of one webhook in, one for each ticket, in the order
// of their events; their ids are m0, m1, ...
func addMessages(t *testing.T, db *store.DB, webhook string, tickets ...int64) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i, ticket := range tickets {
			err := tx.AddWebhookDelivery(ctx, store.WebhookDelivery{
				ID: fmt.Sprintf("m%d", i), WebhookID: webhook, Event: store.EventPosition{ID: int64(i + 1)}, Kind: "ticket.created",
				Ticket: ticket, Body: "{}", State: store.WebhookWaiting, NextAttemptAt: noon(0), CreatedAt: noon(0),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func claimMessages(t *testing.T, db *store.DB, webhook string, now int) (ids string, claimed []store.WebhookDelivery) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		claimed, err = tx.ClaimWebhookDeliveries(ctx, webhook, noon(now), noon(now+1), 8)
		return err
	})
	for _, d := range claimed {
		ids += d.ID + " "
	}
	return ids, claimed
}

// finishMessage writes the outcome of an attempt at now; next is when it is
// tried again, 0 never.
func finishMessage(t *testing.T, db *store.DB, d store.WebhookDelivery, code, now, next int) (h store.WebhookHealth, ok bool) {
	t.Helper()
	o := store.WebhookOutcome{Attempt: store.WebhookAttempt{At: noon(now), Code: code}, Delivered: code == 200, Pause: noon(now + 2)}
	if next > 0 {
		o.Next = noon(next)
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		h, ok, err = tx.FinishWebhookDelivery(ctx, d, o)
		return err
	})
	return h, ok
}

func webhooksDue(t *testing.T, db *store.DB, now int) (due []string) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.WebhooksDue(ctx, noon(now))
		return err
	})
	return due
}

func message(t *testing.T, db *store.DB, webhook, id string) (d store.WebhookDelivery) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = tx.WebhookDelivery(ctx, webhook, id)
		return err
	})
	return d
}

// testWebhookOrder: what happened to one ticket is told in its order.
func testWebhookOrder(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	db, other := handle(), handle()
	putHook(t, db, "a", nil)
	addMessages(t, db, "a", 1, 1, 2, 0, 0, 1)
	if due := webhooksDue(t, db, 0); !slices.Equal(due, []string{"a"}) {
		t.Errorf("due: %v", due)
	}
	ids, first := claimMessages(t, db, "a", 0)
	if ids != "m0 m2 m3 m4 " {
		t.Fatalf("claimed: %s", ids)
	}
	if ids, _ := claimMessages(t, other, "a", 0); ids != "" {
		t.Errorf("claimed by another one as well: %s", ids)
	}
	if h, ok := finishMessage(t, db, first[0], 200, 0, 0); !ok || !h.DeliveredAt.Equal(noon(0)) {
		t.Errorf("finished: %v %+v", ok, h)
	}
	if _, ok := finishMessage(t, db, first[0], 500, 0, 1); ok {
		t.Error("finished twice")
	}
	if ids, _ := claimMessages(t, other, "a", 0); ids != "m1 " {
		t.Errorf("next: %s", ids)
	}
	// A worker that died is followed by another one, and its outcome is late.
	ids, again := claimMessages(t, other, "a", 1)
	if ids != "m1 m2 m3 m4 " || again[0].Fence != 2 {
		t.Fatalf("after the lease: %s %+v", ids, again)
	}
	if _, ok := finishMessage(t, db, first[1], 200, 1, 0); ok {
		t.Error("a stale outcome was written")
	}
	// m1 fails until it no longer holds m5 back.
	for i := range 5 {
		if ids, _ := claimMessages(t, db, "a", 1); strings.Contains(ids, "m5") {
			t.Fatalf("m5 overtakes m1 after %d tries", i)
		}
		d := message(t, db, "a", "m1")
		if _, ok := finishMessage(t, db, d, 500, 1, 50); !ok {
			t.Fatal("not written")
		}
		finishMessage(t, db, message(t, db, "a", fmt.Sprintf("m%d", 2+i%3)), 200, 1, 0) // no receiver that keeps failing
	}
	if ids, _ := claimMessages(t, db, "a", 1); ids != "m5 " {
		t.Errorf("passes: %s", ids)
	}
	if d := message(t, db, "a", "m1"); d.Tries != 5 || len(d.Attempts) != 5 || d.Attempts[0].Code != 500 || d.State != store.WebhookWaiting {
		t.Errorf("m1: %+v", d)
	}
}

// testWebhookHealth: a receiver that keeps failing is left alone, tried with one
// message, and given all that waits once it answers.
func testWebhookHealth(t *testing.T, open Open) {
	db := one(t, open)
	putHook(t, db, "a", nil)
	addMessages(t, db, "a", 1, 2, 3, 4)
	_, claimed := claimMessages(t, db, "a", 0)
	for i, d := range claimed[:3] {
		h, _ := finishMessage(t, db, d, 500, 1, 30)
		if h.Failures != i+1 || !h.FailingSince.Equal(noon(1)) || h.PausedUntil.IsZero() != (i < 2) {
			t.Errorf("failure %d: %+v", i, h)
		}
	}
	if due := webhooksDue(t, db, 2); due != nil {
		t.Errorf("due while left alone: %v", due)
	}
	if ids, _ := claimMessages(t, db, "a", 2); ids != "" {
		t.Errorf("claimed while left alone: %s", ids)
	}
	ids, probe := claimMessages(t, db, "a", 31)
	if ids != "m0 " {
		t.Fatalf("tried with %s", ids)
	}
	finishMessage(t, db, message(t, db, "a", "m3"), 500, 31, 90)
	h, _ := finishMessage(t, db, probe[0], 200, 40, 0)
	if h != (store.WebhookHealth{DeliveredAt: noon(40)}) {
		t.Errorf("recovered: %+v", h)
	}
	if ids, _ := claimMessages(t, db, "a", 40); ids != "m1 m2 m3 " {
		t.Errorf("then come %s", ids)
	}
	testWebhookEnds(t, db)
}

// testWebhookEnds: giving up, asking again, listing, forgetting.
func testWebhookEnds(t *testing.T, db *store.DB) {
	t.Helper()
	finishMessage(t, db, message(t, db, "a", "m1"), 410, 41, 0)
	if d := message(t, db, "a", "m1"); d.State != store.WebhookFailed || !d.EndedAt.Equal(noon(41)) {
		t.Errorf("given up: %+v", d)
	}
	page := func(state store.WebhookState, from string) (ids, next string) {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			rows, n, err := tx.WebhookDeliveries(ctx, "a", state, from, 3)
			for _, d := range rows {
				ids += d.ID + " "
			}
			next = n
			return err
		})
		return ids, next
	}
	ids, next := page("", "")
	rest, end := page("", next)
	failed, _ := page(store.WebhookFailed, "")
	if ids != "m3 m2 m1 " || rest != "m0 " || end != "" || failed != "m1 " {
		t.Errorf("lists: %q %q %q, failed %q", ids, rest, end, failed)
	}
	wantCode(t, db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, _, err := tx.WebhookDeliveries(ctx, "a", "", "x", 3)
		return err
	}), store.CodeInvalid, "")
	for _, id := range []string{"m0", "m1", "m2"} { // delivered, failed, being sent
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			d, err := tx.RetryWebhookDelivery(ctx, "a", id, noon(42))
			if d.State != store.WebhookWaiting || d.Tries != 0 || !d.NextAttemptAt.Equal(noon(42)) {
				t.Errorf("again: %+v", d)
			}
			return err
		})
	}
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RetryWebhookDelivery(ctx, "b", "m1", noon(42))
		return err
	}), store.CodeNotFound, "")
	if ids, _ := claimMessages(t, db, "a", 42); ids != "m0 m1 m2 m3 " {
		t.Errorf("asked for again: %s", ids)
	}
	finishMessage(t, db, message(t, db, "a", "m0"), 200, 43, 0)
	prune := func(before time.Time, want int) {
		t.Helper()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PruneWebhookDeliveries(ctx, before)
			if n != want {
				t.Errorf("%d forgotten, want %d", n, want)
			}
			return err
		})
	}
	prune(noon(43), 0)
	prune(noon(44), 1)
	putHook(t, db, "a", func(w *store.Webhook) { w.Active = false })
	if due := webhooksDue(t, db, 60); due != nil {
		t.Errorf("due while off: %v", due)
	}
	prune(noon(0), 0)
	prune(noon(1), 3)
	addMessages(t, db, "a", 1)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteWebhook(ctx, "a") })
	wantCode(t, db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.WebhookDelivery(ctx, "a", "m0")
		return err
	}), store.CodeNotFound, "")
}

// testDeliveryEvents: where the deliveries of answers stand is told as it is
// written, and what becomes of notifications is not.
func testDeliveryEvents(t *testing.T, open Open) {
	db := one(t, open)
	ticket := addTicket(t, db, nil).Number
	addMail(t, db, "x", store.MailAnswer, ticket, "a@a.example", "b@a.example")
	addMail(t, db, "n", store.MailNotification, ticket, "n@a.example")
	addMail(t, db, "o", store.MailAnswer, 0, "o@a.example")
	for _, id := range []string{"xd0", "nd0", "od0"} {
		d, ok := claim(t, db, id, noon(1), noon(6))
		if !ok {
			t.Fatalf("%s is not granted", id)
		}
		finish(t, db, id, d.Fence, store.Outcome{State: store.Deferred, NextAttemptAt: noon(2)})
	}
	change := func(id, action string) {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ChangeDelivery(ctx, id, action, noon(3))
			return err
		})
	}
	change("xd0", store.ActionRetry)
	change("xd0", store.ActionRetry) // it stands there already
	for _, id := range []string{"xd0", "xd1"} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.ExplainWait(ctx, "no way", noon(3), id) })
	}
	d, _ := claim(t, db, "xd0", noon(4), noon(6))
	finish(t, db, "xd0", d.Fence, store.Outcome{State: store.Sent, Attempt: &store.Attempt{At: noon(4), Code: 250}})
	for _, permanent := range []bool{false, true} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.BounceDelivery(ctx, "xd0", 550, "5.1.1", "no such user", permanent)
			return err
		})
	}
	var got []string
	for _, e := range eventsAfter(t, db, store.EventPosition{}, 100) {
		if e.Kind != store.EventDeliveryChanged {
			continue
		}
		if e.Ticket != ticket || e.ActivityID != "xactivity" || e.AgentID != "" {
			t.Errorf("event %+v", e)
		}
		got = append(got, e.Data.DeliveryID+" "+string(e.Data.State))
	}
	want := []string{"xd0 deferred", "xd0 queued", "xd0 deferred", "xd1 deferred", "xd0 sent", "xd0 failed"}
	if !slices.Equal(got, want) {
		t.Errorf("told: %q", got)
	}
}
