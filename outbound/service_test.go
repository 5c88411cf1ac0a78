package outbound

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

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
// TestQ02Flush: a hundred wait while Redis is flushed, killed and restarted
// empty; all are sent, none twice.
// TestQ03RedisDown: an answer is taken without Redis, soon, and sent later.
// TestQ06Temporary: 4xx at each stage is tried again, with the same message.
// TestQ07Permanent: 5xx ends it, and says so.
// TestReplies: the odd ones of the table.
// TestQ08TwoRecipients: one is refused, the other is sent once.
// TestQ09Closing: 421 in mid-session costs the connection, not the mail.
// TestQ10LostAfterTheDot: it may have been taken; the second copy has the same
// Message-ID.
// TestQ10StallAfterTheDot: no reply in time is as good as none.
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
// TestLeaseIsKept: a slow next hop does not cost the lease.
// TestQ15SmarthostDown: no storm of connections, everything waits and says why,
// and goes when the next hop is back.
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
// TestQ18Envelope: an address that could be a command is refused at the writer.
// TestQ26OwnAddress: a mail to ourselves would come back.
// TestQ27UTF8: an address that needs SMTPUTF8 goes where it is offered, fails
// with 5.6.7 where not, and does not hold up the other recipients.
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
// TestChangedElsewhere: what a command at the shell changes in the ledger is
// noticed by the queue in the process.
// TestBounceWhileSending: it outweighs the outcome, and a worker that died over
// it leaves no row behind.
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
