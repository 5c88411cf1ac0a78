package threading

import (
	"context"

	"ticketgate/store"
)

// MergeContacts puts a contact into another one, and gives the one that stays:
// it has the addresses, phones and tickets of both, and both ids, and both ids
// of the CRM, lead to it. Any agent may. Two that are one already are left
// alone. Errors: not_found for id, invalid for into.
func (s *Service) MergeContacts(ctx context.Context, agent *store.Agent, id, into string) (store.Contact, error) {
	var stays store.Contact
	if id == into {
		return stays, store.Invalid("into", "is the contact itself")
	}
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.tx.LockContacts(ctx); err != nil {
			return err
		}
		from, err := w.tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		stays, err = w.tx.Contact(ctx, into)
		if store.IsNotFound(err) {
			return store.Invalid("into", "there is no such contact")
		}
		if err != nil || from.ID == stays.ID {
			return err
		}
		stays = w.united(from, stays)
		return w.tx.MergeContacts(ctx, stays, from.ID)
	})
	if err == nil {
		s.log.Info("contacts merged", "contact", id, "into", stays.ID, "agent", agent.ID)
	}
	return stays, err
}

// united gives the contact that stays with all that it takes over. One that
// only a mail made takes the name as well.
func (w *work) united(from, into store.Contact) store.Contact {
	into.Emails = withEmails(into.Emails, from.Emails)
	into.Phones = union(into.Phones, from.Phones)
	into.Undeliverable = into.Undeliverable || from.Undeliverable
	if into.CompanyID == "" {
		into.CompanyID = from.CompanyID
	}
	if into.ExternalID == "" {
		into.ExternalID, into.SyncedAt = from.ExternalID, from.SyncedAt
	}
	if into.Provisional && !from.Provisional {
		into.Name, into.Provisional = from.Name, false
	}
	into.UpdatedAt = w.now
	return into
}
