package threading

import (
	"context"
	"fmt"
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// What a confirmation remembers of a stranger.
const (
	RememberNothing     = "nothing"
	RememberParticipant = "participant"
	RememberContact     = "contact"
)

// Confirm says that a held mail belongs to the ticket that was suggested: its
// ticket goes into that one. It works from either of the two, from the
// suggested one where a single mail waits for it. Errors: not_found, invalid,
// conflict where nothing waits.
func (s *Service) Confirm(ctx context.Context, agent *store.Agent, number int64, remember string) (store.Ticket, error) {
	switch remember {
	case "":
		remember = RememberNothing
	case RememberNothing, RememberParticipant, RememberContact:
	default:
		return store.Ticket{}, store.Invalid("remember", "must be nothing, participant or contact")
	}
	var confirmed store.Ticket
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.tx.LockContacts(ctx); err != nil { // before any ticket's: merges of contacts take them in this order
			return err
		}
		held, suggested, err := w.waiting(ctx, agent, number)
		if err != nil {
			return err
		}
		changes, err := w.bring(ctx, held, suggested, remember, true)
		if err != nil {
			return err
		}
		confirmed, err = w.merge(ctx, agent, held, suggested, changes)
		return err
	})
	return confirmed, err
}

// bring moves the activities of a held mail's ticket into the suggested one.
// Who sent them stays what it was. It gives what that changes there: with wakes
// the status, as a person's mail that comes in does; a machine's never does.
func (w *work) bring(ctx context.Context, held, suggested store.Ticket, remember string, wakes bool) ([]store.Change, error) {
	list, _, err := w.tx.Activities(ctx, held.Number, "", 200)
	if err != nil {
		return nil, err
	}
	person := false
	for _, a := range list {
		if a.Type != store.TypeIncoming {
			continue
		}
		person = person || a.Automatic == "" || a.Automatic == "list"
		moved, err := w.tx.MoveActivity(ctx, a.ID, suggested.Number, w.now)
		w.came = append(w.came, moved)
		if err != nil {
			return nil, err
		}
		if err := w.rememberMove(ctx, &moved, held.Number); err != nil {
			return nil, err
		}
		if err := w.remember(ctx, a, suggested, remember); err != nil {
			return nil, err
		}
	}
	suggested.LastIncomingAt = w.now
	var changes []store.Change
	if channel := w.desk.Channel(suggested.ChannelID); channel != nil && wakes && person {
		changes = receive(w.desk, channel, &suggested, w.now)
	}
	return changes, w.tx.UpdateTicket(ctx, suggested)
}

// remember lets the author of a held mail write into the ticket from now on: as
// a participant, or as another address of its contact.
func (w *work) remember(ctx context.Context, a store.Activity, suggested store.Ticket, remember string) error {
	if remember == RememberNothing || a.Author.Address == "" {
		return nil
	}
	from, err := address("from", a.Author.Address)
	if err != nil {
		return nil // a mail that names nobody has nobody to remember
	}
	if remember == RememberContact && suggested.ContactID != "" {
		if err := w.adopt(ctx, from, suggested.ContactID); err != nil {
			return err
		}
	}
	return w.tx.AddParticipants(ctx, []store.Participant{{
		Ticket: suggested.Number, Key: from.Key(), Address: from.String(), Name: a.Author.Name, Trusted: true,
	}})
}

// adopt gives an address to a contact. A provisional contact that the address
// made loses it; one that the CRM knows keeps it.
func (w *work) adopt(ctx context.Context, a message.Address, contactID string) error {
	was, err := w.tx.ContactByKey(ctx, a.Key())
	switch {
	case err != nil && !store.IsNotFound(err):
		return err
	case err == nil && (was.ID == contactID || !was.Provisional):
		return nil
	case err == nil:
		was.Emails = slices.DeleteFunc(was.Emails, func(e store.ContactEmail) bool { return e.Key == a.Key() })
		if err := w.tx.PutContact(ctx, was); err != nil {
			return err
		}
	}
	contact, err := w.tx.Contact(ctx, contactID)
	if err != nil {
		return err
	}
	contact.Emails = append(contact.Emails, store.ContactEmail{Address: a.String(), Key: a.Key()})
	contact.UpdatedAt = w.now
	return w.tx.PutContact(ctx, contact)
}

// Dismiss says that a held mail does not belong to the ticket that was
// suggested: its ticket stands on its own. Errors as Confirm.
func (s *Service) Dismiss(ctx context.Context, agent *store.Agent, number int64) (store.Ticket, error) {
	var dismissed store.Ticket
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		held, suggested, err := w.waiting(ctx, agent, number)
		if err != nil {
			return err
		}
		held.SuggestedTicket = 0
		if err := w.show(ctx, held); err != nil {
			return err
		}
		if err := w.tx.DeleteLink(ctx, held.Number, suggested.Number, store.LinkSuggested, store.LinkWaiting); err != nil {
			return err
		}
		a := w.statusChange(held, agent, []store.Change{{Field: "suggested_ticket", From: s.Reference(suggested.Number), To: ""}})
		dismissed = held
		return w.history(ctx, &dismissed, &a)
	})
	return dismissed, err
}

