package threading

import (
	"context"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// person is who a From address stands for, as far as desk and CRM know.
type person struct {
	contact store.Contact // zero where there is none yet
	company string        // by the contact, or by the address's domain
	how     string        // address, detail, crm, domain, none
}

// identify finds the contact of an address: the address itself, without its
// +detail, then in what the CRM said, then the company of its domain.
func (w *work) identify(ctx context.Context, a message.Address, said word) (person, error) {
	if said.contact == nil || said.about != a.Key() {
		return w.s.lookUp(ctx, w.tx, a)
	}
	contact, how, err := known(ctx, w.tx, a)
	if hard(err) != nil {
		return person{}, err
	}
	if err != nil || contact.Provisional {
		how = "crm"
	}
	contact, err = w.believe(ctx, contact, a, *said.contact)
	return person{contact: contact, company: contact.CompanyID, how: how}, err
}

// lookUp is identify with what the desk knows itself.
func (s *Service) lookUp(ctx context.Context, tx *store.Tx, a message.Address) (person, error) {
	contact, how, err := known(ctx, tx, a)
	if err == nil {
		return person{contact: contact, company: contact.CompanyID, how: how}, nil
	}
	if !store.IsNotFound(err) {
		return person{}, err
	}
	company, err := s.companyOf(ctx, tx, a)
	if err != nil || company == "" {
		return person{how: "none"}, err
	}
	return person{company: company, how: "domain"}, nil
}

// known finds the contact that the desk itself has of an address. Error:
// not_found.
func known(ctx context.Context, tx *store.Tx, a message.Address) (store.Contact, string, error) {
	contact, err := tx.ContactByKey(ctx, a.Key())
	base, ok := withoutDetail(a)
	if !ok || !store.IsNotFound(err) {
		return contact, "address", err
	}
	contact, err = tx.ContactByKey(ctx, base.Key())
	return contact, "detail", err
}

// withoutDetail takes what stands behind the first plus off a local part.
func withoutDetail(a message.Address) (message.Address, bool) {
	local, _, ok := strings.Cut(a.Local, "+")
	if !ok || local == "" {
		return a, false
	}
	a.Local = local
	return a, true
}

// companyOf gives the company that has the address's domain, or its
// organisational domain, unless everybody can have an address there.
func (s *Service) companyOf(ctx context.Context, tx *store.Tx, a message.Address) (string, error) {
	domain := message.DomainKey(a.Domain)
	organisation, ok := ofCompany(domain)
	if !ok {
		return "", nil
	}
	for _, d := range []string{domain, organisation} {
		company, err := tx.CompanyByDomain(ctx, d)
		if err == nil {
			return company.ID, nil
		}
		if !store.IsNotFound(err) {
			return "", err
		}
	}
	return "", nil
}

// sameOrganisation tells whether two domains belong to one organisation.
func sameOrganisation(a, b string) bool {
	a, b = message.DomainKey(a), message.DomainKey(b)
	of, err := publicsuffix.EffectiveTLDPlusOne(a)
	other, otherErr := publicsuffix.EffectiveTLDPlusOne(b)
	return a == b || err == nil && otherErr == nil && of == other
}

// ofCompany gives the organisational domain of one that may tell of a company.
func ofCompany(domain string) (organisation string, ok bool) {
	organisation, err := publicsuffix.EffectiveTLDPlusOne(domain)
	return organisation, err == nil && !publicProviders[organisation]
}

// publicProviders are domains whose addresses say nothing about a company.
var publicProviders = map[string]bool{
	"gmail.com": true, "googlemail.com": true, "outlook.com": true, "hotmail.com": true, "live.com": true, "msn.com": true,
	"yahoo.com": true, "yahoo.co.uk": true, "yahoo.de": true, "yahoo.fr": true, "icloud.com": true, "me.com": true, "mac.com": true,
	"aol.com": true, "gmx.de": true, "gmx.net": true, "gmx.at": true, "gmx.ch": true, "gmx.com": true, "web.de": true,
	"t-online.de": true, "freenet.de": true, "posteo.de": true, "mailbox.org": true, "proton.me": true, "protonmail.com": true,
	"tutanota.com": true, "fastmail.com": true, "zoho.com": true, "mail.ru": true, "yandex.ru": true, "yandex.com": true,
	"qq.com": true, "163.com": true, "126.com": true, "orange.fr": true, "wanadoo.fr": true, "free.fr": true, "laposte.net": true,
	"libero.it": true, "btinternet.com": true, "comcast.net": true, "verizon.net": true, "att.net": true, "bluewin.ch": true,
}

// who looks the author up, where there is one.
func (f *filing) who(ctx context.Context) (person, error) {
	if f.nobody() {
		return person{how: "none"}, nil
	}
	return f.identify(ctx, f.author, f.said)
}

// nobody tells whether the From names no customer: several mailboxes or none,
// an account of ours, or an agent whom somebody else claims to be.
func (f *filing) nobody() bool {
	if !f.sole || f.desk.AccountByKey(f.author.Key()) != nil {
		return true
	}
	return f.desk.AgentByKey(f.author.Key()) != nil && f.Auth.Verdict != store.Verified
}

// ensureContact gives the author's contact, a provisional one if need be; none
// for a mail whose From names nobody, or ourselves.
func (f *filing) ensureContact(ctx context.Context, p person) (store.Contact, error) {
	if f.nobody() {
		return p.contact, nil
	}
	return f.ensure(ctx, f.author, p, f.said)
}

// ensure gives the contact of an address, a provisional one if need be. Where
// the CRM could not say who that is, it is asked again later.
func (w *work) ensure(ctx context.Context, a message.Address, p person, said word) (store.Contact, error) {
	contact := p.contact
	if contact.ID == "" {
		var err error
		if contact, err = w.tx.EnsureContact(ctx, provisional(a, p.company, w.s)); err != nil {
			return contact, err
		}
	}
	return contact, w.askLater(ctx, contact, said.of(a))
}

func provisional(a message.Address, company string, s *Service) store.Contact {
	name := a.Name
	if name == "" || a.NameHoldsAddress {
		name = a.String()
	}
	now := s.now()
	return store.Contact{
		ID: store.NewID(), Name: name, CompanyID: company, Provisional: true, CreatedAt: now, UpdatedAt: now,
		Emails: []store.ContactEmail{{Address: a.String(), Key: a.Key()}},
	}
}
