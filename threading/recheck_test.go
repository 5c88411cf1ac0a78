package threading

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
)

// recheck tells of a mail what a later look-up said.
func (d *desk) recheck(in Incoming, r Result, v store.Verdict) {
	d.t.Helper()
	in.Auth, in.AlignedDKIM = store.Auth{Verdict: v}, v == store.Verified
	if err := d.Rechecked(d.ctx, store.Recheck{ID: r.ActivityID}, in); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) rechecks() (due []store.Recheck) {
	d.t.Helper()
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DueRechecks(ctx, d.now.Add(100*time.Hour), 10)
		return err
	})
	return due
}

// waiting takes a mail whose look-up failed.
func (d *desk) waiting(l letter) (Incoming, Result) {
	d.t.Helper()
	l.verdict = store.AuthError
	in := d.incoming(l)
	return in, d.take(in)[0]
}

func TestK08AVerdictOnceKnownStays(t *testing.T) {
	d := newDesk(t)
	in, got := d.waiting(letter{from: "carla@ext.example", subject: "x"})
	d.recheck(in, got, store.Verified)
	d.recheck(in, got, store.AuthError) // another node's DNS failed at the same time
	if due := d.rechecks(); len(due) != 0 {
		t.Errorf("settled, and put down again: %+v", due)
	}
	d.recheck(in, got, store.Failed) // the key is gone by then
	if a := d.last(got.Ticket); a.Auth.Verdict != store.Verified || !a.External {
		t.Errorf("it became %s, external %v", a.Auth.Verdict, a.External)
	}
}

func TestK08TwoNodesCountOneFailedLookup(t *testing.T) {
	d, other := twoNodes(t)
	in, got := d.waiting(letter{from: "carla@ext.example", subject: "x"})
	r := d.rechecks()[0]
	for _, s := range []*Service{d.Service, other, d.Service} {
		if err := s.Rechecked(d.ctx, r, in); err != nil {
			t.Fatal(err)
		}
	}
	if due := d.rechecks(); len(due) != 1 || due[0].ID != got.ActivityID || due[0].Attempt != 1 {
		t.Errorf("one failed look-up counted as %+v", due)
	}
}

func TestK08TwoLookupsDoNoMoreThanOne(t *testing.T) {
	for name, l := range map[string]func(d *desk) letter{
		"filed for a customer": func(*desk) letter {
			return letter{from: "Anna <anna@test.example>", subject: "Fwd: Invoice", body: "#from: nora@new.example\r\n\r\nWhere is it?"}
		},
		"sent on": func(d *desk) letter {
			return reply("anna@test.example", d.notified(d.open().Ticket, d.anna), "Use water.")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			in, got := d.waiting(l(d))
			d.now = d.now.Add(time.Minute)
			d.recheck(in, got, store.Verified)
			one := d.activities(got.Ticket)
			d.recheck(in, got, store.Verified)
			if two := d.activities(got.Ticket); !reflect.DeepEqual(one, two) {
				t.Errorf("first %+v\nthen %+v", one, two)
			}
		})
	}
}