// show lets the customer see his mail in the portal, now that it waits for
// nothing; a stranger's, one that failed, and one of which an agent decided stay
// as they are.
func (w *work) show(ctx context.Context, held store.Ticket) error {
	list, _, err := w.tx.Activities(ctx, held.Number, "", 200)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Type != store.TypeIncoming || a.Chosen || a.Sender != store.SenderParticipant || a.Auth == nil ||
			a.Auth.Verdict == store.Failed || a.Auth.Verdict == store.AuthError {
			continue
		}
		a.External = true
		if err := w.tx.UpdateActivity(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// waiting finds the held ticket and the suggested one from either number.
func (w *work) waiting(ctx context.Context, agent *store.Agent, number int64) (held, suggested store.Ticket, err error) {
	if err := w.holdPair(ctx, number); err != nil {
		return held, suggested, err
	}
	t, err := w.visible(ctx, agent, number)
	if err != nil {
		return held, suggested, err
	}
	if t.SuggestedTicket != 0 {
		suggested, err = w.s.followed(ctx, w.tx, t.SuggestedTicket)
		if err == nil && !w.desk.Sees(agent.ID, suggested.ChannelID) {
			err = store.Errorf(store.CodeNotFound, "there is no such ticket")
		}
		return t, suggested, err
	}
	if t, err = w.s.followed(ctx, w.tx, t.Number); err != nil { // what waited for it waits for where it went
		return held, suggested, err
	}
	if t, err = w.visible(ctx, agent, t.Number); err != nil {
		return held, suggested, err
	}
	list, err := w.held(ctx, t.Number)
	if err != nil {
		return held, suggested, err
	}
	switch {
	case len(list) == 0:
		return held, suggested, store.Errorf(store.CodeConflict, "no mail waits for this ticket")
	case len(list) > 1:
		return held, suggested, store.Errorf(store.CodeConflict, "%d mails wait for this ticket; answer from the ticket of the one that is meant", len(list))
	}
	held, err = w.visible(ctx, agent, list[0].Number) // read anew, and locked
	return held, t, err
}

// holdPair locks the ticket and those that it waits for, or that wait for it.
func (w *work) holdPair(ctx context.Context, number int64) error {
	there, err := w.tx.TicketsByNumber(ctx, []int64{number})
	if err != nil {
		return err
	}
	numbers := []int64{number}
	for _, t := range there {
		if t.SuggestedTicket != 0 {
			numbers = append(numbers, t.SuggestedTicket)
		}
	}
	waiting, err := w.held(ctx, number)
	if err != nil {
		return err
	}
	for _, t := range waiting {
		numbers = append(numbers, t.Number)
	}
	return w.hold(ctx, numbers...)
}

// held gives the tickets whose mail waits for another.
func (w *work) held(ctx context.Context, number int64) ([]store.Ticket, error) {
	links, err := w.tx.Links(ctx, number)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for _, l := range links {
		if l.Kind == store.LinkWaiting {
			numbers = append(numbers, l.Number)
		}
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	all, err := w.tx.TicketsByNumber(ctx, numbers)
	if err != nil {
		return nil, err
	}
	var list []store.Ticket
	for _, t := range all {
		if t.SuggestedTicket == number {
			list = append(list, t)
		}
	}
	return list, nil
}

// Release makes a ticket of a quarantined mail, as if nothing had kept it.
// Only an admin may. Errors: not_found, forbidden.
func (s *Service) Release(ctx context.Context, agent *store.Agent, id string, in Incoming) (store.Ticket, error) {
	if agent.Role != store.RoleAdmin {
		return store.Ticket{}, store.Errorf(store.CodeForbidden, "only an admin releases mail")
	}
	m, err := s.stage(ctx, in)
	if err != nil {
		return store.Ticket{}, err
	}
	var number int64
	_, err = s.file(ctx, m, func(f *filing, ctx context.Context) error {
		f.vouched = true
		if err := f.release(ctx, id); err != nil {
			return err
		}
		for _, r := range f.results {
			if r.Ticket != 0 {
				number = r.Ticket
			}
		}
		return nil
	})
	if err != nil {
		return store.Ticket{}, err
	}
	var t store.Ticket
	err = s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err = tx.Ticket(ctx, number)
		return err
	})
	return t, err
}

// release files the mail without the checks that had kept it, and takes it out
// of the quarantine in the same transaction.
func (f *filing) release(ctx context.Context, id string) error {
	q, err := f.tx.Quarantined(ctx, id)
	if err != nil {
		return err
	}
	if len(f.accounts) == 0 { // it stays where it can be seen
		return store.Errorf(store.CodeConflict, "none of the mail's recipients is an active account")
	}
	if err := f.tx.DeleteDeliveryKeys(ctx, q.RawHash, id); err != nil {
		return err
	}
	if err := f.tx.DeleteQuarantined(ctx, id); err != nil {
		return err
	}
	earlier, err := f.tx.DeliveryKeys(ctx, "", f.hashes)
	if err != nil {
		return err
	}
	f.released = true
	if err := f.thread(ctx, earlier); err != nil {
		return fmt.Errorf("file the released mail: %w", err)
	}
	return nil
}
