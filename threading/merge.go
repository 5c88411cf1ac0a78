package threading

import (
	"context"
	"fmt"
	"slices"

	"ticketgate/store"
)

// wentInto is the error of a change to a ticket that is merged.
func (s *Service) wentInto(t store.Ticket) error {
	return store.Errorf(store.CodeConflict, "%s went into %s", s.Reference(t.Number), s.Reference(t.MergedInto))
}

// Merge puts a ticket into another: its mail, calls and notes move there, and
// mail and agents that name the first are led to the second. Both must be seen by the agent. Errors: not_found,
// invalid, conflict where one of them is internal and the other has a contact.
func (s *Service) Merge(ctx context.Context, agent *store.Agent, number, into int64) (store.Ticket, error) {
	var merged store.Ticket
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.hold(ctx, number, into); err != nil {
			return err
		}
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		to, err := w.visible(ctx, agent, into)
		if store.IsNotFound(err) {
			return store.Invalid("into", "there is no such ticket")
		}
		if err != nil {
			return err
		}
		merged, err = w.merge(ctx, agent, t, to, nil)
		return err
	})
	return merged, err
}

// merge puts t into to; changes are what else that does to the latter.
func (w *work) merge(ctx context.Context, agent *store.Agent, t, to store.Ticket, changes []store.Change) (store.Ticket, error) {
	if t.MergedInto != 0 {
		return t, w.s.wentInto(t)
	}
	root, err := w.s.followed(ctx, w.tx, to.Number)
	if err != nil {
		return t, err
	}
	if root.Number == t.Number {
		return t, store.Invalid("into", "a ticket can't go into itself")
	}
	if agent != nil && !w.desk.Sees(agent.ID, root.ChannelID) {
		return t, store.Invalid("into", "there is no such ticket")
	}
	if (t.Kind == store.KindInternal) != (root.Kind == store.KindInternal) && t.ContactID+root.ContactID != "" {
		return t, store.Errorf(store.CodeConflict, "an internal ticket can't be merged with one that has a contact")
	}
	if err := w.shareWatchers(ctx, t, root); err != nil {
		return t, err
	}
	values, err := w.shareFields(ctx, t.Number, &root)
	if err != nil {
		return t, err
	}
	held := t.SuggestedTicket != 0 // its stranger stays one: Confirm says what is remembered
	if !held {
		if err := w.shareParticipants(ctx, t.Number, root.Number); err != nil {
			return t, err
		}
	}
	if err := w.moveAll(ctx, t, &root); err != nil {
		return t, err
	}
	went := t
	entries, err := w.goesInto(ctx, agent, &t, &root, slices.Concat(changes, values))
	if err != nil || agent == nil { // what comes together by itself does so by a mail, and of that agents are told
		return t, err
	}
	return t, w.tellMerge(ctx, agent, went, root, entries)
}

// tellMerge tells the agents of the ticket that is left, and with them those of the
// one that went into it, who watch it now; a mail that waited comes in by that. Who
// doesn't see it loses his own, as by a move, and reads nothing of the other.
func (w *work) tellMerge(ctx context.Context, agent *store.Agent, went, root store.Ticket, entries [2]store.Activity) error {
	watchers, err := w.tx.Watchers(ctx, went.Number)
	if err != nil {
		return err
	}
	ties := []tie{{went.OwnerID, roleOwner}, {went.ResponsibleID, roleResponsible}}
	for _, id := range watchers[went.Number] {
		ties = append(ties, tie{id, roleWatcher})
	}
	e := event{kind: eventActivity, actor: agent.ID}
	if went.SuggestedTicket != 0 {
		e.kind = eventIncoming
	}
	for _, one := range ties {
		e.also = append(e.also, one.agentID)
	}
	if err := w.notify(ctx, root, entries[1], e); err != nil {
		return err
	}
	went.ChannelID = root.ChannelID
	return w.notify(ctx, went, entries[0], event{kind: eventRoles, actor: agent.ID, lost: ties})
}

