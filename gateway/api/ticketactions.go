package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerTicketActions() {
	action := func(id, path, summary string) route {
		return route{id: id, method: http.MethodPost, path: "/tickets/{number}" + path, tag: tagDesk, find: a.findTicket,
			status: http.StatusOK, summary: summary}
	}
	add(a, action("merge-ticket", "/merge", "Put this ticket into another one"), a.mergeTicket)
	add(a, action("take-ticket", "/take", "Become the owner"), a.takeTicket)
	add(a, action("confirm-ticket", "/confirm", "Say that the waiting mail belongs to the suggested ticket"), a.confirmTicket)
	add(a, action("dismiss-ticket", "/dismiss", "Say that the waiting mail is a matter of its own"), a.dismissTicket)
}

type mergeInput struct {
	OnTicket
	Body struct {
		Into int64 `json:"into" required:"true" minimum:"1"`
	}
}

// mergeTicket says 422 for a target that the caller may not see, as for one
// that does not exist: it is no thing of the path.
func (a *api) mergeTicket(ctx context.Context, c *call, in *mergeInput) (*ticketAnswer, error) {
	_, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Ticket, error) {
		return seen(ctx, tx, c, in.Body.Into)
	})
	if problemOf(err).Status == http.StatusNotFound {
		return nil, invalid("into", "there is no such ticket")
	}
	if err != nil {
		return nil, err
	}
	return a.acted(ctx, c, func() (store.Ticket, error) {
		return a.Desk.Merge(ctx, c.agent, c.ticket.Number, in.Body.Into)
	})
}

func (a *api) takeTicket(ctx context.Context, c *call, _ *OnTicket) (*ticketAnswer, error) {
	return a.acted(ctx, c, func() (store.Ticket, error) { return a.Desk.TakeOwnership(ctx, c.agent, c.ticket.Number) })
}

type confirmInput struct {
	OnTicket
	Body *struct {
		Remember string `json:"remember" enum:"nothing,participant,contact" default:"nothing" doc:"what the sender is to be from now on"`
	}
}

func (a *api) confirmTicket(ctx context.Context, c *call, in *confirmInput) (*ticketAnswer, error) {
	remember := "nothing"
	if in.Body != nil && in.Body.Remember != "" {
		remember = in.Body.Remember
	}
	return a.acted(ctx, c, func() (store.Ticket, error) {
		return a.Desk.Confirm(ctx, c.agent, c.ticket.Number, remember)
	})
}

func (a *api) dismissTicket(ctx context.Context, c *call, _ *OnTicket) (*ticketAnswer, error) {
	return a.acted(ctx, c, func() (store.Ticket, error) { return a.Desk.Dismiss(ctx, c.agent, c.ticket.Number) })
}

// acted shows the ticket of the path after an action, which may have changed
// another one.
func (a *api) acted(ctx context.Context, c *call, do func() (store.Ticket, error)) (*ticketAnswer, error) {
	t, err := do()
	if err != nil {
		return nil, err
	}
	if t.Number != c.ticket.Number {
		if t, err = view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Ticket, error) {
			return tx.Ticket(ctx, c.ticket.Number)
		}); err != nil {
			return nil, err
		}
	}
	return a.ticketOnce(ctx, c, t)
}
