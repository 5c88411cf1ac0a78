package threading

import (
	"context"
	"slices"

	"ticketgate/store"
)

// joinThreads puts tickets together that a mail shows to be one thread: its
// ends came before the mail that ties them. A ticket that an agent has worked
// on stays where it is, and the two are linked.
func (f *filing) joinThreads(ctx context.Context, d Decision) error {
	t, err := f.s.followed(ctx, f.tx, d.Ticket)
	for _, number := range d.Joins {
		if err != nil {
			return err
		}
		var other store.Ticket
		if other, err = f.s.followed(ctx, f.tx, number); err != nil {
			return err
		}
		t, err = f.joinTickets(ctx, t, other)
	}
	return err
}

// joinTickets puts one of two tickets into the other, and gives the one that
// stays.
func (f *filing) joinTickets(ctx context.Context, t, other store.Ticket) (store.Ticket, error) {
	apart, err := f.apart(ctx, t, other)
	if err != nil || apart {
		return t, err
	}
	for _, pair := range [][2]store.Ticket{{other, t}, {t, other}} {
		worked, err := f.tx.WorkedOn(ctx, pair[0].Number)
		if err != nil {
			return t, err
		}
		if worked {
			continue
		}
		if _, err := f.merge(ctx, nil, pair[0], pair[1], nil); err != nil {
			return t, err
		}
		return f.tx.Ticket(ctx, pair[1].Number)
	}
	return t, f.tx.AddLink(ctx, t.Number, other.Number, store.LinkThread, store.LinkThread)
}

// apart tells that two tickets are none of one customer's matter, or stand
// apart on purpose: in two channels, one mail to two accounts, mail that waits
// for an agent.
func (f *filing) apart(ctx context.Context, t, other store.Ticket) (bool, error) {
	switch {
	case t.Number == other.Number, t.Kind != store.KindEmail, other.Kind != store.KindEmail,
		t.ChannelID != other.ChannelID, t.ContactID == "", t.ContactID != other.ContactID,
		t.SuggestedTicket != 0, other.SuggestedTicket != 0:
		return true, nil
	}
	links, err := f.tx.Links(ctx, t.Number)
	return slices.ContainsFunc(links, func(l store.Link) bool { return l.Number == other.Number }), err
}
