package outbound

import (
	"context"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// TestHookFails: an outcome that can't be told is written all the same.
func TestHookFails(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtRcpt, Reply: "550 5.1.1 no"})
	rows := r.mails(1)
	log := &logText{}
	r.start(func(o *Options) {
		o.Lease, o.Log = 100*time.Millisecond, log.logger()
		o.Outcome = func(_ context.Context, _ *store.Tx, _ store.Delivery, o store.Outcome) error {
			if o.State == store.Failure {
				return store.Errorf(store.CodeNotFound, "no such ticket")
			}
			return nil
		}
	})
	r.settled(store.Failure, rows...)
	if d := r.delivery(rows[0].ID); d.Attempts != 1 || d.Fence != 1 || d.LastCode != 550 {
		t.Errorf("%+v", d)
	}
	if !log.has("alarm: ") {
		t.Error("nobody hears of it")
	}
}

// TestBadRow: one delivery that can't be told of holds up no other, neither
// where a worker was lost nor where a warning is due.
func TestBadRow(t *testing.T) {
	r := embeddedRig(t)
	rows := r.mails(2)
	r.lostWorker(rows[0].ID)
	late := func(to string) store.Delivery {
		return r.mail(func(_ *store.Mail, d []store.Delivery) {
			d[0].CreatedAt, d[0].NextAttemptAt = time.Now().Add(-5*time.Hour), time.Now().Add(time.Hour)
			d[0].ID = "0199" + d[0].ID[4:] // an id of that age or older
		}, to)[0]
	}
	waiting := []store.Delivery{late("bad@example.net"), late("good@example.net")}
	bad := map[string]bool{rows[0].ID: true, waiting[0].ID: true}
	refuse := func(d store.Delivery) error {
		if bad[d.ID] {
			return store.Errorf(store.CodeNotFound, "no such ticket")
		}
		return nil
	}
	r.start(func(o *Options) {
		o.Poll = time.Hour
		o.Outcome = func(_ context.Context, _ *store.Tx, d store.Delivery, _ store.Outcome) error { return refuse(d) }
		o.Late = func(ctx context.Context, tx *store.Tx, d store.Delivery) error {
			if err := refuse(d); err != nil {
				return err
			}
			return r.hooks.tellLate(ctx, tx, d)
		}
	})
	r.settled(store.Sent, rows...)
	r.once(rows...)
	for _, row := range waiting {
		r.until("the warning about "+row.Recipient, func() bool { return r.delivery(row.ID).Warned })
	}
	r.hooks.mu.Lock()
	defer r.hooks.mu.Unlock()
	if len(r.hooks.late) != 1 || r.hooks.late[0] != waiting[1].ID {
		t.Errorf("told of %v", r.hooks.late)
	}
}

// TestPanic: a fault in signing costs its own mail, and nobody else's.
func TestPanic(t *testing.T) {
	r := embeddedRig(t)
	r.accountRow(func(a *store.MailAccount) { a.Sign = false })
	log := &logText{}
	r.start(func(o *Options) { o.Keyring, o.Log = nilKeyring(t), log.logger() })
	broken := r.mail(func(m *store.Mail, _ []store.Delivery) { m.AccountID = "other" }, "broken@example.net")
	r.settled(store.Failure, broken...)
	if d := r.delivery(broken[0].ID); d.Reason != reasonUncomposed || d.Attempts != 1 {
		t.Errorf("%+v", d)
	}
	if !log.has("alarm: a delivery made its worker panic") {
		t.Error("nobody hears of it")
	}
	rows := r.mails(1)
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

// nilKeyring panics at its first use.
func nilKeyring(t *testing.T) *Keyring {
	t.Helper()
	k := &Keyring{}
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("a keyring without a store does not panic")
			}
		}()
		_, _, _ = k.Sign(t.Context(), "example.org", []byte("Subject: x\r\n\r\nx\r\n"))
	}()
	return k
}

// TestUnreadableAttachment: a file that the store does not give is our trouble,
// which may pass, and ends with max_age.
func TestUnreadableAttachment(t *testing.T) {
	r := embeddedRig(t)
	content := []byte("%PDF-1.4 as it was")
	blob, err := r.db.Stage(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	attach := func(age time.Duration, to string) []store.Delivery {
		return r.mail(func(m *store.Mail, d []store.Delivery) {
			m.Parts = []store.MailPart{{Name: "a.pdf", Type: "application/pdf", Hash: blob.Hash, Size: blob.Size}}
			d[0].CreatedAt = time.Now().Add(-age)
		}, to)
	}
	r.start()
	rows := attach(0, "a@example.net")
	r.until("two attempts", func() bool { return len(r.attempts(rows[0].ID)) >= 2 })
	r.until("the reason", func() bool {
		d := r.delivery(rows[0].ID)
		return d.State == store.Deferred && d.Reason == "attachment not readable"
	})
	r.settled(store.Failure, attach(80*time.Hour, "old@example.net")...)
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.AddBlob(ctx, blob) })
	r.settled(store.Sent, rows...)
	r.once(rows...)
}
