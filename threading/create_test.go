package threading

import (
	"slices"
	"testing"

	"ticketgate/store"
)

// A call that was answered at once is no open ticket, whatever kind it is of; the
// customer's next word opens it.
func TestATicketThatIsMadeClosed(t *testing.T) {
	d := newDesk(t)
	for _, n := range []NewTicket{
		{Kind: store.KindEnquiry, Contact: &NewContact{Email: "carla@ext.example"}},
		{Kind: store.KindInternal},
		{Kind: store.KindEmail, To: []string{"carla@ext.example"}, AccountID: d.account.ID},
	} {
		n.Subject, n.Text, n.ChannelID, n.StatusID = "Printer", "It works again.", d.channel.ID, d.statusID(statusClosed)
		made, err := d.CreateTicket(d.ctx, d.anna, n)
		if err != nil {
			t.Fatal(err)
		}
		if !d.ticket(made.Number).ClosedAt.Equal(d.now) {
			t.Errorf("%s: closed at %v", n.Kind, made.ClosedAt)
		}
		if _, err := d.AddActivity(d.ctx, d.anna, made.Number, NewActivity{Type: store.TypeIncoming, Text: "No."}); err != nil {
			t.Fatal(err)
		}
		if open := d.ticket(made.Number); !open.ClosedAt.IsZero() || d.status(made.Number) != "In progress" {
			t.Errorf("%s: after the next call %s, closed at %v", n.Kind, d.status(made.Number), open.ClosedAt)
		}
	}
}

// Tags of a new ticket are cleaned as those of a change are.
func TestTagsOfANewTicket(t *testing.T) {
	d := newDesk(t)
	made, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindInternal, Subject: "Plan", ChannelID: d.channel.ID, Tags: []string{"b", " a ", "", "b", "a"},
	})
	if err != nil || !slices.Equal(made.Tags, []string{"b", "a"}) {
		t.Errorf("tags %q, %v", made.Tags, err)
	}
}

// Nobody calls from an address of our own, and no answer goes there.
func TestAnEnquiryOfOurselves(t *testing.T) {
	d := newDesk(t)
	for field, n := range map[string]NewTicket{
		"contact.email": {Contact: &NewContact{Email: "Support@test.example"}},
		"to[0]":         {Contact: &NewContact{Name: "Carla"}, To: []string{"support@test.example"}},
		"bcc[0]":        {Contact: &NewContact{Name: "Carla"}, Bcc: []string{"support+x@test.example"}},
	} {
		n.Kind, n.Subject, n.ChannelID = store.KindEnquiry, "Call", d.channel.ID
		_, err := d.CreateTicket(d.ctx, d.anna, n)
		wantField(t, err, field)
	}
}
