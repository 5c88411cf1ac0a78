package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// log goes to the test's output with -v and TICKETGATE_TEST_LOG alone.
func (r *rig) log() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// TestSend: the whole way, over both stores and both queues.
func TestSend(t *testing.T) {
	for _, c := range []struct {
		name string
		rig  func(t *testing.T) *rig
	}{
		{"sqlite and embedded", func(t *testing.T) *rig { return embeddedRig(t) }},
		{"sqlite and redis", func(t *testing.T) *rig { return redisRig(t) }},
		{"postgres and embedded", func(t *testing.T) *rig { return newRig(t, openPostgres(t), "embedded") }},
		{"postgres and redis", func(t *testing.T) *rig { return newRig(t, openPostgres(t), testbed.Redis(t).URL()) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.rig(t)
			keys := published(r.key("example.org", AlgorithmRSA, nil), r.key("example.org", AlgorithmEd25519, nil))
			s := r.start()
			rows := r.mail(nil, "a@example.net", "b@example.net")
			s.Queued(t.Context(), dues(rows))
			r.settled(store.Sent, rows...)
			r.once(rows...)
			for _, m := range r.sink.Messages() {
				if m.From != "support@example.org" || len(m.To) != 1 {
					t.Errorf("envelope: %s to %s", m.From, m.To)
				}
				if results := testbed.VerifyDKIM(t, m.Data, keys); len(results) != 2 || !results[0].Pass || !results[1].Pass {
					t.Errorf("python3-dkim: %+v", results)
				}
			}
			attempts := r.attempts(rows[0].ID)
			if len(attempts) != 1 || attempts[0].Code != 250 || attempts[0].Host != r.sink.Addr() {
				t.Errorf("attempts: %+v", attempts)
			}
			r.until("an empty queue", func() bool {
				waiting, leased, err := r.queue.Len(t.Context())
				return err == nil && waiting+leased == 0
			})
			if st := s.Status(t.Context()); !st.QueueOK || !st.SmarthostOK || st.LedgerOnly != 0 {
				t.Errorf("status: %+v", st)
			}
			if len(r.hooks.outcomes) != 2 || r.hooks.outcomes[0] != store.Sent {
				t.Errorf("outcomes: %v", r.hooks.outcomes)
			}
		})
	}
}

// TestQ01Rebuilt: rows that never got to the queue are sent after a start.
func TestQ01Rebuilt(t *testing.T) {
	r := redisRig(t)
	rows := r.mails(30)
	r.start()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

// TestQ02Flush: a hundred wait while Redis is flushed, killed and restarted
// empty; all are sent, none twice.
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

// TestQ03RedisDown: an answer is taken without Redis, soon, and sent later.
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

// TestQ06Temporary: 4xx at each stage is tried again, with the same message.
func TestQ06Temporary(t *testing.T) {
	for _, stage := range []testbed.Stage{testbed.AtMail, testbed.AtRcpt, testbed.AtData, testbed.AtDot} {
		t.Run(string(stage), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(testbed.Rule{At: stage, Times: 2, Reply: "451 4.3.0 later"})
			s := r.start()
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(store.Sent, rows...)
			attempts := r.attempts(rows[0].ID)
			if len(attempts) != 3 || attempts[0].Code != 451 || attempts[0].Enhanced != "4.3.0" || attempts[0].Text != "later" {
				t.Errorf("attempts: %+v", attempts)
			}
			var first []byte
			for _, m := range r.sink.Complete() {
				if first == nil {
					first = m.Data
				}
				if !bytes.Equal(first, m.Data) {
					t.Error("two attempts wrote different messages")
				}
			}
			r.once(rows...)
		})
	}
}

// TestQ07Permanent: 5xx ends it, and says so.
func TestQ07Permanent(t *testing.T) {
	for _, stage := range []testbed.Stage{testbed.AtMail, testbed.AtRcpt, testbed.AtData, testbed.AtDot} {
		t.Run(string(stage), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(testbed.Rule{At: stage, Reply: "550 5.1.1 no such user here"})
			s := r.start()
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(store.Failure, rows...)
			d := r.delivery(rows[0].ID)
			if d.LastCode != 550 || !strings.Contains(d.LastText, "no such user here") || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
			if len(r.hooks.outcomes) != 1 || r.hooks.outcomes[0] != store.Failure {
				t.Errorf("outcomes: %v", r.hooks.outcomes)
			}
		})
	}
}

