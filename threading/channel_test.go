package threading

import (
	"context"
	"testing"

	"ticketgate/store"
)

// statuses of a second channel: it knows New and a status of its own.
func (d *desk) helpdesk() (channel store.Channel, waiting store.Status) {
	d.t.Helper()
	waiting = store.Status{ID: "waiting", Name: "Waiting", Responsibility: store.ResponsibleCustomer, Position: 9}
	done := store.Status{ID: "done", Name: "Done", Responsibility: store.ResponsibleNone, Closed: true, Position: 10}
	channel = DefaultChannel("Helpdesk", map[string]string{statusNew: d.statusID(statusNew)})
	channel.Statuses = []string{d.statusID(statusNew), waiting.ID, done.ID}
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for _, s := range []store.Status{waiting, done} {
			if err := tx.PutStatus(ctx, s); err != nil {
				return err
			}
		}
		if err := tx.PutSubscription(ctx, store.Subscription{ChannelID: channel.ID, AgentID: d.anna.ID, Type: store.SubscriptionStandard}); err != nil {
			return err
		}
		return tx.PutChannel(ctx, channel)
	})
	return channel, waiting
}

// A ticket takes a status of the channel that it moves to, of the same meaning
// if there is one.
func TestStatusFitsTheChannel(t *testing.T) {
	for was, want := range map[string]string{
		statusNew: "New", statusInProgress: "New", statusAnswered: "Waiting", statusClosed: "Done", "Unsuccessfully closed": "Done",
	} {
		t.Run(was, func(t *testing.T) {
			d := newDesk(t)
			channel, _ := d.helpdesk()
			r := d.open()
			status := d.statusID(was)
			if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{StatusID: &status}); err != nil {
				t.Fatal(err)
			}
			moved, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ChannelID: &channel.ID})
			if err != nil {
				t.Fatal(err)
			}
			if got := d.status(r.Ticket); got != want || moved.ClosedAt.IsZero() != (want != "Done") {
				t.Errorf("the status is %s (closed %v), want %s", got, moved.ClosedAt, want)
			}
		})
	}
}

func TestStatusOfAnotherChannelIsRefused(t *testing.T) {
	d := newDesk(t)
	channel, _ := d.helpdesk()
	r := d.open()
	progress := d.statusID(statusInProgress)
	_, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ChannelID: &channel.ID, StatusID: &progress})
	wantField(t, err, "status_id")
	_, err = d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: channel.ID, Subject: "x", Text: "x", StatusID: progress})
	wantField(t, err, "status_id")
}

func TestCheckStatuses(t *testing.T) {
	desk := &store.Desk{Statuses: []store.Status{
		{ID: "new", Responsibility: "us"}, {ID: "wait", Responsibility: "customer"}, {ID: "done", Responsibility: "none", Closed: true},
	}}
	for _, c := range []struct {
		name, field string
		channel     store.Channel
	}{
		{"all statuses", "", store.Channel{DefaultStatusID: "new", OnIncoming: "wait"}},
		{"those that it sets", "", store.Channel{DefaultStatusID: "new", OnIncoming: "wait", Statuses: []string{"new", "wait"}}},
		{"not its default", "default_status_id", store.Channel{DefaultStatusID: "new", Statuses: []string{"wait"}}},
		{"not that of a reply", "on_incoming", store.Channel{DefaultStatusID: "new", OnIncoming: "wait", Statuses: []string{"new"}}},
		{"not that of an answer", "on_outgoing", store.Channel{DefaultStatusID: "new", OnOutgoing: "wait", Statuses: []string{"new"}}},
		{"another turn", "", store.Channel{DefaultStatusID: "new", Responsibilities: map[string]string{"new": "customer"}}},
		{"a turn of a closed one", "responsibilities", store.Channel{DefaultStatusID: "new", Responsibilities: map[string]string{"done": "us"}}},
		{"nobody's turn", "responsibilities", store.Channel{DefaultStatusID: "new", Responsibilities: map[string]string{"new": "none"}}},
		{"a turn of none", "responsibilities", store.Channel{DefaultStatusID: "new", Responsibilities: map[string]string{"gone": "us"}}},
	} {
		t.Run(c.name, func(t *testing.T) { wantField(t, CheckStatuses(desk, c.channel), c.field) })
	}
}

func TestResponsibilityByChannel(t *testing.T) {
	d := newDesk(t)
	id := d.statusID(statusAnswered)
	d.setChannel(func(c *store.Channel) { c.Responsibilities = map[string]string{id: store.ResponsibleUs} })
	desk := d.desk()
	for channel, want := range map[string]string{d.channel.ID: store.ResponsibleUs, "another": store.ResponsibleCustomer} {
		if got := desk.Responsibility(channel, id); got != want {
			t.Errorf("in %s it is %s, want %s", channel, got, want)
		}
	}
	if got := desk.Responsibility(d.channel.ID, d.statusID(statusClosed)); got != store.ResponsibleNone {
		t.Errorf("a closed one is %s", got)
	}
}
