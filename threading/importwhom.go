package threading

import (
	"context"
	"slices"

	"ticketgate/store"
)

// cardContact finds who a card's person is: a zero contact where nobody is
// known. merged are contacts that mail made, and that are no more than an
// address of this person.
func (w *importBatch) cardContact(ctx context.Context, p cardPerson, companyID string) (contact store.Contact, merged []string, reason string, err error) {
	if p.ExternalID != "" {
		if contact, err = w.tx.ContactByExternalID(ctx, p.ExternalID); hard(err) != nil {
			return contact, nil, "", err
		}
	}
	owners, err := w.owners(ctx, p)
	if err != nil {
		return contact, nil, "", err
	}
	if contact.ID == "" {
		if contact, err = w.asBefore(ctx, p, owners); err != nil {
			return contact, nil, "", err
		}
	}
	if contact.ID == "" {
		contact = mostKnown(owners)
	}
	if contact.ID == "" && p.ExternalID == "" && len(p.emails) == 0 {
		contact, err = w.namesake(ctx, p, companyID)
		return contact, nil, "", err
	}
	if p.ExternalID != "" && contact.ExternalID != "" && contact.ExternalID != p.ExternalID {
		if known, err := w.tx.ContactByExternalID(ctx, p.ExternalID); err != nil || known.ID != contact.ID {
			return contact, nil, "an address of it belongs to a contact with another external id", hard(err)
		}
	}
	for _, owner := range owners {
		switch {
		case owner.ID == contact.ID:
		case p.mayTake(owner):
			merged = append(merged, owner.ID)
			contact.Phones = withPhones(contact.Phones, owner.Phones)
		default:
			return contact, nil, "an address of it belongs to another contact", nil
		}
	}
	return contact, merged, "", nil
}

// owners gives the contacts that have a card's addresses.
func (w *importBatch) owners(ctx context.Context, p cardPerson) ([]store.Contact, error) {
	var owners []store.Contact
	for _, e := range p.emails {
		owner, err := w.tx.ContactByKey(ctx, e.Key)
		if hard(err) != nil {
			return nil, err
		}
		if err == nil && !slices.ContainsFunc(owners, func(o store.Contact) bool { return o.ID == owner.ID }) {
			owners = append(owners, owner)
		}
	}
	return owners, nil
}

// mayTake tells whether a contact is no more than an address of this person that
// mail brought.
func (p cardPerson) mayTake(owner store.Contact) bool {
	return owner.Provisional && owner.ExternalID == "" && within(owner.Emails, p.emails)
}

// asBefore gives the contact that a card was taken as before, so that a new
// address makes nobody new; a zero one where that is not known, or the card is
// another person's by now.
func (w *importBatch) asBefore(ctx context.Context, p cardPerson, owners []store.Contact) (store.Contact, error) {
	if p.Before == "" || p.ExternalID != "" {
		return store.Contact{}, nil
	}
	contact, err := w.tx.Contact(ctx, p.Before)
	if err != nil {
		return store.Contact{}, hard(err)
	}
	for _, owner := range owners {
		if owner.ID != contact.ID && !p.mayTake(owner) {
			return store.Contact{}, nil
		}
	}
	if p.Name != contact.Name && !sharesPhone(contact.Phones, p.Phones) && !sharesAddress(contact.Emails, p.emails) {
		return store.Contact{}, nil
	}
	return contact, nil
}

func sharesAddress(a, b []store.ContactEmail) bool {
	return slices.ContainsFunc(a, func(e store.ContactEmail) bool { return within([]store.ContactEmail{e}, b) })
}

// mostKnown gives the first that a person entered, else the first.
func mostKnown(owners []store.Contact) store.Contact {
	for _, o := range owners {
		if !o.Provisional {
			return o
		}
	}
	return append(owners, store.Contact{})[0]
}

// within tells whether all of some addresses are among others.
func within(some, others []store.ContactEmail) bool {
	return !slices.ContainsFunc(some, func(e store.ContactEmail) bool {
		return !slices.ContainsFunc(others, func(o store.ContactEmail) bool { return o.Key == e.Key })
	})
}

// namesake finds a person of whom a card knows no address.
func (w *importBatch) namesake(ctx context.Context, p cardPerson, companyID string) (store.Contact, error) {
	found, err := w.tx.ContactsNamed(ctx, p.Name)
	for _, c := range found {
		if c.CompanyID == companyID && (len(p.Phones) == 0 || sharesPhone(c.Phones, p.Phones)) {
			return c, nil
		}
	}
	return store.Contact{}, err
}
