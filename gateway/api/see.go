package api

import (
	"context"
	"slices"
	"strconv"

	"ticketgate/store"
)

// seen asks for a ticket as the caller sees it: one in a channel that he is
// not subscribed to is not there.
func seen(ctx context.Context, tx *store.Tx, c *call, number int64) (store.Ticket, error) {
	t, err := tx.Ticket(ctx, number)
	if err != nil {
		return t, err
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return t, err
	}
	if !c.admin() && !desk.Sees(c.agent.ID, t.ChannelID) {
		return store.Ticket{}, notFound()
	}
	return t, nil
}

// seenLinks drops the links to tickets that the caller does not see: a mail to
// several accounts ties tickets of several channels.
func seenLinks(ctx context.Context, tx *store.Tx, c *call, links []store.Link) ([]store.Link, error) {
	if len(links) == 0 || c.admin() {
		return links, nil
	}
	numbers := make([]int64, 0, len(links))
	for _, l := range links {
		numbers = append(numbers, l.Number)
	}
	found, err := tx.TicketsByNumber(ctx, numbers)
	if err != nil {
		return nil, err
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return nil, err
	}
	hidden := map[int64]bool{}
	for _, t := range found {
		hidden[t.Number] = !desk.Sees(c.agent.ID, t.ChannelID)
	}
	return slices.DeleteFunc(slices.Clone(links), func(l store.Link) bool { return hidden[l.Number] }), nil
}

// findTicket is the 404 of paths below a ticket.
func (a *api) findTicket(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		return c.findTicket(ctx, tx)
	})
}

func (c *call) findTicket(ctx context.Context, tx *store.Tx) error {
	number, err := strconv.ParseInt(c.param("number"), 10, 64)
	if err != nil || number <= 0 || strconv.FormatInt(number, 10) != c.param("number") {
		return notFound()
	}
	c.ticket, err = seen(ctx, tx, c, number)
	return err
}

// findActivity is the 404 of paths below an activity. One of another ticket is
// not there.
func (a *api) findActivity(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.findTicket(ctx, tx); err != nil {
			return err
		}
		entry, err := tx.Activity(ctx, c.param("id"))
		if err != nil {
			return err
		}
		if entry.Ticket != c.ticket.Number {
			return notFound()
		}
		c.entry = entry
		return nil
	})
}

// findContent is findActivity for what it holds: of one that was hidden there is
// nothing but for admins.
func (a *api) findContent(ctx context.Context, c *call) error {
	err := a.findActivity(ctx, c)
	if err == nil && c.entry.Hidden != nil && !c.admin() {
		return notFound()
	}
	return err
}

// findRaw is findContent for the whole of it: who may not see one of its files
// may not see the message that holds it.
func (a *api) findRaw(ctx context.Context, c *call) error {
	if err := a.findContent(ctx, c); err != nil || c.admin() {
		return err
	}
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		files, err := tx.Attachments(ctx, c.entry.ID)
		if err == nil && slices.ContainsFunc(files[c.entry.ID], func(f store.Attachment) bool { return f.Hidden }) {
			err = notFound()
		}
		return err
	})
}

// inDesk makes the 404 of a thing that stands in the desk's snapshot.
func (a *api) inDesk(has func(desk *store.Desk, id string) bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		desk, err := a.DB.Desk(ctx)
		if err != nil {
			return err
		}
		if !has(desk, c.param("id")) {
			return notFound()
		}
		return nil
	}
}

// inStore makes the 404 of a thing that is read from its table.
func inStore[T any](a *api, read func(tx *store.Tx, ctx context.Context, id string) (T, error)) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := read(tx, ctx, c.param("id"))
			return err
		})
	}
}

// view reads one thing.
func view[T any](ctx context.Context, db *store.DB, read func(ctx context.Context, tx *store.Tx) (T, error)) (T, error) {
	var v T
	err := db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		v, err = read(ctx, tx)
		return err
	})
	return v, err
}

// update writes one thing and gives what it came to be. What is audited is so in
// the same transaction.
func update[T any](ctx context.Context, db *store.DB, write func(ctx context.Context, tx *store.Tx) (T, error)) (T, error) {
	var v T
	err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if v, err = write(ctx, tx); err != nil {
			return err
		}
		return writeAudit(ctx, tx)
	})
	return v, err
}

// change is update of what gives nothing back.
func (a *api) change(ctx context.Context, write func(ctx context.Context, tx *store.Tx) error) error {
	_, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (nothing, error) { return nothing{}, write(ctx, tx) })
	return err
}
