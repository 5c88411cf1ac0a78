package threading

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/postgres"
)

// twoNodes gives a desk on a real PostgreSQL, and a second node on the same.
func twoNodes(t *testing.T) (*desk, *Service) {
	t.Helper()
	d := &desk{t: t, ctx: context.Background(), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	url := testbed.SharedPostgres(t).NewDatabase(t)
	d.url = url
	var nodes []*Service
	for range 2 {
		db, err := postgres.Open(d.ctx, url, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		s, err := New(Options{DB: db, Secrets: []string{"secret"}, Hostname: "mx.test.example", Now: func() time.Time { return d.now }})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, s)
	}
	d.Service = nodes[0]
	if _, _, err := d.Setup(d.ctx, "admin@test.example"); err != nil {
		t.Fatal(err)
	}
	d.people()
	return d, nodes[1]
}

// atOnce has each node take a mail at the same moment.
func atOnce(t *testing.T, d *desk, other *Service, here, there Incoming) (a, b Result) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { a = d.Take(d.ctx, here)[0] })
	wg.Go(func() { b = other.Take(d.ctx, there)[0] })
	wg.Wait()
	if a.Err != nil || b.Err != nil {
		t.Fatalf("take: %v, %v", a.Err, b.Err)
	}
	return a, b
}

// D07: one mail for two accounts, handed to two nodes at the same moment, is
// one mail: appended once, or two tickets linked to each other, acknowledged
// once; the same mail for one account is filed once.
func TestD07OneMailOnTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	d.secondAccount("sales")
	d.setChannel(ack)
	d.open()
	to := func(in Incoming, recipient string) Incoming { in.Recipients = []string{recipient}; return in }
	for i := range 25 {
		in := d.incoming(letter{from: "carla@ext.example", subject: "[T#10001] more"})
		if a, b := atOnce(t, d, other, in, to(in, "sales@test.example")); a.ActivityID != b.ActivityID {
			t.Fatalf("round %d: appended as %s and as %s", i, a.ActivityID, b.ActivityID)
		}
		in = d.incoming(letter{from: "carla@ext.example", subject: "[T#10001] same"})
		if a, b := atOnce(t, d, other, in, in); a.ActivityID != b.ActivityID {
			t.Fatalf("round %d: the same mail filed twice", i)
		}
		in = d.incoming(letter{from: fmt.Sprintf("u%d@ext.example", i), subject: "fresh", verdict: store.Verified})
		a, b := atOnce(t, d, other, in, to(in, "sales@test.example"))
		view, err := d.Ticket(d.ctx, d.admin, a.Ticket)
		if err != nil || len(view.Links) != 1 || view.Links[0].Number != b.Ticket {
			t.Fatalf("round %d: tickets %d and %d, links %+v, %v", i, a.Ticket, b.Ticket, view.Links, err)
		}
		here, _ := d.deliveries(a.Ticket, store.MailAck)
		there, _ := d.deliveries(b.Ticket, store.MailAck)
		if len(here)+len(there) != 1 {
			t.Fatalf("round %d: %d acknowledgements", i, len(here)+len(there))
		}
	}
}

// T26: the budget of acknowledgements holds over all nodes.
func TestT26AcknowledgementsOverTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	d.setChannel(ack)
	for i := range 15 {
		from := fmt.Sprintf("p%d@ext.example", i)
		a, b := atOnce(t, d, other, d.incoming(letter{from: from, subject: "one", verdict: store.Verified}),
			d.incoming(letter{from: from, subject: "two", verdict: store.Verified}))
		here, _ := d.deliveries(a.Ticket, store.MailAck)
		there, _ := d.deliveries(b.Ticket, store.MailAck)
		if len(here)+len(there) != 1 {
			t.Fatalf("round %d: %d acknowledgements to an unknown address", i, len(here)+len(there))
		}
	}
}

// Two agents on two nodes put two tickets into each other at the same moment:
// one of them comes too late, and there is never a ring. Mail that names either
// finds the one that stayed.
func TestT12MergesThatCross(t *testing.T) {
	d, other := twoNodes(t)
	for round := range 15 {
		a, b := d.open().Ticket, d.open().Ticket
		var here, there error
		var mail Result
		var wg sync.WaitGroup
		in := d.incoming(letter{from: "carla@ext.example", subject: fmt.Sprintf("[T#%d] [T#%d]", a, b)})
		wg.Go(func() { _, here = d.Merge(d.ctx, d.admin, a, b) })
		wg.Go(func() { _, there = other.Merge(d.ctx, d.admin, b, a) })
		wg.Go(func() { mail = other.Take(d.ctx, in)[0] })
		wg.Wait()
		if (here == nil) == (there == nil) || mail.Err != nil {
			t.Fatalf("round %d: %v, %v, %v", round, here, there, mail.Err)
		}
		root, gone := d.ticket(a), d.ticket(b)
		if root.MergedInto != 0 {
			root, gone = gone, root
		}
		if root.MergedInto != 0 || gone.MergedInto != root.Number || len(d.said(root.Number)) != 3 || len(d.said(gone.Number)) != 0 {
			t.Fatalf("round %d: %+v, %+v; %d and %d mails", round, root, gone, len(d.said(root.Number)), len(d.said(gone.Number)))
		}
	}
}

// The ends of a thread come to two nodes at the same moment as what ties them:
// they end up together.
func TestAThreadOnTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	for round := range 15 {
		from := fmt.Sprintf("c%d@ext.example", round)
		id := func(n int) string { return fmt.Sprintf("r%d.m%d@x.example", round, n) }
		d.deliver(letter{from: from, subject: "Re: Plans", id: id(3), header: "In-Reply-To: <" + id(2) + ">\r\n"})
		first := d.incoming(letter{from: from, subject: "Plans", id: id(1)})
		second := d.incoming(letter{from: from, subject: "Re: Plans", id: id(2), header: "In-Reply-To: <" + id(1) + ">\r\n"})
		a, b := atOnce(t, d, other, first, second)
		tickets := map[int64]bool{}
		for _, number := range []int64{a.Ticket, b.Ticket} {
			for d.ticket(number).MergedInto != 0 {
				number = d.ticket(number).MergedInto
			}
			tickets[number] = true
		}
		if len(tickets) != 1 {
			t.Fatalf("round %d: tickets %v", round, tickets)
		}
	}
}
