package threading

import (
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

func (d *desk) handIn(agent *store.Agent, l letter, ticket int64) Result {
	d.t.Helper()
	r, err := d.HandIn(d.ctx, agent, d.incoming(l), "", ticket)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func TestHandedInMailIsFiledLikeAny(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	l := letter{from: "Carla <carla@ext.example>", subject: "Printer", id: "one@ext.example", verdict: store.Verified}
	r := d.handIn(d.anna, l, 0)
	a := d.last(r.Ticket)
	if r.Outcome != OutcomeNew || a.Source != "agent" || a.CreatedBy != d.anna.ID || a.Sender != store.SenderParticipant || a.Author.Address != "carla@ext.example" {
		t.Errorf("%+v %+v", r, a)
	}
	if d.ticket(r.Ticket).CreatedBy != d.anna.ID {
		t.Error("nobody made the ticket")
	}
	if acks, _ := d.deliveries(r.Ticket, store.MailAck); len(acks) != 0 {
		t.Error("what an agent hands in is acknowledged")
	}
	if slices.Contains(d.told(r.Ticket), d.anna.Email) {
		t.Error("who acted is told")
	}
	again := d.handIn(d.anna, l, 0)
	if again.Outcome != OutcomeDuplicate || again.Ticket != r.Ticket || again.ActivityID != r.ActivityID {
		t.Errorf("again: %+v", again)
	}
	if came := d.deliver(l); came.Outcome != OutcomeDuplicate { // and when the MTA brings it
		t.Errorf("it came: %+v", came)
	}
}

// On the agent's word a mail goes into a ticket that nothing in it names; its
// author gets no rights by that.
func TestHandedInOnTheAgentsWord(t *testing.T) {
	for _, c := range []struct {
		name, from, sender, status string
		verdict                    store.Verdict
	}{
		{"the customer", "carla@ext.example", store.SenderParticipant, statusInProgress, store.Verified},
		{"a stranger", "sam@else.example", store.SenderStranger, statusInProgress, store.Verified},
		{"a forgery", "carla@ext.example", store.SenderStranger, statusAnswered, store.Failed},
		{"a colleague", "ivo@test.example", store.SenderStranger, statusInProgress, store.Verified},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			r := d.deliver(letter{from: "carla@ext.example", subject: "Printer", verdict: store.Verified})
			d.answer(r.Ticket, "Try this")
			sent, _ := d.deliveries(r.Ticket, store.MailAnswer)
			got := d.handIn(d.anna, letter{from: c.from, subject: "Nothing about it", body: "Yes", verdict: c.verdict}, r.Ticket)
			a := d.last(r.Ticket)
			if got.Outcome != OutcomeAppend || got.Ticket != r.Ticket || got.MatchedBy != SignalAgent || a.Sender != c.sender || a.ID != got.ActivityID {
				t.Errorf("%+v: sender %s", got, a.Sender)
			}
			if s := d.status(r.Ticket); s != c.status {
				t.Errorf("the status is %s, want %s", s, c.status)
			}
			if now, _ := d.deliveries(r.Ticket, store.MailAnswer); len(now) != len(sent) {
				t.Error("something went to the customer")
			}
		})
	}
}

func TestHandedInToWhatIsNotThere(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := letter{from: "carla@ext.example", subject: "x"}
	if _, err := d.HandIn(d.ctx, d.otto, d.incoming(l), "", r.Ticket); !store.IsNotFound(err) {
		t.Errorf("an outsider: %v", err)
	}
	internal, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "x", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.HandIn(d.ctx, d.anna, d.incoming(l), "", internal.Number); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("an internal ticket: %v", err)
	}
	_, err = d.HandIn(d.ctx, d.anna, d.incoming(l), "none", 0)
	wantField(t, err, "account_id")
}

// An agent's own mail that somebody hands in is no order to send it on.
func TestHandedInMailOfAnAgentDoesNotAct(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("anna@test.example", d.notified(r.Ticket, d.anna), "Use water.")
	l.verdict = store.Verified
	got := d.handIn(d.ivo, l, 0)
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
		t.Errorf("it was sent: %+v", got)
	}
	if a := d.last(got.Ticket); a.Type != store.TypeIncoming || a.Sender != store.SenderStranger || !strings.Contains(a.Text, "Use water") {
		t.Errorf("%+v", a)
	}
}
