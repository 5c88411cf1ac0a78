package threading

import (
	"context"
	"maps"
	"slices"

	"ticketgate/store"
)

// settle sets the values of custom fields that rules chose, for a ticket that is
// about to be written with an entry of its history.
func (r *ruling) settle(ctx context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(r.fields)) {
		version := r.t.Version
		changes, err := r.patchFields(ctx, r.t, map[string]any{key: r.fields[key]})
		if store.CodeOf(err) == store.CodeInvalid {
			continue // the ticket has left the field's channels since
		}
		if err != nil {
			return err
		}
		if r.fresh {
			r.t.Version = version
		}
		for _, c := range changes {
			r.changes = withChange(r.changes, c)
		}
	}
	r.fields = nil
	return nil
}

// watch has the agents watch the ticket whom rules named, and gives who came to
// it by that.
func (r *ruling) watch(ctx context.Context) ([]tie, error) {
	var became []tie
	for _, id := range r.watchers {
		if !r.desk.Sees(id, r.t.ChannelID) { // a later rule moved it out of his sight
			continue
		}
		added, err := r.tx.AddWatcher(ctx, r.t.Number, id)
		if err != nil {
			return nil, err
		}
		if added {
			became = append(became, tie{id, roleWatcher})
		}
	}
	return became, nil
}

// speak writes the notes of the rules, calls their webhooks, and sends their answers to what about
// tells of. quiet: agents learn of the notes with what the rules looked at.
func (r *ruling) speak(ctx context.Context, about *store.Activity, quiet bool) error {
	for _, say := range r.words {
		var err error
		switch {
		case say.note != "":
			err = r.noteDown(ctx, say, quiet)
		case say.webhook != "":
			err = r.callOut(ctx, say, about)
		default:
			err = r.answer(ctx, say)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// callOut has a webhook told that a rule held. It goes by the journal, as all that
// webhooks are told of.
func (r *ruling) callOut(ctx context.Context, say said, about *store.Activity) error {
	e := store.Event{Kind: store.EventRuleMatched, Ticket: r.t.Number, At: r.now, Data: store.EventData{Rule: say.rule.ID, Webhook: say.webhook}}
	if about != nil {
		e.ActivityID = about.ID
	}
	return r.tx.AddEvent(ctx, e)
}

func (r *ruling) noteDown(ctx context.Context, say said, quiet bool) error {
	a := r.entry(store.TypeNote, store.MediumInternal, say.rule)
	a.Text, a.ReplyText = say.note, say.note
	if err := r.history(ctx, r.t, &a); err != nil {
		return err
	}
	if err := r.keep(ctx, *r.t, a, content{}); err != nil || quiet {
		return err
	}
	return r.notify(ctx, *r.t, a, event{kind: eventActivity})
}

// entry makes an entry of the history that a rule wrote.
func (r *ruling) entry(kind store.ActivityType, medium store.Medium, by *rule) store.Activity {
	return store.Activity{
		ID: store.NewID(), Ticket: r.t.Number, Type: kind, Medium: medium, CreatedAt: r.now,
		Author:         store.Author{Kind: store.AuthorSystem, Name: by.Name},
		ActivityDetail: store.ActivityDetail{Rules: []store.RuleTrace{{ID: by.ID, Name: by.Name, Result: store.RuleMatched}}},
	}
}