// TestReplies: the odd ones of the table.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		rule  testbed.Rule
		state store.DeliveryState
		code  int
	}{
		{testbed.Rule{At: testbed.AtRcpt, Reply: "552 too many recipients"}, store.Deferred, 552},
		{testbed.Rule{At: testbed.AtRcpt, Reply: "452 4.5.3 too many"}, store.Deferred, 452},
		{testbed.Rule{At: testbed.AtDot, Reply: "552 5.3.4 too large"}, store.Failure, 552},
		{testbed.Rule{At: testbed.AtMail, Reply: "530 5.7.0 log in first"}, store.Deferred, 530},
		{testbed.Rule{At: testbed.AtMail, Reply: "421 4.3.2 closing"}, store.Deferred, 421},
		{testbed.Rule{At: testbed.AtMail, Drop: true}, store.Deferred, 0},
		{testbed.Rule{At: testbed.AtData, Drop: true}, store.Deferred, 0},
		{testbed.Rule{At: testbed.AtDot, Reply: "what is this"}, store.Unknown, 0},
	} {
		t.Run(fmt.Sprint(c.rule.At, " ", c.rule.Reply), func(t *testing.T) {
			r := embeddedRig(t)
			r.sink.Script(c.rule)
			s := r.start(func(o *Options) { o.RetryBase, o.RouteRetry = time.Hour, time.Hour })
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(c.state, rows...)
			if d := r.delivery(rows[0].ID); d.LastCode != c.code || !d.NextAttemptAt.After(time.Now()) && c.state != store.Failure {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestQ08TwoRecipients: one is refused, the other is sent once.
func TestQ08TwoRecipients(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Address: "bad@example.net", Reply: "550 5.1.1 unknown"})
	s := r.start()
	rows := r.mail(nil, "good@example.net", "bad@example.net")
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows[0])
	r.settled(store.Failure, rows[1])
	r.once(rows[0])
}

// TestQ09Closing: 421 in mid-session costs the connection, not the mail.
func TestQ09Closing(t *testing.T) {
	r := embeddedRig(t)
	s := r.start(func(o *Options) { o.Workers = 1 })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Times: 1, Reply: "421 4.3.2 going down"})
	more := r.mail(nil, "later@example.net")
	s.Queued(t.Context(), dues(more))
	r.settled(store.Sent, more...)
	if n := r.sink.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	r.once(append(rows, more...)...)
}

// TestQ10LostAfterTheDot: it may have been taken; the second copy has the same
// Message-ID.
func TestQ10LostAfterTheDot(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Times: 1, Drop: true})
	s := r.start()
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	if got := r.hooks.outcomes; len(got) != 2 || got[0] != store.Unknown || got[1] != store.Sent {
		t.Errorf("outcomes: %v", got)
	}
	all := r.sink.Messages()
	if len(all) != 2 || !bytes.Equal(all[0].Data, all[1].Data) {
		t.Errorf("%d messages", len(all))
	}
}

// TestDropInTheMessage: broken off before the dot is no message, and not unknown.
func TestQ10StallAfterTheDot(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Times: 1, Stall: true})
	s := r.start(func(o *Options) { o.smtp.dot = 50 * time.Millisecond })
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	if got := r.hooks.outcomes; got[0] != store.Unknown {
		t.Errorf("outcomes: %v", got)
	}
}

// TestQ13Held: a domain with a key that can't sign sends nothing.
func TestQ13Held(t *testing.T) {
	r := embeddedRig(t)
	r.key("example.org", AlgorithmRSA, func(k *store.DKIMKey) { k.Private = []byte("lost") })
	s := r.start()
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Held, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
	r.key("example.org", AlgorithmRSA, func(k *store.DKIMKey) { k.Selector = "fresh" })
	_ = waitFor(t.Context(), nil, keyCache)
	r.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ChangeDelivery(ctx, rows[0].ID, store.ActionRelease, time.Now())
		return err
	})
	r.settled(store.Sent, rows...) // noticed by the poll alone
	if m := r.sink.Messages(); len(m) != 1 || !strings.Contains(string(m[0].Data), "s=fresh;") {
		t.Errorf("%d mails", len(m))
	}
}

