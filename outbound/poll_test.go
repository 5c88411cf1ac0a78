package outbound

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// change does what a command at the shell does.
func (r *rig) change(id, action string) {
	r.t.Helper()
	r.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ChangeDelivery(ctx, id, action, time.Now())
		return err
	})
}

func later(_ *store.Mail, d []store.Delivery) { d[0].NextAttemptAt = time.Now().Add(time.Hour) }

// TestRetryBehindMany: an old delivery that somebody retries is noticed, however
// many newer ones wait; and so are all of those, made in one transaction.
func TestRetryBehindMany(t *testing.T) {
	r := embeddedRig(t)
	old := r.mail(func(m *store.Mail, d []store.Delivery) {
		later(m, d)
		d[0].State, d[0].Attempts = store.Deferred, 5
	}, "old@example.net")
	r.start(func(o *Options) { o.Reconcile = time.Hour })
	r.until("the entry", func() bool { w, _, err := r.queue.Len(t.Context()); return w == 1 && err == nil })
	const many = 1100
	var rows []store.Delivery
	for i := range many {
		rows = append(rows, store.Delivery{
			ID: store.NewID(), Kind: store.MailAnswer, Recipient: fmt.Sprintf("x%d@example.net", i), State: store.Queued,
			NextAttemptAt: time.Now().Add(time.Hour), CreatedAt: time.Now(), UpdatedAt: old[0].UpdatedAt.Add(time.Minute),
		})
	}
	r.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddMail(ctx, store.Mail{ID: "many", Kind: store.MailAnswer}, rows)
	})
	r.until("the entries", func() bool { w, _, err := r.queue.Len(t.Context()); return w == many+1 && err == nil })
	r.change(old[0].ID, store.ActionRetry)
	r.settled(store.Sent, old...)
}

// TestPollKnows: what was entered once is not entered again at each look.
func TestPollKnows(t *testing.T) {
	r := embeddedRig(t)
	s, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	rows := r.mail(later, "a@example.net")
	r.change(rows[0].ID, store.ActionRetry)
	since := rows[0].CreatedAt
	known, err := s.poll(t.Context(), since, nil)
	if err != nil || len(known) != 1 {
		t.Fatal(known, err)
	}
	take(t, r.queue, "w", time.Minute)
	if known, err = s.poll(t.Context(), since, known); err != nil {
		t.Fatal(err)
	}
	expectLen(t, r.queue, 0, 1)
	_ = waitFor(t.Context(), nil, time.Millisecond) // another time than the first one's
	r.change(rows[0].ID, store.ActionRetry)
	if _, err = s.poll(t.Context(), since, known); err != nil {
		t.Fatal(err)
	}
	expectLen(t, r.queue, 1, 1)
}

// TestOverdue: an entry that says later than the ledger is corrected, unless
// the account's limit made it so.
func TestOverdue(t *testing.T) {
	r := embeddedRig(t)
	rows := r.mail(later, "a@example.net")
	s := r.start(func(o *Options) { o.Poll = time.Hour })
	r.until("the entry", func() bool { w, _, err := r.queue.Len(t.Context()); return w == 1 && err == nil })
	r.change(rows[0].ID, store.ActionRetry)
	r.settled(store.Sent, rows...)

	due := dueIn("d", -time.Minute)
	if due.AccountID = "acc"; !s.overdue(t.Context())(due) {
		t.Error("a due row is left")
	}
	r.accountRow(func(a *store.MailAccount) { a.MessagesPerMinute = 1 })
	if s.overdue(t.Context())(due) {
		t.Error("the limit is got round")
	}
	if s.overdue(t.Context())(dueIn("d", time.Minute)) {
		t.Error("due before its time")
	}
}

// TestReleasedAfterMaxAge: who asks for an old delivery gets more than one
// attempt, also while the smarthost is down.
func TestReleasedAfterMaxAge(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprint("down ", down), func(t *testing.T) {
			r := embeddedRig(t)
			rule := testbed.Rule{At: testbed.AtRcpt, Reply: "451 4.3.0 later"}
			if down {
				rule = testbed.Rule{At: testbed.AtConnect, Reply: "421 4.3.2 not now"}
			}
			r.sink.Script(rule)
			rows := r.mail(func(_ *store.Mail, d []store.Delivery) {
				d[0].ID = "0199" + d[0].ID[4:] // an id of that age or older
				d[0].CreatedAt, d[0].State = time.Now().Add(-80*time.Hour), store.Held
			}, "old@example.net")
			s := r.start()
			if down {
				r.until("the outage", func() bool { return !s.Status(t.Context()).SmarthostOK })
			}
			r.change(rows[0].ID, store.ActionRelease)
			r.settled(store.Deferred, rows...)
			_ = waitFor(t.Context(), nil, 300*time.Millisecond) // a few rounds
			if d := r.delivery(rows[0].ID); d.State == store.Failure {
				t.Errorf("given up: %+v", d)
			}
			r.sink.Clear()
			r.settled(store.Sent, rows...)
		})
	}
}

// TestWaitIsSaidOnce: while the smarthost is down, what was never tried says so
// in the ledger, and is then left alone.
func TestWaitIsSaidOnce(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtConnect, Reply: "421 4.3.2 not now"})
	s := r.start()
	r.until("the outage", func() bool { return !s.Status(t.Context()).SmarthostOK })
	rows := r.mails(60)
	r.settled(store.Deferred, rows...)
	var before []store.Delivery
	for _, row := range rows {
		d := r.delivery(row.ID)
		if !strings.Contains(d.Reason, reasonUnreachable) || d.Attempts != 0 || d.Fence != 0 {
			t.Errorf("%+v", d)
		}
		before = append(before, d)
	}
	_ = waitFor(t.Context(), nil, 400*time.Millisecond) // a few rounds
	for i, row := range rows {
		if d := r.delivery(row.ID); d != before[i] {
			t.Errorf("written again: %+v, was %+v", d, before[i])
		}
	}
	r.sink.Clear()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

// TestRemoved: what was held or cancelled leaves the queue at once.
func TestRemoved(t *testing.T) {
	r := redisRig(t)
	s, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	put(t, r.queue, dueIn("a", time.Hour), dueIn("b", time.Hour), dueIn("c", time.Hour))
	s.Removed(t.Context(), "a", "never there", "c")
	expectLen(t, r.queue, 1, 0)
	r.redis.Pause()
	begun := time.Now()
	s.Removed(t.Context(), "b")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("Removed took %v", took)
	}
	r.redis.Resume()
}
