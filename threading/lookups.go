package threading

import (
	"context"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// lookupBatch is how many contacts one round asks for.
const lookupBatch = 100

// LookUpContacts asks the outside CRM for the provisional contacts that are
// due: those that it could not say anything of before. Any number of nodes may
// do so at once: whoever comes second finds it done.
func (s *Service) LookUpContacts(ctx context.Context) error {
	if s.opt.Directory == nil {
		return nil
	}
	var due []store.ContactLookup
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DueContactLookups(ctx, s.now(), lookupBatch)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range due {
		err := s.lookUpContact(ctx, l)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || store.CodeOf(err) == store.CodeUnavailable {
			return err
		}
		s.log.Error("a contact that the CRM told of can't be written", "contact", l.ContactID, "err", err)
		if err := s.do(ctx, func(ctx context.Context, w *work) error { return w.lookUpAgain(ctx, l) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) lookUpContact(ctx context.Context, l store.ContactLookup) error {
	contact, err := s.provisionalContact(ctx, l.ContactID)
	if err != nil {
		return err
	}
	said := heard(ctx, s.questionsOf(contact)...)
	if err := ctx.Err(); err != nil { // the daemon ends: that says nothing of the CRM
		return err
	}
	settle := func(ctx context.Context, w *work) error {
		switch {
		case said.contact != nil:
			_, err := w.resolve(ctx, l.ContactID, *said.contact)
			return err
		case said.failed:
			return w.lookUpAgain(ctx, l)
		}
		return w.tx.DeleteContactLookup(ctx, l.ContactID)
	}
	return twice(func() error { return s.do(ctx, settle) })
}

// provisionalContact reads a contact that waits; a zero one where it is gone,
// or provisional no more.
func (s *Service) provisionalContact(ctx context.Context, id string) (store.Contact, error) {
	var contact store.Contact
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.Contact(ctx, id)
		if err == nil && c.ID == id && c.Provisional {
			contact = c
		}
		return hard(err)
	})
	return contact, err
}

// questionsOf gives what the CRM can be asked for a contact by: its id there,
// else its addresses, else its phones.
func (s *Service) questionsOf(c store.Contact) []func(context.Context) (DirectoryContact, error) {
	var list []func(context.Context) (DirectoryContact, error)
	if c.ExternalID != "" {
		return append(list, s.byID(c.ExternalID))
	}
	for _, e := range c.Emails {
		a, err := message.ParseAddress(e.Address)
		if err != nil {
			continue
		}
		list = append(list, s.byAddress(a))
		if base, ok := withoutDetail(a); ok {
			list = append(list, s.byAddress(base))
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, phone := range c.Phones {
		list = append(list, s.byPhone(phone))
	}
	return list
}

// lookUpAgain puts down the next look-up, until there have been enough.
func (w *work) lookUpAgain(ctx context.Context, l store.ContactLookup) error {
	l.Attempt++
	if l.Attempt >= maxLookups {
		return w.tx.DeleteContactLookup(ctx, l.ContactID)
	}
	l.DueAt = w.now.Add(lookupDelay(l.Attempt))
	return w.tx.RetryContactLookup(ctx, l)
}

// resolve makes a provisional contact the CRM's, or puts it into the contact
// that is that already, and gives the one that stays.
func (w *work) resolve(ctx context.Context, id string, d DirectoryContact) (store.Contact, error) {
	stays, err := w.enlistAs(ctx, id, d)
	if err != nil {
		return stays, err
	}
	contact, err := w.tx.Contact(ctx, id)
	if hard(err) != nil {
		return stays, err
	}
	if err == nil && contact.ID == id && id != stays.ID && contact.Provisional {
		stays = w.united(contact, stays)
		if err := w.tx.MergeContacts(ctx, stays, id); err != nil {
			return stays, err
		}
	}
	return stays, w.tx.DeleteContactLookup(ctx, id)
}

// enlistAs is enlist, for a person of whom a contact is known: that one is
// taken before a new one is made, as after a call without an address.
func (w *work) enlistAs(ctx context.Context, id string, d DirectoryContact) (store.Contact, error) {
	if err := w.tx.LockContacts(ctx); err != nil {
		return store.Contact{}, err
	}
	_, err := w.listed(ctx, d)
	if !store.IsNotFound(err) {
		return w.enlist(ctx, d)
	}
	contact, err := w.tx.Contact(ctx, id)
	if hard(err) != nil {
		return contact, err
	}
	free := contact.ExternalID == "" || contact.ExternalID == d.ID
	if err == nil && contact.ID == id && contact.Provisional && free {
		return w.update(ctx, contact, d)
	}
	return w.enlist(ctx, d)
}