// TestUnsigned: no key at all, or an account that does not sign.
func TestUnsigned(t *testing.T) {
	r := embeddedRig(t)
	r.key("example.org", AlgorithmEd25519, nil)
	r.accountRow(func(a *store.MailAccount) { a.Sign = false })
	s := r.start()
	rows := r.mails(1)
	rows = append(rows, r.mail(func(m *store.Mail, d []store.Delivery) {
		m.AccountID, m.From.Address = "other", "x@example.com"
	}, "second@example.net")...)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	for _, m := range r.sink.Messages() {
		if strings.Contains(string(m.Data), "DKIM-Signature") {
			t.Errorf("signed:\n%s", m.Data)
		}
	}
}

// TestQ14StaleWorker: one that was frozen past its lease writes nothing.
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
	stale, _, granted, err := frozen.claim(t.Context(), due.DeliveryID, time.Now())
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
	if frozen.renew(t.Context(), stale) {
		t.Error("the stale worker may go on")
	}
	r.once(rows...)
}

// TestLeaseIsKept: a slow next hop does not cost the lease.
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
}

// TestQ15SmarthostDown: no storm of connections, everything waits and says why,
// and goes when the next hop is back.
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

// TestQ16Undo: each delivery is either sent or cancelled, never both.
func TestQ16Undo(t *testing.T) {
	r := embeddedRig(t)
	s := r.start()
	rows := r.mails(60)
	var group sync.WaitGroup
	group.Go(func() { s.Queued(context.Background(), dues(rows)) })
	group.Go(func() {
		for _, row := range rows {
			_ = r.db.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.ChangeDelivery(ctx, row.ID, store.ActionCancel, time.Now())
				return err
			})
		}
	})
	group.Wait()
	var sent []store.Delivery
	for _, row := range rows {
		r.until(row.Recipient, func() bool {
			state := r.delivery(row.ID).State
			return state == store.Sent || state == store.Cancelled
		})
		if r.delivery(row.ID).State == store.Sent {
			sent = append(sent, row)
		}
	}
	r.once(sent...)
}

// TestTwoNodes: two services on one store and one Redis send each mail once.
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

// TestQ18Envelope: an address that could be a command is refused at the writer.
func TestQ18Envelope(t *testing.T) {
	r := embeddedRig(t)
	s := r.start()
	var rows []store.Delivery
	for _, bad := range []string{"a@example.net>\r\nRCPT TO:<b@example.net", "a b@example.net", "a>@example.net", "no address"} {
		rows = append(rows, r.mail(func(m *store.Mail, d []store.Delivery) {
			m.To = []store.Address{{Address: "x@example.net"}}
		}, bad)...)
	}
	rows = append(rows, r.mail(func(m *store.Mail, d []store.Delivery) { m.Subject = "a\r\nBcc: b" }, "c@example.net")...)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Failure, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
	if _, err := (&session{}).command("NOOP\r\nQUIT"); err == nil {
		t.Error("two commands in one")
	}
}

// TestQ26OwnAddress: a mail to ourselves would come back.
func TestQ26OwnAddress(t *testing.T) {
	r := embeddedRig(t)
	r.accountRow(func(a *store.MailAccount) {
		a.Aliases, a.AliasKeys = []string{"help@example.org"}, []string{"help@example.org"}
	})
	s := r.start()
	var rows []store.Delivery
	for _, own := range []string{"Support@example.org", "support+tag@example.org", "help@example.org"} {
		rows = append(rows, r.mail(nil, own)...)
	}
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Failure, rows...)
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

// TestQ27UTF8: an address that needs SMTPUTF8 goes where it is offered, fails
// with 5.6.7 where not, and does not hold up the other recipients.
func TestQ27UTF8(t *testing.T) {
	t.Run("offered", func(t *testing.T) {
		r := embeddedRig(t)
		s := r.start()
		rows := r.mail(nil, "jürgen@bücher.example", "plain@bücher.example")
		s.Queued(t.Context(), dues(rows))
		r.settled(store.Sent, rows...)
		for _, m := range r.sink.Messages() {
			utf8 := strings.HasPrefix(m.To[0], "jürgen")
			if strings.Contains(m.MailParams, "SMTPUTF8") != utf8 || isASCII(string(m.Data)) == utf8 || !strings.HasSuffix(m.To[0], "@xn--bcher-kva.example") {
				t.Errorf("%s with %q", m.To, m.MailParams)
			}
		}
	})
	t.Run("not offered", func(t *testing.T) {
		r := embeddedRig(t)
		r.sink = testbed.SMTPSink(t, testbed.SinkOptions{Extensions: []string{"PIPELINING"}})
		s := r.start()
		rows := r.mail(nil, "jürgen@example.net", "plain@example.net")
		s.Queued(t.Context(), dues(rows))
		r.settled(store.Failure, rows[0])
		r.settled(store.Sent, rows[1])
		if a := r.attempts(rows[0].ID); len(a) != 1 || a[0].Enhanced != "5.6.7" {
			t.Errorf("%+v", a)
		}
	})
}

