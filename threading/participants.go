package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// ParticipantPatch switches an address of a ticket's conversation on or off
// for the next answer. An address that is new to it is added.
type ParticipantPatch struct {
	Address string
	Name    string
	Active  bool
}

// participants makes rows of lists of addresses, each like p, each address once.
func participants(ticket int64, p store.Participant, lists ...[]store.Address) []store.Participant {
	var rows []store.Participant
	for _, b := range slices.Concat(lists...) {
		a, err := message.ParseAddress(b.Address)
		if err != nil || slices.ContainsFunc(rows, func(r store.Participant) bool { return r.Key == a.Key() }) {
			continue
		}
		p.Ticket, p.Key, p.Address, p.Name = ticket, a.Key(), a.String(), b.Name
		rows = append(rows, p)
	}
	return rows
}

// patchParticipants does what the agent says of participants; those whom he
// does not name stay as they are, so that nobody loses the right to write by a
// list that is not complete. Whom an agent switches on may write as well.
func (w *work) patchParticipants(ctx context.Context, t *store.Ticket, list []ParticipantPatch) ([]store.Change, error) {
	if len(list) > 0 && t.Kind == store.KindInternal {
		return nil, store.Invalid("participants", "an internal ticket has no participants")
	}
	known, err := w.tx.Participants(ctx, t.Number)
	if err != nil {
		return nil, err
	}
	var changes []store.Change
	for i, patch := range list {
		field := fmt.Sprintf("participants[%d].address", i)
		a, err := address(field, patch.Address)
		if err != nil {
			return nil, err
		}
		if w.ours(a) {
			return nil, store.Invalid(field, "is an address of our own")
		}
		at := slices.IndexFunc(known, func(p store.Participant) bool { return p.Key == a.Key() })
		if at >= 0 && known[at].Active == patch.Active {
			continue
		}
		change, err := w.setParticipant(ctx, t.Number, a, patch, at >= 0)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	if len(changes) > 0 {
		t.Version++
	}
	return changes, nil
}

func (w *work) setParticipant(ctx context.Context, ticket int64, a message.Address, patch ParticipantPatch, known bool) (store.Change, error) {
	change := store.Change{Field: "participant", To: a.String() + ": " + onOff(patch.Active)}
	if known {
		change.From = a.String() + ": " + onOff(!patch.Active)
	}
	err := w.tx.AddParticipants(ctx, []store.Participant{{
		Ticket: ticket, Key: a.Key(), Address: a.String(), Name: message.CleanLine(patch.Name), Active: patch.Active, Trusted: patch.Active,
	}})
	if err == nil && known {
		err = w.tx.SetParticipantActive(ctx, ticket, a.Key(), patch.Active)
	}
	return change, err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// copyParticipants sends an answer to all who are switched on: whom it is not
// for by itself gets a copy, but for the author of what it answers, who may have
// asked for it elsewhere.
func (e *entry) copyParticipants(ctx context.Context, a, answered *store.Activity) error {
	var author []store.Address
	if answered != nil {
		author = append(answered.From, store.Address{Address: answered.Author.Address})
	}
	list, err := e.tx.Participants(ctx, e.t.Number)
	if err != nil {
		return err
	}
	for _, p := range list {
		parsed, err := message.ParseAddress(p.Address)
		if !p.Active || err != nil || e.ours(parsed) || holdsAddress(p.Key, a.To, a.Cc, a.Bcc, author) {
			continue
		}
		a.Cc = append(a.Cc, store.Address{Name: p.Name, Address: p.Address})
	}
	return nil
}

// holdsAddress tells whether an address, by its key, is in one of the lists.
func holdsAddress(key string, lists ...[]store.Address) bool {
	return slices.ContainsFunc(slices.Concat(lists...), func(b store.Address) bool {
		a, err := message.ParseAddress(strings.TrimSpace(b.Address))
		return err == nil && a.Key() == key
	})
}
