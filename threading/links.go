package threading

import (
	"context"
	"slices"

	"ticketgate/store"
)

// linkBack gives how the other ticket sees a link that agents make.
var linkBack = map[string]string{
	store.LinkRelated: store.LinkRelated, store.LinkDuplicateOf: store.LinkDuplicatedBy, store.LinkDuplicatedBy: store.LinkDuplicateOf,
	store.LinkParent: store.LinkChild, store.LinkChild: store.LinkParent,
}

// AddLink ties a ticket to another; the agent sees both. Errors: not_found;
// invalid (kind, number); conflict for a merged ticket.
func (s *Service) AddLink(ctx context.Context, agent *store.Agent, number, other int64, kind string) error {
	return s.link(ctx, agent, number, other, kind, true)
}

// DeleteLink unties what an agent tied. Errors as AddLink; not_found also for a
// link that is not there.
func (s *Service) DeleteLink(ctx context.Context, agent *store.Agent, number, other int64, kind string) error {
	return s.link(ctx, agent, number, other, kind, false)
}

// link makes or ends a link, and says so in the history of both tickets.
func (s *Service) link(ctx context.Context, agent *store.Agent, number, other int64, kind string, add bool) error {
	back, ok := linkBack[kind]
	if !ok {
		return store.Invalid("kind", "must be related, duplicate_of, duplicated_by, parent or child")
	}
	return s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.hold(ctx, number, other); err != nil {
			return err
		}
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		to, err := w.visible(ctx, agent, other)
		if store.IsNotFound(err) || other == number {
			return store.Invalid("number", "there is no such other ticket")
		} else if err != nil {
			return err
		}
		links, err := w.tx.Links(ctx, number)
		if err != nil {
			return err
		}
		switch there := slices.ContainsFunc(links, func(l store.Link) bool { return l.Number == other && l.Kind == kind }); {
		case there && add:
			return nil
		case !there && !add:
			return store.Errorf(store.CodeNotFound, "there is no such link")
		}
		change := w.tx.AddLink
		if !add {
			change = w.tx.DeleteLink
		}
		if err := change(ctx, number, other, kind, back); err != nil {
			return err
		}
		if err := w.noteLink(ctx, agent, t, kind+" "+s.Reference(other), add); err != nil {
			return err
		}
		return w.noteLink(ctx, agent, to, back+" "+s.Reference(number), add)
	})
}

// noteLink writes into a ticket's history that a link came, or went.
func (w *work) noteLink(ctx context.Context, agent *store.Agent, t store.Ticket, link string, came bool) error {
	told := store.Change{Field: "links", From: link}
	if came {
		told = store.Change{Field: "links", To: link}
	}
	a := w.statusChange(t, agent, []store.Change{told})
	return w.history(ctx, &t, &a)
}