// goesInto writes that a ticket leads to another from now on, and gives what stands
// of that in the history of either.
func (w *work) goesInto(ctx context.Context, agent *store.Agent, t, root *store.Ticket, changes []store.Change) (entries [2]store.Activity, err error) {
	if t.SuggestedTicket != 0 {
		if err := w.tx.DeleteLink(ctx, t.Number, t.SuggestedTicket, store.LinkSuggested, store.LinkWaiting); err != nil {
			return entries, err
		}
	}
	t.MergedInto, t.SuggestedTicket = root.Number, 0
	t.Version++
	if root.SuggestedTicket == t.Number {
		root.SuggestedTicket = 0
	}
	if t.ClosedAt.IsZero() {
		t.ClosedAt = w.now
	}
	if err := w.tx.AddLink(ctx, t.Number, root.Number, store.LinkMergedInto, store.LinkMerged); err != nil {
		return entries, err
	}
	if err := w.waitFor(ctx, t.Number, root.Number); err != nil {
		return entries, err
	}
	if err := w.tx.MoveDrafts(ctx, t.Number, root.Number); err != nil {
		return entries, err
	}
	for _, move := range []func(context.Context, int64, int64) error{w.tx.MoveWorked, w.tx.MoveAlarms} {
		if err := move(ctx, t.Number, root.Number); err != nil {
			return entries, err
		}
	}
	note := fmt.Sprintf("%s went into %s", w.s.Reference(t.Number), w.s.Reference(root.Number))
	for i, side := range []*store.Ticket{t, root} {
		a := w.statusChange(*side, agent, []store.Change{{Field: "merged_into", From: w.s.Reference(t.Number), To: w.s.Reference(root.Number)}})
		a.Comment = note
		if side == root {
			a.Changes = append(a.Changes, changes...)
		}
		if err := w.history(ctx, side, &a); err != nil {
			return entries, err
		}
		if err := w.indexFields(ctx, *side, a); err != nil {
			return entries, err
		}
		entries[i] = a
	}
	return entries, nil
}

// waitFor has the mail that waits for a ticket wait for the one that it went into.
func (w *work) waitFor(ctx context.Context, from, to int64) error {
	list, err := w.held(ctx, from)
	if err != nil {
		return err
	}
	for _, held := range list {
		if err := w.tx.DeleteLink(ctx, held.Number, from, store.LinkSuggested, store.LinkWaiting); err != nil {
			return err
		}
		if held.Number == to { // what was suggested went into what waits for it: nothing waits
			continue
		}
		waits, err := w.tx.Suggest(ctx, held.Number, from, to)
		if err != nil {
			return err
		}
		if !waits {
			continue
		}
		if err := w.tx.AddLink(ctx, held.Number, to, store.LinkSuggested, store.LinkWaiting); err != nil {
			return err
		}
	}
	return nil
}

// moveAll moves what was said in a ticket into another, in its order.
func (w *work) moveAll(ctx context.Context, from store.Ticket, to *store.Ticket) error {
	var all []store.Activity
	for cursor := ""; ; {
		page, next, err := w.tx.Activities(ctx, from.Number, cursor, 200)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	for _, a := range all {
		if a.Type == store.TypeStatusChange {
			continue
		}
		moved, err := w.tx.MoveActivity(ctx, a.ID, to.Number, w.now)
		if err != nil {
			return err
		}
		w.came = append(w.came, moved)
	}
	if from.LastIncomingAt.After(to.LastIncomingAt) {
		to.LastIncomingAt = from.LastIncomingAt
	}
	if from.LastOutgoingAt.After(to.LastOutgoingAt) {
		to.LastOutgoingAt = from.LastOutgoingAt
	}
	return nil
}

// shareParticipants lets those who may write into a ticket write into the one
// that it went into.
func (w *work) shareParticipants(ctx context.Context, from, to int64) error {
	list, err := w.tx.Participants(ctx, from)
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		list[i].Ticket, list[i].Active = to, false
	}
	return w.tx.AddParticipants(ctx, list)
}
