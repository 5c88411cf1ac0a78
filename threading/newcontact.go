package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// contactOf ties the ticket to the contact of an address that it goes to.
func (c *creation) contactOf(ctx context.Context, t *store.Ticket, a message.Address) error {
	p, err := c.identify(ctx, a, c.said)
	if err != nil {
		return err
	}
	contact, err := c.ensure(ctx, a, p, c.said)
	t.ContactID, t.CompanyID = contact.ID, contact.CompanyID
	return err
}

// named gives the contact of an enquiry: by id, by address, or a new one.
func (c *creation) named(ctx context.Context) (store.Contact, error) {
	if c.n.ContactID != "" {
		contact, err := c.tx.Contact(ctx, c.n.ContactID)
		if store.IsNotFound(err) {
			return contact, store.Invalid("contact_id", "there is no such contact")
		}
		return contact, err
	}
	if c.n.Contact == nil {
		return store.Contact{}, store.Invalid("contact", "an enquiry needs a contact_id or a contact")
	}
	return c.newContact(ctx, *c.n.Contact)
}

func (c *creation) newContact(ctx context.Context, n NewContact) (store.Contact, error) {
	if c.said.contact != nil && (n.ExternalID != "" || n.Email == "") {
		return c.enlist(ctx, *c.said.contact)
	}
	n.ExternalID, n.Name, n.Phone = message.CleanLine(n.ExternalID), message.CleanLine(n.Name), message.CleanLine(n.Phone)
	if n.ExternalID != "" {
		if contact, err := c.tx.ContactByExternalID(ctx, n.ExternalID); !store.IsNotFound(err) {
			return contact, err
		}
	}
	if n.Email != "" {
		return c.contactAt(ctx, n)
	}
	if known, err := c.atPhone(ctx, n); err != nil || known.ID != "" {
		return known, err
	}
	contact := c.provisional(n)
	if n.ExternalID != "" && c.said.failed && contact.Name == "" {
		contact.Name = n.ExternalID // until the CRM tells who that is
	}
	if contact.Name == "" {
		return contact, store.Invalid("contact", "needs a name, an email or a phone, or the external_id of a contact that is known")
	}
	if err := c.tx.PutContact(ctx, contact); err != nil {
		return contact, err
	}
	return contact, c.askLater(ctx, contact, c.said)
}

// atPhone gives the contact that an agent means by a phone alone, or by a phone
// and a name: the only one that has it, by no other name. A zero one where
// there is none, or more than one.
func (c *creation) atPhone(ctx context.Context, n NewContact) (store.Contact, error) {
	found, err := c.tx.ContactsByPhone(ctx, n.Phone)
	found = slices.DeleteFunc(found, func(k store.Contact) bool {
		return n.Name != "" && !strings.EqualFold(k.Name, n.Name) || n.ExternalID != "" && k.ExternalID != ""
	})
	if err != nil || len(found) != 1 {
		return store.Contact{}, err
	}
	return found[0], nil
}

// contactAt gives the contact of the address that the agent named, or a new one
// with all that he named.
func (c *creation) contactAt(ctx context.Context, n NewContact) (store.Contact, error) {
	a, err := address("contact.email", n.Email)
	if err != nil {
		return store.Contact{}, err
	}
	if c.ours(a) {
		return store.Contact{}, store.Invalid("contact.email", "is an address of our own")
	}
	p, err := c.identify(ctx, a, c.said)
	if err != nil || p.contact.ID != "" {
		return p.contact, err
	}
	contact := c.provisional(n)
	contact.CompanyID = p.company
	contact.Emails = []store.ContactEmail{{Address: a.String(), Key: a.Key()}}
	if n.Name == "" {
		contact.Name = a.String()
	}
	if contact, err = c.tx.EnsureContact(ctx, contact); err != nil {
		return contact, err
	}
	return contact, c.askLater(ctx, contact, c.said)
}

// provisional makes a contact of what the agent named beside an address.
func (c *creation) provisional(n NewContact) store.Contact {
	contact := store.Contact{ID: store.NewID(), ExternalID: n.ExternalID, Name: n.Name, Provisional: true, CreatedAt: c.now, UpdatedAt: c.now}
	if n.Phone != "" {
		contact.Phones = []string{n.Phone}
	}
	if contact.Name == "" {
		contact.Name = n.Phone
	}
	return contact
}
