package threading

import (
	"context"
	"reflect"
	"testing"

	"ticketgate/store"
)

// events gives the journal, without positions.
func (d *desk) events() []store.Event {
	d.t.Helper()
	var list []store.Event
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		list, err = tx.Events(ctx, store.EventPosition{}, 1000)
		return err
	})
	for i := range list {
		list[i].Position = store.EventPosition{}
	}
	return list
}

// lastEvent gives the newest event.
func (d *desk) lastEvent() store.Event {
	d.t.Helper()
	list := d.events()
	return list[len(list)-1]
}

func TestAMailIsTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	want := []store.Event{
		{Kind: store.EventTicketCreated, Ticket: r.Ticket, At: d.now, ChannelID: d.channel.ID},
		{Kind: store.EventActivityCreated, Ticket: r.Ticket, ActivityID: r.ActivityID, At: d.now, ChannelID: d.channel.ID},
	}
	if got := d.events(); !reflect.DeepEqual(got, want) {
		t.Errorf("journal %+v", got)
	}
}

func TestALaterLookUpIsTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	answer := d.answer(r.Ticket, "?")
	d.close(r.Ticket)
	in := d.incoming(letter{from: "carla@ext.example", subject: "re", header: "In-Reply-To: <" + answer.MessageID + ">\r\n", verdict: store.AuthError})
	late := d.take(in)[0]
	d.recheckAs(in, store.AuthError)
	if got := d.lastEvent(); got.Kind != store.EventActivityCreated {
		t.Errorf("a look-up that failed once more is told: %+v", got)
	}
	d.recheckAs(in, store.Verified)
	want := store.Event{
		Kind: store.EventActivityChanged, Ticket: late.Ticket, ActivityID: late.ActivityID, At: d.now, ChannelID: d.channel.ID,
		Data: store.EventData{Fields: []string{"auth", "sender", "show_in_external_access", "changes"}, Verdict: store.Verified},
	}
	if got := d.lastEvent(); !reflect.DeepEqual(got, want) {
		t.Errorf("told is %+v", got)
	}
}

func TestAnAgentIsTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if err := d.do(d.ctx, func(ctx context.Context, w *work) error {
		return w.tellAgent(ctx, d.anna.ID, r.Ticket, r.ActivityID, "no_access", "Your answer was not sent.\x00")
	}); err != nil {
		t.Fatal(err)
	}
	got := d.lastEvent()
	if got.Kind != store.EventAgentNotice || got.AgentID != d.anna.ID || got.Ticket != r.Ticket || got.ActivityID != r.ActivityID ||
		got.Data.Reason != "no_access" || got.Data.Text != "Your answer was not sent." {
		t.Errorf("told is %+v", got)
	}
}
