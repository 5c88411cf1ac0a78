package threading

import (
	"context"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// lookupDelays are the times between one look-up that the CRM did not answer
// and the next; after them it is asked daily.
var lookupDelays = [...]time.Duration{20 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}

// maxLookups bounds the look-ups of a contact: the last one is a week after the
// first.
const maxLookups = len(lookupDelays) + 6

// lookupDelay is the time before look-up number n, counted from 0.
func lookupDelay(n int) time.Duration {
	if n < len(lookupDelays) {
		return lookupDelays[n]
	}
	return 24 * time.Hour
}

// askLater has the CRM asked for a provisional contact again where it could
// not say who that is.
func (w *work) askLater(ctx context.Context, c store.Contact, said word) error {
	if w.s.opt.Directory == nil || !said.failed || !c.Provisional {
		return nil
	}
	return w.tx.AddContactLookup(ctx, store.ContactLookup{ContactID: c.ID, DueAt: w.now.Add(lookupDelay(0))})
}

// enlist brings the desk up to what the CRM says of a person, and gives that
// person's contact: the one with the CRM's id, else one with an address of it,
// else a new one.
func (w *work) enlist(ctx context.Context, d DirectoryContact) (store.Contact, error) {
	if err := w.tx.LockContacts(ctx); err != nil {
		return store.Contact{}, err
	}
	contact, err := w.listed(ctx, d)
	if store.IsNotFound(err) {
		contact = store.Contact{ID: store.NewID(), Provisional: true, CreatedAt: w.now}
		w.made = contact.ID
	} else if err != nil {
		return contact, err
	}
	return w.update(ctx, contact, d)
}

// believe applies what the CRM says of who has an address, of which the desk
// may have a contact already (or a zero one), and gives the contact to take.
func (w *work) believe(ctx context.Context, have store.Contact, a message.Address, d DirectoryContact) (store.Contact, error) {
	own := slices.ContainsFunc(have.Emails, func(e store.ContactEmail) bool { return e.Key == a.Key() })
	switch {
	case own && have.Provisional:
		return w.resolve(ctx, have.ID, d)
	case have.ExternalID == "" || have.ExternalID == d.ID:
		return w.enlist(ctx, d)
	}
	same, err := w.tx.ContactByExternalID(ctx, d.ID)
	if hard(err) != nil || err == nil && same.ID == have.ID {
		return w.enlist(ctx, d)
	}
	have.SyncedAt = d.At.UTC().Truncate(time.Microsecond) // the address stays with whom it was
	return have, w.tx.PutContact(ctx, have)
}

// listed finds the contact of a person of the CRM.
func (w *work) listed(ctx context.Context, d DirectoryContact) (store.Contact, error) {
	contact, err := w.tx.ContactByExternalID(ctx, d.ID)
	if !store.IsNotFound(err) {
		return contact, err
	}
	first, found := store.Contact{}, false
	for _, a := range d.Emails {
		contact, err := w.tx.ContactByKey(ctx, a.Key())
		switch {
		case err != nil && !store.IsNotFound(err):
			return contact, err
		case err != nil || contact.ExternalID != "": // nobody's, or another person's
		case !contact.Provisional:
			return contact, nil // whom a person entered goes before whom a mail brought
		case !found:
			first, found = contact, true
		}
	}
	if !found {
		return first, err
	}
	return first, nil
}

// update writes what the CRM says into a contact. One that goes by another id
// of the CRM, as after a merge here, gets the addresses alone.
func (w *work) update(ctx context.Context, c store.Contact, d DirectoryContact) (store.Contact, error) {
	merged, err := w.takeAddresses(ctx, &c, d)
	if err != nil {
		return c, err
	}
	was := c.Provisional
	if c.ExternalID == "" || c.ExternalID == d.ID {
		c.ExternalID, c.Name, c.Provisional = d.ID, d.nameFor(c), false
		c.Phones = union(d.Phones, c.Phones)
		if c.CompanyID, err = w.companyFor(ctx, c, d); err != nil {
			return c, err
		}
	}
	c.SyncedAt, c.UpdatedAt = d.At.UTC().Truncate(time.Microsecond), w.now
	if err := w.tx.MergeContacts(ctx, c, merged...); err != nil {
		return c, err
	}
	if was && !c.Provisional { // what it wrote before anybody knew whose it is
		if err := w.tx.MoveTickets(ctx, c.ID, c.ID, c.CompanyID); err != nil {
			return c, err
		}
	}
	return c, w.tx.DeleteContactLookup(ctx, c.ID)
}

// nameFor gives the name of a contact: the CRM's, else the one that it has.
func (d DirectoryContact) nameFor(c store.Contact) string {
	switch {
	case d.Name != "":
		return d.Name
	case c.Name != "":
		return c.Name
	case len(d.Emails) > 0:
		return d.Emails[0].String()
	}
	return d.ID
}

// takeAddresses gives a contact the CRM's addresses, those that it had alone
// behind them. A provisional contact that has none but these goes into it, and
// its id is given back; another contact keeps its address.
func (w *work) takeAddresses(ctx context.Context, c *store.Contact, d DirectoryContact) ([]string, error) {
	var list []store.ContactEmail
	var merged []string
	for _, a := range d.Emails {
		e := store.ContactEmail{Address: a.String(), Key: a.Key()}
		owner, err := w.tx.ContactByKey(ctx, e.Key)
		switch {
		case store.IsNotFound(err):
			list = append(list, e)
			continue
		case err != nil:
			return nil, err
		case owner.ID != c.ID && !absorbed(owner, d):
			continue
		}
		at := slices.IndexFunc(owner.Emails, func(o store.ContactEmail) bool { return o.Key == e.Key })
		e.Undeliverable = owner.Emails[at].Undeliverable
		list = append(list, e)
		if owner.ID != c.ID && !slices.Contains(merged, owner.ID) {
			merged, c.Phones = append(merged, owner.ID), union(c.Phones, owner.Phones)
		}
	}
	c.Emails = withEmails(list, c.Emails)
	return merged, nil
}

// absorbed tells whether a contact is no more than an address that the CRM
// gives to a person.
func absorbed(c store.Contact, d DirectoryContact) bool {
	return c.Provisional && (c.ExternalID == "" || c.ExternalID == d.ID) &&
		!slices.ContainsFunc(c.Emails, func(e store.ContactEmail) bool {
			return !slices.ContainsFunc(d.Emails, func(a message.Address) bool { return a.Key() == e.Key })
		})
}

// withEmails adds those addresses that are not in the list yet.
func withEmails(list, more []store.ContactEmail) []store.ContactEmail {
	for _, e := range more {
		if !slices.ContainsFunc(list, func(o store.ContactEmail) bool { return o.Key == e.Key }) {
			list = append(list, e)
		}
	}
	return list
}

// union gives a list with what another one has beyond it.
func union(list, more []string) []string {
	list = slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// companyFor gives the company of a contact of the CRM: the one that it names,
// made if need be, else the one that the contact has, else its domain's.
func (w *work) companyFor(ctx context.Context, c store.Contact, d DirectoryContact) (string, error) {
	if d.Company.Name != "" || d.Company.ID != "" {
		company, err := w.enlistCompany(ctx, d.Company)
		if err != nil || company.ID != "" {
			return company.ID, err
		}
	}
	if c.CompanyID == "" && len(d.Emails) > 0 {
		return w.s.companyOf(ctx, w.tx, d.Emails[0])
	}
	return c.CompanyID, nil
}

// enlistCompany gives the company that the CRM names, made if need be; none
// for an id alone that the desk doesn't know.
func (w *work) enlistCompany(ctx context.Context, d DirectoryCompany) (store.Company, error) {
	var domains []string
	for _, domain := range d.Domains {
		if _, ok := ofCompany(domain); ok {
			domains = append(domains, domain)
		}
	}
	company, err := w.listedCompany(ctx, d, domains)
	isNew := store.IsNotFound(err)
	if err != nil && !isNew || isNew && d.Name == "" {
		return store.Company{}, hard(err)
	}
	before := company
	switch {
	case isNew:
		company = store.Company{ID: store.NewID(), Name: d.Name, ExternalID: d.ID, CreatedAt: w.now}
	case company.ExternalID == "":
		company.ExternalID = d.ID
	case d.Name != "" && company.ExternalID == d.ID:
		company.Name = d.Name
	}
	if company.Domains, err = w.freeDomains(ctx, company, domains); err != nil {
		return company, err
	}
	if company.Name == before.Name && company.ExternalID == before.ExternalID && len(company.Domains) == len(before.Domains) {
		return company, nil
	}
	company.UpdatedAt = w.now
	return company, w.tx.PutCompany(ctx, company)
}

// hard gives an error, but for one that says that something is not there.
func hard(err error) error {
	if store.IsNotFound(err) {
		return nil
	}
	return err
}

// listedCompany finds a company of the CRM: by its id, else by a domain of one
// that has no other id, else, where the CRM gives companies no ids, by name.
func (w *work) listedCompany(ctx context.Context, d DirectoryCompany, domains []string) (store.Company, error) {
	if d.ID != "" {
		company, err := w.tx.CompanyByExternalID(ctx, d.ID)
		if !store.IsNotFound(err) {
			return company, err
		}
	}
	for _, domain := range domains {
		company, err := w.tx.CompanyByDomain(ctx, domain)
		if err == nil && (company.ExternalID == "" || d.ID == "") || hard(err) != nil {
			return company, err
		}
	}
	if d.ID == "" {
		return w.tx.CompanyNamed(ctx, d.Name)
	}
	return store.Company{}, store.Errorf(store.CodeNotFound, "no such company")
}

// freeDomains gives a company's domains, with those that no other one has.
func (w *work) freeDomains(ctx context.Context, company store.Company, domains []string) ([]string, error) {
	list := slices.Clone(company.Domains)
	for _, domain := range domains {
		if slices.Contains(list, domain) {
			continue
		}
		_, err := w.tx.CompanyByDomain(ctx, domain)
		if store.IsNotFound(err) {
			list = append(list, domain)
		} else if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// storedID gives a contact's id, none for one that this very transaction made:
// a dry run takes it back.
func (w *work) storedID(c store.Contact) string {
	if c.ID == w.made {
		return ""
	}
	return c.ID
}