func TestK08AnAgentIsToldOnce(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	in, got := d.waiting(reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water."))
	d.recheck(in, got, store.Failed)
	d.recheck(in, got, store.Failed)
	if n := d.noticed(d.anna); n != "not_verified" {
		t.Errorf("%q", n)
	}
}

// Two copies, over two of our addresses, of what an agent answered.
func TestK08TwoCopiesThatWaitedAreSentOnce(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.id = "once@test.example"
	one, first := d.waiting(l)
	l.header += "X-Original-To: help@test.example\r\n"
	two, second := d.waiting(l)
	d.now = d.now.Add(time.Minute)
	d.recheck(one, first, store.Verified)
	d.recheck(two, second, store.Verified)
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 1 {
		t.Errorf("%d answers", len(rows))
	}
}

func TestK08AMachinesMailIsLetInAndOpensNothing(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.close(r.Ticket)
	in, held := d.waiting(letter{from: "carla@ext.example", subject: "Automatic reply: [T#10001] Printer", header: "Auto-Submitted: auto-replied\r\n"})
	d.now = d.now.Add(time.Minute)
	d.recheck(in, held, store.Verified)
	if into, status := d.ticket(held.Ticket).MergedInto, d.status(r.Ticket); into != r.Ticket || status != statusClosed {
		t.Errorf("it went into %d, which is %s", into, status)
	}
}

func TestK08WhatWasClosedMeanwhileStaysClosed(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	in, held := d.waiting(letter{from: "carla@ext.example", subject: "[T#10001] thanks"})
	d.now = d.now.Add(time.Minute)
	d.close(r.Ticket)
	d.now = d.now.Add(time.Minute)
	d.recheck(in, held, store.Verified)
	if into, status := d.ticket(held.Ticket).MergedInto, d.status(r.Ticket); into != r.Ticket || status != statusClosed {
		t.Errorf("it went into %d, which is %s", into, status)
	}
}

func TestK08AnAgentsTaggedMailIsLetInAsANote(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	in, got := d.waiting(letter{from: "anna@test.example", subject: "[T#10001] seen"})
	if got.Outcome != OutcomeHold {
		t.Fatalf("%+v", got)
	}
	d.recheck(in, got, store.Verified)
	isHis := func(a store.Activity) bool {
		return a.ID == got.ActivityID && a.Type == store.TypeNote && a.Sender == store.SenderAgent && a.CreatedBy == d.anna.ID
	}
	if list := d.activities(r.Ticket); !slices.ContainsFunc(list, isHis) {
		t.Errorf("%+v", list)
	}
}

// A channel counts its reopen_days from when the mail came, not from when DNS
// answered.
func TestK08InTimeIsWhatCameInTime(t *testing.T) {
	d := newDesk(t)
	one := 1
	d.setChannel(func(c *store.Channel) { c.ReopenDays = &one })
	r := d.open()
	d.close(r.Ticket)
	d.now = d.now.Add(23 * time.Hour)
	in, held := d.waiting(letter{from: "carla@ext.example", subject: "[T#10001] again"})
	d.now = d.now.Add(2 * time.Hour)
	d.recheck(in, held, store.Verified)
	if into := d.ticket(held.Ticket).MergedInto; into != r.Ticket {
		t.Errorf("it lies in %d", into)
	}
}

func TestK08ManyOfOneSenderAreAllLetIn(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	in, held := d.waiting(letter{from: "carla@ext.example", subject: "[T#10001] again"})
	in2, held2 := d.waiting(letter{from: "carla@ext.example", subject: "[T#10001] and again"})
	d.recheck(in, held, store.Verified)
	d.recheck(in2, held2, store.Verified)
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if n := len(d.said(r.Ticket)); err != nil || n != 3 || len(view.Held) != 0 {
		t.Errorf("%d mails, still waiting %+v, %v", n, view.Held, err)
	}
}

func TestK08ACcMayWriteWhenTheMailIsVerifiedLate(t *testing.T) {
	for _, verdict := range []store.Verdict{store.Verified, store.Failed} {
		d := newDesk(t)
		in, r := d.waiting(letter{from: "carla@ext.example", subject: "Printer", header: "Cc: bob@partner.example\r\n"})
		d.recheck(in, r, verdict)
		want := map[store.Verdict]Outcome{store.Verified: OutcomeAppend, store.Failed: OutcomeHold}[verdict]
		got := d.deliver(letter{from: "bob@partner.example", subject: fmt.Sprintf("[T#%d] me too", r.Ticket)})
		if got.Outcome != want {
			t.Errorf("%s: %s, want %s", verdict, got.Outcome, want)
		}
	}
}

func TestK08WhatAnAgentHidStaysHidden(t *testing.T) {
	for _, chosen := range []bool{true, false} {
		d := newDesk(t)
		in, got := d.waiting(letter{from: "carla@ext.example", subject: "x"})
		a := d.last(got.Ticket)
		a.External, a.Chosen = false, chosen
		d.update(func(ctx context.Context, tx *store.Tx) error { return tx.UpdateActivity(ctx, a) })
		d.recheck(in, got, store.Verified)
		if shown := d.last(got.Ticket).External; shown == chosen {
			t.Errorf("chosen %v: shown %v", chosen, shown)
		}
	}
}

// While DNS failed the CRM did too: its contact is the ticket's by the time
// that both answer.
func TestK08TheContactOfTheHourIsTheTickets(t *testing.T) {
	for name, gone := range map[string]bool{"written": false, "merged": true} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			f := d.withDirectory(DirectoryContact{ID: "E-1", Name: "Carla Customer", Emails: mailboxes("cc@home.example")})
			d.deliver(letter{from: "zoe@zoe.example", subject: "other"})
			if gone {
				d.deliver(letter{from: "cc@home.example", subject: "hi"})
			}
			f.set(true)
			in, held := d.waiting(letter{from: "carla@ext.example", subject: "[T#10001] again"})
			if held.Outcome != OutcomeHold {
				t.Fatalf("%+v", held)
			}
			d.now = d.now.Add(time.Minute)
			f.set(false, listedCarla())
			d.recheck(in, held, store.Verified)
			ticket, c := d.ticket(held.Ticket), d.contactAt("carla@ext.example")
			if ticket.ContactID != c.ID || ticket.CompanyID != c.CompanyID || c.CompanyID == "" {
				t.Errorf("the ticket has contact %q of %q; she is %q of %q", ticket.ContactID, ticket.CompanyID, c.ID, c.CompanyID)
			}
		})
	}
}

