package gateway

import (
	"context"
	"errors"
	"slices"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// loadCompanies reads all companies, by name; of two that share a name the
// oldest is meant.
func (a *applier) loadCompanies(ctx context.Context) error {
	a.companies = map[string]store.Company{}
	for cursor := ""; ; {
		page, next, err := a.tx.Companies(ctx, store.CompanyFilter{Cursor: cursor, Limit: 200})
		if err != nil {
			return err
		}
		for _, c := range page {
			a.companies[c.Name] = c
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

func (a *applier) companyID(name string) string { return a.companies[name].ID }

func (a *applier) companyName(id string) string {
	for name, c := range a.companies {
		if c.ID == id {
			return name
		}
	}
	return ""
}

// allCompanies makes the companies, and then ties them to their parents, which
// may stand further down in the file.
func (a *applier) allCompanies(ctx context.Context) error {
	if len(a.file.Companies) > 0 {
		if err := a.tx.LockCompanies(ctx); err != nil {
			return err
		}
	}
	if err := a.loadCompanies(ctx); err != nil {
		return err
	}
	for i, e := range a.file.Companies {
		c, known := a.companies[e.Name]
		if !known {
			c = store.Company{ID: store.NewID(), Name: e.Name, CreatedAt: a.now}
		}
		d := &difference{kind: "company", name: shown(e.Name), added: !known}
		setList(d, "domains", &c.Domains, a.domains(i, e.Domains))
		setField(d, "external_id", &c.ExternalID, e.ExternalID)
		if err := a.putCompany(ctx, d, i, c); err != nil {
			return err
		}
	}
	for i, e := range a.file.Companies {
		c := a.companies[e.Name]
		d := &difference{kind: "company", name: shown(e.Name)}
		setLink(d, "parent", &c.ParentID, e.Parent, a.companyID, a.companyName)
		if e.Parent != nil && *e.Parent != "" && (c.ParentID == "" || c.ParentID == c.ID) {
			a.bad(pathOf("company", i, "parent"), "there is no other company %q", *e.Parent)
		} else if d.changed() {
			err := threading.CheckParent(ctx, a.tx, c)
			if e, ok := errors.AsType[*store.Error](err); ok && e.Code == store.CodeInvalid {
				a.bad(pathOf("company", i, "parent"), "%s", e.Message)
			} else if err != nil {
				return err
			}
		}
		if err := a.putCompany(ctx, d, i, c); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) putCompany(ctx context.Context, d *difference, i int, c store.Company) error {
	return a.put(d, pathOf("company", i, "name"), func() error {
		c.UpdatedAt = a.now
		a.companies[c.Name] = c
		return a.tx.PutCompany(ctx, c)
	})
}

// domains brings domains into the form that they are compared by.
func (a *applier) domains(i int, typed *[]string) *[]string {
	if typed == nil {
		return nil
	}
	all := make([]string, len(*typed))
	for j, domain := range *typed {
		all[j] = message.DomainKey(domain)
		if !isHostname(all[j]) {
			a.bad(pathOf("company", i, "domains"), "%q is no domain", domain)
		}
	}
	return &all
}

func (a *applier) contacts(ctx context.Context) error {
	for i, e := range a.file.Contacts {
		c, err := a.tx.ContactByKey(ctx, keyOf(e.Emails[0]))
		known := err == nil
		if store.IsNotFound(err) {
			c = store.Contact{ID: store.NewID(), Name: e.Emails[0], CreatedAt: a.now}
		} else if err != nil {
			return err
		}
		d := &difference{kind: "contact", name: e.Emails[0], added: !known}
		setField(d, "name", &c.Name, e.Name)
		setList(d, "phones", &c.Phones, e.Phones)
		setField(d, "external_id", &c.ExternalID, e.ExternalID)
		setLink(d, "company", &c.CompanyID, e.Company, a.companyID, a.companyName)
		if e.Company != nil && *e.Company != "" && c.CompanyID == "" {
			a.bad(pathOf("contact", i, "company"), "there is no company %q", *e.Company)
		}
		confirmed := false // a person named it: it is provisional no more
		setField(d, "provisional", &c.Provisional, &confirmed)
		addEmails(d, &c, e.Emails)
		err = a.put(d, pathOf("contact", i, "emails"), func() error {
			c.UpdatedAt = a.now
			return a.tx.PutContact(ctx, c)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addEmails gives a contact the addresses that the file names. Others, which it
// has from its mail, stay: an address is what its tickets are found by.
func addEmails(d *difference, c *store.Contact, want []string) {
	for _, address := range want {
		key := keyOf(address)
		if slices.ContainsFunc(c.Emails, func(e store.ContactEmail) bool { return e.Key == key }) {
			continue
		}
		c.Emails = append(c.Emails, store.ContactEmail{Address: address, Key: key})
		d.lines = append(d.lines, "emails: + "+address)
	}
}
