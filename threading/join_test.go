package threading

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ticketgate/store"
)

// Two mails of one conversation, whose beginning nobody here has seen, land in
// one ticket.
func TestUnknownMailsWithACommonAncestor(t *testing.T) {
	d := newDesk(t)
	first := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", header: "Cc: bob@partner.example\r\nReferences: <root@ext.example> <a@ext.example>\r\n"})
	same := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", header: "References: <root@ext.example> <b@ext.example>\r\n"})
	if same.Ticket != first.Ticket || same.MatchedBy != SignalAncestor {
		t.Errorf("her second: %+v", same)
	}
	answered := d.deliver(letter{from: "bob@partner.example", subject: "Re: Plans", header: "Cc: carla@ext.example\r\nReferences: <root@ext.example>\r\n"})
	if answered.Ticket != first.Ticket {
		t.Errorf("his, who was in its Cc: %+v", answered)
	}
}

// Whoever names an id and puts somebody into his Cc does not get the mail of
// that one, who has nothing to do with him, into his ticket.
func TestAClaimedAncestorCapturesNoMail(t *testing.T) {
	for name, l := range map[string]letter{
		"one that names it": {header: "References: <x@ext.example>\r\n"},
		"one that has it":   {id: "x@ext.example"},
	} {
		d := newDesk(t)
		d.deliver(letter{from: "mallory@evil.example", subject: "hi", header: "Cc: carla@ext.example\r\nReferences: <x@ext.example>\r\n"})
		l.from, l.subject = "carla@ext.example", "Printer"
		if r := d.deliver(l); r.Outcome != OutcomeNew {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// The mail that ties two ends of a thread comes last: its tickets are one then.
func TestABridgeJoinsTickets(t *testing.T) {
	d := newDesk(t)
	third := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m3@x.example", header: "In-Reply-To: <m2@x.example>\r\n"})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Plans", id: "m1@x.example"})
	if third.Ticket == first.Ticket {
		t.Fatal("the ends came together without what ties them")
	}
	second := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m2@x.example", header: "In-Reply-To: <m1@x.example>\r\n"})
	if second.Ticket != first.Ticket || d.ticket(third.Ticket).MergedInto != first.Ticket {
		t.Errorf("the bridge is in %d, the other end leads to %d, want %d", second.Ticket, d.ticket(third.Ticket).MergedInto, first.Ticket)
	}
	if got := len(d.said(first.Ticket)); got != 3 {
		t.Errorf("%d mails in the ticket", got)
	}
}

// Where agents worked on both ends nothing moves under their hands.
func TestABridgeLinksWhatAgentsWorkedOn(t *testing.T) {
	d := newDesk(t)
	third := d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m3@x.example", header: "In-Reply-To: <m2@x.example>\r\n"})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Plans", id: "m1@x.example"})
	d.answer(third.Ticket, "one")
	d.answer(first.Ticket, "two")
	d.deliver(letter{from: "carla@ext.example", subject: "Re: Plans", id: "m2@x.example", header: "In-Reply-To: <m1@x.example>\r\n"})
	view, err := d.Ticket(d.ctx, d.anna, first.Ticket)
	if err != nil || view.MergedInto != 0 || len(view.Links) != 1 || view.Links[0] != (store.Link{Ticket: first.Ticket, Number: third.Ticket, Kind: store.LinkThread}) {
		t.Errorf("links %+v, %v", view.Links, err)
	}
}

// One mail to two accounts of one channel is two tickets, and stays so when the
// thread goes on.
func TestSiblingsOfOneMailDoNotJoin(t *testing.T) {
	d := newDesk(t)
	d.secondAccount("sales")
	in := d.incoming(letter{from: "carla@ext.example", subject: "Both", id: "both@ext.example", to: []string{"support@test.example", "sales@test.example"}})
	results := d.take(in)
	d.deliver(letter{from: "carla@ext.example", subject: "Re: Both", header: "In-Reply-To: <both@ext.example>\r\n"})
	for _, r := range results {
		if d.ticket(r.Ticket).MergedInto != 0 {
			t.Errorf("ticket %d was merged", r.Ticket)
		}
	}
}

// said gives the incoming mail of a ticket.
func (d *desk) said(number int64) []store.Activity {
	d.t.Helper()
	var list []store.Activity
	for _, a := range d.activities(number) {
		if a.Type == store.TypeIncoming {
			list = append(list, a)
		}
	}
	return list
}

// A thread ends up in one ticket in whatever order its mails come, whether its
// mail programs write References, In-Reply-To or both.
func TestThreadsInAnyOrderEndUpTogether(t *testing.T) {
	run := 0
	d := newDesk(t)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		count := rapid.IntRange(2, 6).Draw(rt, "mails")
		id := func(n int) string { return fmt.Sprintf("r%d.m%d@x.example", run, n) }
		letters := make([]letter, count)
		above := make([][]string, count)
		for n := range letters {
			letters[n] = letter{from: fmt.Sprintf("c%d@ext.example", run), subject: "Plans", id: id(n)}
			if n == 0 {
				continue
			}
			parent := rapid.IntRange(0, n-1).Draw(rt, "parent")
			above[n] = append(append([]string{}, above[parent]...), "<"+id(parent)+">")
			kind := rapid.IntRange(0, 2).Draw(rt, "fields")
			if kind != 0 {
				letters[n].header += "In-Reply-To: <" + id(parent) + ">\r\n"
			}
			if kind != 1 {
				letters[n].header += "References: " + strings.Join(above[n], " ") + "\r\n"
			}
		}
		tickets := map[int64]bool{}
		var all []Result
		for _, n := range rapid.Permutation(ints(count)).Draw(rt, "order") {
			all = append(all, d.deliver(letters[n]))
		}
		for _, r := range all {
			number := r.Ticket
			for d.ticket(number).MergedInto != 0 {
				number = d.ticket(number).MergedInto
			}
			tickets[number] = true
		}
		if len(tickets) != 1 {
			rt.Fatalf("%d tickets of one thread", len(tickets))
		}
		for number := range tickets {
			if got := len(d.said(number)); got != count {
				rt.Fatalf("%d of %d mails in the ticket", got, count)
			}
		}
	})
}

func ints(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
