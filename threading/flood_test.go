package threading

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ticketgate/store"
)

// limited lets one address open three tickets an hour.
func limited(t *testing.T) *desk {
	d := newDesk(t)
	d.limitTickets(3)
	return d
}

func (d *desk) limitTickets(limit int) {
	d.account.NewTicketLimit = limit
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
}

// T26: over the limit, mails with one subject but for digits are one ticket,
// and others wait where an admin sees them.
func TestT26AFloodIsGrouped(t *testing.T) {
	d := limited(t)
	alert := func(i int) letter {
		return letter{from: "mon@ext.example", subject: fmt.Sprintf("Disk %d%% full on db%d", i, i%7), verdict: store.Verified}
	}
	var newest int64
	for i := range 50 {
		d.now = d.now.Add(time.Second)
		got := d.deliver(alert(i))
		switch {
		case i < 3 && got.Outcome == OutcomeNew:
			newest = got.Ticket
		case i >= 3 && got.Outcome == OutcomeAppend && got.Ticket == newest:
		default:
			t.Fatalf("mail %d: %+v", i, got)
		}
	}
	if n := len(d.said(newest)); n != 48 {
		t.Errorf("%d mails lie in the newest ticket", n)
	}
	if got := d.deliver(letter{from: "mon@ext.example", subject: "Load is high", verdict: store.Verified}); got.Outcome != OutcomeQuarantine || d.quarantined()[0].Reason != "flood" {
		t.Errorf("another subject: %+v", got)
	}
	if got := d.deliver(letter{from: "other@ext.example", subject: "Load is high"}); got.Outcome != OutcomeNew {
		t.Errorf("another sender: %+v", got)
	}
	d.now = d.now.Add(time.Hour)
	if got := d.deliver(alert(51)); got.Outcome != OutcomeNew {
		t.Errorf("an hour later: %+v", got)
	}
}

// T27: nobody's tickets fill up with what comes in his name, and a reply of his
// is no flood.
func TestT27AForgedFloodWaits(t *testing.T) {
	d := limited(t)
	r := d.deliver(letter{from: "new@ext.example", subject: "BUY 1", verdict: store.Verified})
	for i := range 10 {
		got := d.deliver(letter{from: "new@ext.example", subject: fmt.Sprintf("BUY %d", i), verdict: store.Failed})
		if want := map[bool]Outcome{true: OutcomeNew, false: OutcomeQuarantine}[i < 2]; got.Outcome != want {
			t.Errorf("mail %d: %+v", i, got)
		}
	}
	if n := len(d.said(r.Ticket)); n != 1 {
		t.Errorf("%d mails lie in his ticket", n)
	}
	if got := d.deliver(letter{from: "new@ext.example", subject: fmt.Sprintf("[T#%d] more", r.Ticket), verdict: store.Verified}); got.Outcome != OutcomeAppend {
		t.Errorf("his reply: %+v", got)
	}
	for i := range 5 { // an address of ours has no contact, and is counted all the same
		got := d.deliver(letter{from: "anna@test.example", subject: fmt.Sprintf("x%d", i), verdict: store.Unverified})
		if want := map[bool]Outcome{true: OutcomeNew, false: OutcomeQuarantine}[i < 3]; got.Outcome != want {
			t.Errorf("in an agent's name, %d: %+v", i, got)
		}
	}
}

func TestWhoIsNotCounted(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(d *desk)
		from string
	}{
		"no limit":       {func(d *desk) { d.limitTickets(0) }, "new@ext.example"},
		"trusted sender": {func(d *desk) { d.trust("new@ext.example") }, "new@ext.example"},
		"known contact":  {func(d *desk) { d.know("new@ext.example") }, "new@ext.example"},
		"agent":          {func(*desk) {}, "anna@test.example"},
	} {
		t.Run(name, func(t *testing.T) {
			d := limited(t)
			c.set(d)
			for i := range 10 {
				got := d.deliver(letter{from: c.from, subject: fmt.Sprintf("x%d", i), verdict: store.Verified})
				if got.Outcome != OutcomeNew {
					t.Fatalf("mail %d: %+v", i, got)
				}
			}
		})
	}
}

func (d *desk) trust(address string) {
	d.account.TrustedSenders = []store.TrustedSender{{Address: address}}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
}

func (d *desk) know(address string) {
	d.deliver(letter{from: address, subject: "before", verdict: store.Verified})
	c := d.contactAt(address)
	c.Provisional = false
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, c) })
}

// While DNS is away nobody is known; whom we know is let in when it is back.
func TestT26AKnownSendersFloodIsLetInOnceVerified(t *testing.T) {
	d := limited(t)
	d.know("new@ext.example")
	for _, verdict := range []store.Verdict{store.Failed, store.Verified} {
		var in Incoming
		for i := range 5 {
			in, _ = d.waiting(letter{from: "new@ext.example", subject: fmt.Sprintf("%s %d", verdict, i)})
		}
		q := d.quarantined()
		d.recheck(in, Result{ActivityID: q[0].ID}, verdict)
		if now := d.quarantined(); (len(now) < len(q)) != (verdict == store.Verified) {
			t.Errorf("%s: %d waited, %d do", verdict, len(q), len(now))
		}
	}
}

// What an admin lets out opens its ticket, and explain says what would happen.
func TestAFloodIsExplainedAndReleased(t *testing.T) {
	d := limited(t)
	for i := range 3 {
		d.deliver(letter{from: "new@ext.example", subject: fmt.Sprintf("x%d", i)})
	}
	for subject, want := range map[string]Outcome{"x9": OutcomeAppend, "other": OutcomeQuarantine} {
		in := d.incoming(letter{from: "new@ext.example", subject: subject})
		x, err := d.Explain(d.ctx, in)
		if err != nil || x.Match.Outcome != string(want) || (x.Match.Reason == "flood") != (want == OutcomeQuarantine) {
			t.Errorf("%s is explained as %+v, %v", subject, x.Match, err)
		}
		if got := d.take(in)[0]; got.Outcome != want {
			t.Errorf("%s became %+v", subject, got)
		}
		if want == OutcomeAppend {
			continue
		}
		admin := *d.anna
		admin.Role = store.RoleAdmin
		if ticket, err := d.Release(d.ctx, &admin, d.quarantined()[0].ID, in); err != nil || ticket.Subject != subject {
			t.Errorf("released: %+v, %v", ticket, err)
		}
	}
}
