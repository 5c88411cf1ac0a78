package threading

import (
	"context"
	"slices"
	"testing"
	"time"

	"ticketgate/store"
)

// A merge is told to the agents of both tickets, each once; who does not see where
// it went is told that he lost his, and nothing of the other.
func TestAMergeIsTold(t *testing.T) {
	d := newDesk(t)
	quiet := d.channelOf("Quiet", d.ivo, d.otto)
	mine, err := d.CreateTicket(d.ctx, d.ivo, NewTicket{
		Kind: store.KindInternal, Subject: "Mine", Text: "x", ChannelID: quiet, OwnerID: d.otto.ID, Watchers: []string{d.ivo.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	root, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindInternal, Subject: "Secret plan", Text: "x", ChannelID: d.channel.ID, ResponsibleID: d.ivo.ID,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Minute)
	if _, err := d.Merge(d.ctx, d.admin, mine.Number, root.Number); err != nil {
		t.Fatal(err)
	}
	told := d.toldNow(root.Number)
	if slices.Sort(told); !slices.Equal(told, []string{"anna@test.example", "ivo@test.example"}) {
		t.Errorf("of the ticket that is left were told %v", told)
	}
	if told := d.toldNow(mine.Number); !slices.Equal(told, []string{"otto@test.example"}) {
		t.Errorf("of their loss were told %v", told)
	}
	_, mails := d.deliveries(mine.Number, store.MailNotification)
	if last := mails[len(mails)-1]; last.Subject != "[T#10001] Mine" {
		t.Errorf("who lost it reads %q", last.Subject)
	}
}

// A mail that waited is a customer's word once an agent lets it in: all are told
// who are told of one.
func TestAConfirmedMailIsTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.PatchTicket(d.ctx, d.admin, r.Ticket, TicketPatch{OwnerID: &d.ivo.ID}); err != nil {
		t.Fatal(err)
	}
	d.notifyBy(d.anna, map[string]string{roleSubscriber: store.NotifyRelevant})
	held := d.deliver(letter{from: "eve@evil.example", subject: "[T#10001] me"})
	d.now = d.now.Add(time.Minute)
	if _, err := d.Confirm(d.ctx, d.ivo, held.Ticket, RememberNothing); err != nil {
		t.Fatal(err)
	}
	if told := d.toldNow(r.Ticket); !slices.Equal(told, []string{"anna@test.example"}) {
		t.Errorf("told %v", told)
	}
}

// channelOf makes another channel like the first one, which some agents see.
func (d *desk) channelOf(name string, agents ...*store.Agent) string {
	channel := d.channel
	channel.ID, channel.Name = store.NewID(), name
	d.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutChannel(ctx, channel); err != nil {
			return err
		}
		for _, a := range agents {
			s := store.Subscription{ChannelID: channel.ID, AgentID: a.ID, Type: store.SubscriptionInformal}
			if err := tx.PutSubscription(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	return channel.ID
}

// notifyBy has an agent be told as he chooses.
func (d *desk) notifyBy(a *store.Agent, choice map[string]string) {
	a.Notify = choice
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, *a) })
}

// toldNow gives who is told by mail at this moment: what moved with a ticket is older.
func (d *desk) toldNow(number int64) []string {
	d.t.Helper()
	rows, _ := d.deliveries(number, store.MailNotification)
	var list []string
	for _, r := range rows {
		if r.CreatedAt.Equal(d.now) {
			list = append(list, r.Recipient)
		}
	}
	return list
}