// An agent moves a mail away while its verdict comes in on another node.
func TestK08MovedWhileLookedUp(t *testing.T) {
	d, other := twoNodes(t)
	a := d.open()
	b := d.deliver(letter{from: "carla@ext.example", subject: "B"})
	d.answer(a.Ticket, "x")
	_, mails := d.deliveries(a.Ticket, store.MailAnswer)
	d.now = d.now.Add(time.Minute)
	d.close(a.Ticket)
	d.now = d.now.Add(time.Minute)
	in, got := d.waiting(letter{from: "carla@ext.example", subject: "y", header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n"})
	if got.Ticket != a.Ticket || !d.last(a.Ticket).Withheld {
		t.Fatalf("%+v", got)
	}
	d.now = d.now.Add(time.Minute)
	in.Auth = store.Auth{Verdict: store.Verified}
	done := make(chan error, 1)
	err := other.db.Update(d.ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := other.newWork(ctx, tx)
		if err != nil {
			return err
		}
		from, err := w.visible(ctx, d.anna, a.Ticket)
		if err != nil {
			return err
		}
		go func() { done <- d.Rechecked(d.ctx, store.Recheck{ID: got.ActivityID}, in) }()
		time.Sleep(300 * time.Millisecond) // the other node stands at the lock by now, or comes after: both are right
		x, err := w.tx.Activity(ctx, got.ActivityID)
		if err != nil {
			return err
		}
		err = (&move{work: w, agent: d.anna, from: from, a: x}).run(ctx, b.Ticket)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := d.status(a.Ticket); s != statusClosed {
		t.Errorf("the mail lies in %d, and %d, where it is no more, is %s", b.Ticket, a.Ticket, s)
	}
}

func TestK08WhatAnAgentMovedReopensNothing(t *testing.T) {
	d := newDesk(t)
	a := d.open()
	b := d.deliver(letter{from: "carla@ext.example", subject: "B"})
	d.close(b.Ticket)
	d.now = d.now.Add(time.Minute)
	d.answer(a.Ticket, "x")
	_, mails := d.deliveries(a.Ticket, store.MailAnswer)
	d.now = d.now.Add(time.Minute)
	in, got := d.waiting(letter{from: "carla@ext.example", subject: "y", header: "In-Reply-To: <" + mails[0].MessageID + ">\r\n"})
	d.move(a.Ticket, got.ActivityID, b.Ticket)
	status := d.status(b.Ticket)
	d.now = d.now.Add(time.Minute)
	d.recheck(in, got, store.Verified)
	if s := d.status(b.Ticket); s != status {
		t.Errorf("from %s to %s", status, s)
	}
}

// What is suggested, and what waits for it, stay two sides of one thing
// whatever is merged.
func TestNoTicketWaitsForNothing(t *testing.T) {
	for name, c := range map[string]func(d *desk, a, held int64){
		"the suggested ticket went elsewhere": func(d *desk, a, held int64) {
			b := d.deliver(letter{from: "carla@ext.example", subject: "Other"})
			if _, err := d.Merge(d.ctx, d.anna, a, b.Ticket); err != nil {
				d.t.Fatal(err)
			}
			if _, err := d.Dismiss(d.ctx, d.anna, held); err != nil {
				d.t.Fatal(err)
			}
		},
		"the suggested ticket went into the one that waits": func(d *desk, a, held int64) {
			if _, err := d.Merge(d.ctx, d.anna, a, held); err != nil {
				d.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			a := d.open()
			held := d.deliver(letter{from: "dave@other.example", subject: fmt.Sprintf("[T#%d] me", a.Ticket)})
			c(d, a.Ticket, held.Ticket)
			for _, n := range []int64{held.Ticket, a.Ticket} {
				view, err := d.Ticket(d.ctx, d.anna, n)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range view.Links {
					if l.Kind == store.LinkSuggested || l.Kind == store.LinkWaiting {
						t.Errorf("%d still has %+v", n, l)
					}
				}
			}
		})
	}
}

// On one node the ticket that is suggested is merged, on another the one that
// waits for it.
func TestAMergeOfWhatIsSuggestedAndOfWhatWaits(t *testing.T) {
	d, other := twoNodes(t)
	a := d.open()
	b := d.deliver(letter{from: "carla@ext.example", subject: "B"})
	c := d.deliver(letter{from: "dave@other.example", subject: "C"})
	held := d.deliver(letter{from: "dave@other.example", subject: fmt.Sprintf("[T#%d] me", a.Ticket)})
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { _, errs[0] = d.Merge(d.ctx, d.anna, a.Ticket, b.Ticket) })
	wg.Go(func() { _, errs[1] = other.Merge(d.ctx, d.anna, held.Ticket, c.Ticket) })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if x := d.ticket(held.Ticket); x.MergedInto != c.Ticket || x.SuggestedTicket != 0 {
		t.Errorf("merged into %d, and waits for %d", x.MergedInto, x.SuggestedTicket)
	}
}

func TestAMoveTrustsNoUnsignedCc(t *testing.T) {
	d := newDesk(t)
	in := d.incoming(letter{from: "carla@ext.example", subject: "Printer", header: "Cc: mallory@evil.example\r\n", verdict: store.Verified})
	in.Trusts = func(f string) bool { return f != "cc" }
	r := d.take(in)[0]
	moved := d.move(r.Ticket, r.ActivityID, 0)
	got := d.deliver(letter{from: "mallory@evil.example", subject: fmt.Sprintf("[T#%d] me", moved.Ticket)})
	if got.Outcome != OutcomeHold {
		t.Errorf("%s, as %s", got.Outcome, d.last(moved.Ticket).Sender)
	}
}
