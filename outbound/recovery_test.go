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

func TestQ01Rebuilt(t *testing.T) {
	r := redisRig(t)
	rows := r.mails(30)
	r.start()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

func TestQ02Flush(t *testing.T) {
	r := redisRig(t)
	r.sink.Stop()
	s := r.start()
	rows := r.mails(100)
	s.Queued(t.Context(), dues(rows))
	stand := func() bool {
		waiting, leased, err := r.queue.Len(t.Context())
		return err == nil && waiting+leased == 100
	}
	r.until("100 entries", stand)
	r.redis.FlushAll()
	r.until("100 entries after FLUSHALL", stand)
	if n := r.redis.CLI("ZCARD", "ticketgate:outbound"); n == "0" {
		t.Error("nothing waits in Redis")
	}
	r.redis.Kill()
	r.until("the queue to be missed", func() bool { return !s.Status(t.Context()).QueueOK })
	if st := s.Status(t.Context()); st.LedgerOnly != 100 {
		t.Errorf("status without Redis: %+v", st)
	}
	r.redis.Start()
	r.until("100 entries after the restart", stand)
	r.sink.Start()
	r.until("ten mails", func() bool { return len(r.sink.Messages()) >= 10 })
	r.redis.FlushAll()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

func TestQ03RedisDown(t *testing.T) {
	r := redisRig(t)
	s := r.start()
	r.redis.Pause()
	rows := r.mails(1)
	begun := time.Now()
	s.Queued(t.Context(), dues(rows))
	if took := time.Since(begun); took > time.Second {
		t.Errorf("Queued took %v", took)
	}
	r.redis.Resume()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

func TestQ14StaleWorker(t *testing.T) {
	r := redisRig(t)
	frozen, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	frozen.opt.Lease = 30 * time.Millisecond
	rows := r.mails(1)
	put(t, r.queue, dues(rows)...)
	due, ok, err := r.queue.Take(t.Context(), frozen.worker, frozen.opt.Lease)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	stale, _, granted, err := frozen.claim(t.Context(), due.DeliveryID)
	if err != nil || !granted {
		t.Fatal(granted, err)
	}
	r.start()
	r.settled(store.Sent, rows...)
	again, ok := frozen.finish(t.Context(), stale, store.Outcome{State: store.Failure, Reason: "stale", Attempt: &store.Attempt{Text: "stale"}})
	if ok {
		t.Errorf("the stale worker puts %+v", again)
	}
	if d := r.delivery(rows[0].ID); d.State != store.Sent {
		t.Errorf("the stale worker wrote %+v", d)
	}
	if _, ours, err := frozen.renew(t.Context(), stale); ours || err != nil {
		t.Error("the stale worker may go on")
	}
	r.once(rows...)
}

func TestLeaseIsKept(t *testing.T) {
	r := redisRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Times: 1, Stall: true})
	lease := 150 * time.Millisecond
	s := r.start(func(o *Options) { o.Lease = lease })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.until("the message", func() bool { return len(r.sink.Complete()) == 1 })
	_ = waitFor(t.Context(), nil, 3*lease)
	if d := r.delivery(rows[0].ID); d.State != store.Sending || d.Fence != 1 {
		t.Errorf("%+v", d)
	}
	if n := len(r.sink.Complete()); n != 1 {
		t.Errorf("%d copies", n)
	}
	r.sink.Clear()
}

func TestQ15SmarthostDown(t *testing.T) {
	r := redisRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtConnect, Reply: "421 4.3.2 not now"})
	s := r.start(func(o *Options) { o.RouteMax = time.Second })
	rows := r.mails(200)
	s.Queued(t.Context(), dues(rows))
	r.until("each to say why it waits", func() bool {
		for _, row := range rows {
			if d := r.delivery(row.ID); d.State != store.Deferred || !strings.Contains(d.Reason, "unreachable") {
				return false
			}
		}
		return true
	})
	if st := s.Status(t.Context()); st.SmarthostOK || st.LastError == "" || st.Waiting != 200 {
		t.Errorf("status: %+v", st)
	}
	if n := r.sink.Connections(); n > 30 {
		t.Errorf("%d connections to a next hop that is down", n)
	}
	r.sink.Clear()
	r.settled(store.Sent, rows...)
	r.once(rows...)
	if st := s.Status(t.Context()); !st.SmarthostOK {
		t.Errorf("status: %+v", st)
	}
}

func TestTwoNodes(t *testing.T) {
	r := newRig(t, openPostgres(t), testbed.Redis(t).URL())
	a, b := r.start(), r.start()
	var rows []store.Delivery
	for i := range 150 {
		more := r.mail(nil, fmt.Sprintf("n%d@example.net", i))
		a.Queued(t.Context(), dues(more))
		b.Queued(t.Context(), dues(more))
		rows = append(rows, more...)
	}
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

func TestLateAndExpired(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprint("down ", down), func(t *testing.T) {
			r := embeddedRig(t)
			if down {
				r.sink.Stop()
			} else {
				r.sink.Script(testbed.Rule{At: testbed.AtMail, Reply: "451 4.3.0 later"})
			}
			r.start()
			aged := func(age time.Duration, to string) store.Delivery {
				return r.mail(func(m *store.Mail, d []store.Delivery) {
					d[0].CreatedAt = time.Now().Add(-age)
					d[0].ID = "0199" + d[0].ID[4:] // an id of that age or older
				}, to)[0]
			}
			late, expired := aged(5*time.Hour, "late@example.net"), aged(80*time.Hour, "expired@example.net")
			r.settled(store.Failure, expired)
			r.until("the warning", func() bool { return r.delivery(late.ID).Warned })
			r.settled(store.Deferred, late)
			if d := r.delivery(expired.ID); d.Reason != reasonExpired {
				t.Errorf("%+v", d)
			}
			_ = waitFor(t.Context(), nil, 300*time.Millisecond) // a few more rounds
			r.hooks.mu.Lock()
			defer r.hooks.mu.Unlock()
			warned := 0
			for _, id := range r.hooks.late {
				if id == late.ID {
					warned++
				}
			}
			if warned != 1 {
				t.Errorf("%d warnings", warned)
			}
		})
	}
}

func TestChangedElsewhere(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtMail, Times: 1, Reply: "451 4.3.0 later"})
	s := r.start(func(o *Options) { o.RetryBase, o.RetryMax, o.Reconcile = time.Hour, time.Hour, time.Hour })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Deferred, rows...)
	r.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ChangeDelivery(ctx, rows[0].ID, store.ActionRetry, time.Now())
		return err
	})
	r.settled(store.Sent, rows...)
	added := r.mail(nil, "added@example.net")
	r.settled(store.Sent, added...)
}

func TestBounceWhileSending(t *testing.T) {
	r := embeddedRig(t)
	s, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	later := r.mail(func(_ *store.Mail, d []store.Delivery) { d[0].NextAttemptAt = time.Now().Add(time.Hour) }, "later@example.net")
	if _, _, ok, err := s.claim(t.Context(), later[0].ID); ok || err != nil {
		t.Fatalf("granted before it was due: %v", err)
	}
	rows := r.mails(1)
	s.opt.Lease = time.Millisecond
	if _, _, ok, err := s.claim(t.Context(), rows[0].ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.BounceDelivery(ctx, rows[0].ID, 550, "5.1.1", "no such user", true)
		return err
	})
	r.start()
	r.settled(store.Failure, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}
