package threading

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
)

func TestNextDigest(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now, want string
		zone      *time.Location
	}{
		{"2026-11-25T06:59:59Z", "2026-11-25T07:00:00Z", time.UTC},
		{"2026-11-25T07:00:00Z", "2026-11-26T07:00:00Z", time.UTC},
		{"2026-11-30T23:00:00Z", "2026-12-01T07:00:00Z", time.UTC},
		{"2026-11-25T06:30:00Z", "2026-11-26T06:00:00Z", berlin},
		{"2026-03-28T12:00:00Z", "2026-03-29T05:00:00Z", berlin}, // clocks go forward that night
		{"2026-10-24T12:00:00Z", "2026-10-25T06:00:00Z", berlin}, // and back
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := nextDigest(now, c.zone).Format(time.RFC3339); got != c.want {
			t.Errorf("after %s it is %s, want %s", c.now, got, c.want)
		}
	}
}

// digested has an agent told once a day.
func (d *desk) digested(agent *store.Agent) {
	agent.Notify = map[string]string{roleSubscriber: store.NotifyDigest, roleOwner: store.NotifyDigest}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, *agent) })
}

// digests gives the mails of digests.
func (d *desk) digests() []store.Mail {
	_, mails := d.deliveries(0, store.MailNotification) // of all tickets, and of none
	return slices.DeleteFunc(mails, func(m store.Mail) bool { return m.Ticket != 0 })
}

func TestDigest(t *testing.T) {
	d := newDesk(t)
	d.digested(d.anna)
	first := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "Printer", verdict: store.Verified})
	second := d.deliver(letter{from: "sam@ext.example", subject: "Secret matter"})
	d.deliver(letter{from: "Carla <carla@ext.example>", subject: "[T#10001] Printer again", verdict: store.Verified})
	if n := len(d.told(first.Ticket)); n != 0 {
		t.Errorf("%d were told at once", n)
	}
	send := func() {
		if err := d.SendDigests(d.ctx); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if len(d.digests()) != 0 {
		t.Fatal("it went out before its time")
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { // what she doesn't see any more is not told
		ticket, err := tx.Ticket(ctx, second.Ticket)
		if err != nil {
			return err
		}
		ticket.ChannelID = "elsewhere"
		return tx.UpdateTicket(ctx, ticket)
	})
	d.now = d.now.Add(24 * time.Hour)
	send()
	send()
	mails := d.digests()
	if len(mails) != 1 || mails[0].To[0].Address != d.anna.Email || mails[0].Subject != "What happened in 1 of your tickets" {
		t.Fatalf("the digests are %+v", mails)
	}
	text := mails[0].Text
	for _, want := range []string{"T#10001 in Support: Printer\n", "new ticket, Carla <carla@ext.example>", "new reply, Carla", "/tickets/10001"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Secret") {
		t.Errorf("it tells of what she doesn't see:\n%s", text)
	}
}

// Two nodes that look at the same moment write one digest.
func TestDigestOnTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	d.digested(d.anna)
	for day := range 10 {
		d.deliver(letter{from: "carla@ext.example", subject: "Printer"})
		d.now = d.now.Add(24 * time.Hour)
		var wg sync.WaitGroup
		for _, node := range []*Service{d.Service, other} {
			wg.Go(func() {
				if err := node.SendDigests(d.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(d.digests()); n != day+1 {
			t.Fatalf("day %d: %d digests", day, n)
		}
	}
}