// TestRateLimit: an account's limit holds, and costs no attempt.
func TestRateLimit(t *testing.T) {
	r := redisRig(t)
	r.accountRow(func(a *store.MailAccount) { a.MessagesPerMinute = 600 })
	s := r.start()
	rows := r.mails(6)
	begun := time.Now()
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	if took := time.Since(begun); took < 480*time.Millisecond {
		t.Errorf("6 mails in %v at 10 a second", took)
	}
	for _, row := range rows {
		if n := len(r.attempts(row.ID)); n != 1 {
			t.Errorf("%d attempts", n)
		}
	}
	r.once(rows...)
}

// TestLateAndExpired: a warning once after LateAfter, a failure after MaxAge,
// also while nothing is tried because the smarthost is down.
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

// TestChangedElsewhere: what a command at the shell changes in the ledger is
// noticed by the queue in the process.
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

// TestBounceWhileSending: it outweighs the outcome, and a worker that died over
// it leaves no row behind.
func TestBounceWhileSending(t *testing.T) {
	r := embeddedRig(t)
	s, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	rows := r.mails(1)
	if _, _, ok, err := s.claim(t.Context(), rows[0].ID, time.Now().Add(-time.Hour)); ok || err != nil {
		t.Fatalf("granted before it was due: %v", err)
	}
	s.opt.Lease = time.Millisecond
	if _, _, ok, err := s.claim(t.Context(), rows[0].ID, time.Now()); !ok || err != nil {
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

// TestConnectionsAreUsedAgain: and one mail a connection at a time.
func TestConnectionsAreUsedAgain(t *testing.T) {
	r := embeddedRig(t)
	s := r.start(func(o *Options) { o.Workers = 3 })
	rows := r.mails(60)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	r.once(rows...)
	if n := r.sink.Connections(); n > 4 {
		t.Errorf("%d connections for 60 mails and 3 workers", n)
	}
}

// TestStop: what is being sent ends; what stalls is broken off in time.
func TestStop(t *testing.T) {
	r := redisRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Times: 1, Stall: true})
	s := r.start()
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sending, rows...)
	r.until("the connection", func() bool { return r.sink.Connections() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := s.Stop(ctx); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("Stop: %v after %v", err, time.Since(begun))
	}
	if d := r.delivery(rows[0].ID); d.State != store.Deferred {
		t.Errorf("broken off: %+v", d)
	}
	if waiting, leased, err := r.queue.Len(t.Context()); waiting != 1 || leased != 0 || err != nil {
		t.Errorf("%d waiting, %d leased, %v", waiting, leased, err)
	}
	r.sink.Clear()
	r.start()
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

// TestFolder: dir:PATH keeps each signed message as a file.
func TestFolder(t *testing.T) {
	r := embeddedRig(t)
	keys := published(r.key("example.org", AlgorithmEd25519, nil))
	dir := t.TempDir() + "/out/box"
	s := r.start(func(o *Options) { o.Smarthost = "dir:" + dir })
	rows := r.mail(nil, "a@example.net", "b@example.net")
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	files := readFiles(t, dir)
	for _, row := range rows {
		raw := files[row.ID+".eml"]
		if results := testbed.VerifyDKIM(t, []byte(raw), keys); len(results) != 1 || !results[0].Pass {
			t.Errorf("%+v in\n%s", results, raw)
		}
	}
	if len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
}

// TestMetrics: what a scrape shows.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Address: "c0@example.net", Reply: "550 5.1.1 unknown"})
	s := r.start(func(o *Options) { o.Metrics = registry })
	rows := r.mails(2)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Failure, rows[0])
	r.settled(store.Sent, rows[1])
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		fmt.Fprintln(&text, f)
	}
	for _, want := range []string{
		`attempts_total.*"5xx".*value:1`, `attempts_total.*"2xx".*value:1`, `unsigned_total.*value:2`,
		`outbound_deliveries.*"failed".*value:1`, `queue_entries.*"waiting".*value:0`, `queue_entries.*"ledger_only"`,
		`redis_up.*value:1`, `smarthost_up.*value:1`, `oldest_seconds`,
	} {
		if !regexp.MustCompile(want).MatchString(text.String()) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}
