package threading

import (
	"context"
	"maps"
	"slices"

	"ticketgate/store"
)

// HideActivity takes what was said in a ticket that the agent sees out of
// everybody's sight but admins': a stub stays, that tells who did it and when. It
// is not found by search any more, and not shown outside; what of it has not left
// yet is held, and may be released. Errors: not_found;
// conflict for a change of status, which holds nothing to hide. What is hidden
// already stays so.
func (s *Service) HideActivity(ctx context.Context, agent *store.Agent, number int64, id string) (store.Activity, error) {
	var a store.Activity
	err := s.do(ctx, func(ctx context.Context, w *work) (err error) {
		if a, err = w.spoken(ctx, agent, number, id); err != nil || a.Hidden != nil {
			return err
		}
		a.Hidden, a.External, a.Chosen = &store.Hidden{By: agent.ID, At: w.now}, false, true
		if err := w.tx.UpdateActivity(ctx, a); err != nil {
			return err
		}
		if err := w.tx.Unindex(ctx, a.ID); err != nil {
			return err
		}
		if err := w.holdBack(ctx, a.ID); err != nil {
			return err
		}
		return w.tx.AddEvent(ctx, store.Event{
			Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: w.now,
			Data: store.EventData{Fields: []string{"hidden"}},
		})
	})
	return a, err
}

// holdBack holds what has not left yet of an answer that an agent takes out of sight,
// or a file of it: a mail can't be changed, and what he regrets must not go out.
func (w *work) holdBack(ctx context.Context, activity string) error {
	for f := (store.DeliveryFilter{ActivityID: activity, Kind: store.MailAnswer, Limit: 200}); ; {
		rows, next, err := w.tx.Deliveries(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range rows {
			if !d.State.Waiting() {
				continue
			}
			_, err := w.tx.ChangeDelivery(ctx, d.ID, store.ActionHold, w.now)
			if err != nil && store.CodeOf(err) != store.CodeConflict { // it is on its way since
				return err
			}
		}
		if f.Cursor = next; next == "" {
			return nil
		}
	}
}

// HideFile takes one file of an activity out of everybody's sight but admins',
// and its name out of search; an answer that holds it and has not left yet is held.
// Errors: not_found.
func (s *Service) HideFile(ctx context.Context, agent *store.Agent, number int64, activity, id string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		a, err := w.spoken(ctx, agent, number, activity)
		if err != nil {
			return err
		}
		if err := w.tx.HideAttachment(ctx, a.ID, id, true); err != nil {
			return err
		}
		if err := w.reindex(ctx, a); err != nil {
			return err
		}
		if err := w.holdBack(ctx, a.ID); err != nil {
			return err
		}
		return w.tx.AddEvent(ctx, store.Event{
			Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: w.now,
			Data: store.EventData{Fields: []string{"attachments"}},
		})
	})
}

// reindex has an activity found by what of it is in sight. The values of custom
// fields that came with a new ticket are found by what opened it.
func (w *work) reindex(ctx context.Context, a store.Activity) error {
	if a.Hidden != nil {
		return nil
	}
	t, err := w.tx.Ticket(ctx, a.Ticket)
	if err != nil {
		return err
	}
	files, err := w.tx.Attachments(ctx, a.ID)
	if err != nil {
		return err
	}
	var words []string
	if a.Seq == 1 {
		values, err := w.tx.FieldValues(ctx, t.Number)
		if err != nil {
			return err
		}
		words = slices.Sorted(maps.Values(values[t.Number]))
	}
	return w.tx.Index(ctx, w.searched(t, a, files[a.ID], words))
}

// spoken gives an activity of a ticket that the agent sees, and holds the ticket.
func (w *work) spoken(ctx context.Context, agent *store.Agent, number int64, id string) (store.Activity, error) {
	t, err := w.visible(ctx, agent, number)
	if err != nil {
		return store.Activity{}, err
	}
	a, err := w.tx.Activity(ctx, id)
	switch {
	case err != nil:
		return a, err
	case a.Ticket != t.Number:
		return a, store.Errorf(store.CodeNotFound, "there is no such activity in the ticket")
	case a.Type == store.TypeStatusChange:
		return a, store.Errorf(store.CodeConflict, "a change of a ticket stays in its history")
	}
	return a, nil
}
