package e2e

import (
	"fmt"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

// Two daemons share one PostgreSQL and one Redis: one set of tickets, no mail
// out twice, and when one dies the other carries on.
func TestTwoNodes(t *testing.T) {
	redis := testbed.Redis(t)
	sink := testbed.SMTPSink(t, testbed.SinkOptions{})
	shared := []string{
		"STORE_URL=" + testbed.SharedPostgres(t).NewDatabase(t), "REDIS_URL=" + redis.URL(), "SECRET=one-secret-for-both-nodes-0123456789",
		"OUTBOUND_SMARTHOST=smtp+insecure://" + sink.Addr(), "BLOB_URL=file:" + t.TempDir(),
	}
	one := newNode(t, shared...)
	one.apply(deskFile)
	two := newNode(t, shared...)
	two.token = one.token
	for i := range 20 {
		n := []*node{one, two}[i%2]
		n.mustSend("carla@ext.example", plain("carla@ext.example", fmt.Sprintf("mail %d", i), fmt.Sprintf("%d@ext.example", i), "", "hello"))
	}
	same := plain("carla@ext.example", "once", "once@ext.example", "", "hello")
	one.mustSend("carla@ext.example", same)
	two.mustSend("carla@ext.example", same)
	tickets := one.tickets()
	if len(tickets) != 21 || len(two.tickets()) != 21 {
		t.Fatalf("%d tickets here, %d there, want 21", len(tickets), len(two.tickets()))
	}
	for _, ticket := range tickets {
		one.answer(ticket.Number, "hello")
		two.answer(ticket.Number, "hello again")
	}
	one.kill()
	two.mustSend("carla@ext.example", plain("carla@ext.example", fmt.Sprintf("[T#%d] more", tickets[0].Number), "more@ext.example", "", "hello"))
	two.answer(tickets[0].Number, "and again")
	within(t, 120*time.Second, "all answers", func() bool { return len(answersIn(sink, "carla@ext.example")) == 2*21+1 })
	extra := 0
	for _, copies := range answersIn(sink, "carla@ext.example") {
		extra += copies - 1
	}
	if extra > 8 { // what the killed node was sending at that moment
		t.Errorf("%d copies too many", extra)
	}
}

// D13, D17: while PostgreSQL is down every recipient gets 451, and mail is
// taken again by itself; crashes of it lose nothing.
func TestD13StoreRefuses(t *testing.T) {
	postgres := testbed.Postgres(t)
	n := newNode(t, "STORE_URL="+postgres.NewDatabase(t))
	n.apply(deskFile)
	n.mustSend("carla@ext.example", plain("carla@ext.example", "before", "before@ext.example", "", "hello"))
	postgres.Stop(t, "immediate")
	if code, err := n.send("carla@ext.example", plain("carla@ext.example", "while", "while@ext.example", "", "hello")); code != 451 {
		t.Errorf("while the store is down: %d, %v", code, err)
	}
	postgres.Start(t)
	within(t, 30*time.Second, "mail is taken again", func() bool {
		code, _ := n.send("carla@ext.example", plain("carla@ext.example", "while", "while@ext.example", "", "hello"))
		return code == 250
	})
	if tickets := n.tickets(); len(tickets) != 2 {
		t.Errorf("%d tickets, want two: %+v", len(tickets), tickets)
	}
}
