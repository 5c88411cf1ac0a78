package threading

import (
	"slices"
	"strings"
	"unicode/utf8"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// Card is what a list of contacts says of one person: a row of a CSV file, a
// vCard. Texts are as they were typed.
type Card struct {
	Line       int // of the file where it begins, from 1
	Name       string
	ExternalID string
	Emails     []string
	Phones     []string
	Company    CardCompany
	Before     string // id of the contact that this card was taken as before, where that is known
	Broken     string // why the file could not be read here; then nothing else counts
}

// CardCompany is the firm of a person. It is found by external id, domain and
// name, in this order, and made where it has a name or a domain of its own.
type CardCompany struct {
	Name, ExternalID, Domain string
	Parent                   string // its parent's name
}

// Refusal is a card that was not taken.
type Refusal struct {
	Line   int
	Reason string // for people; holds nothing of the card
}

// The bounds of a card.
const (
	maxCardText = 200 // letters of a name or an id
	maxCardList = 100 // addresses, phones
)

// person is a card that was read.
type cardPerson struct {
	Card
	emails []store.ContactEmail
}

// read checks and cleans a card; reason tells why it can't be taken.
func (c Card) read() (p cardPerson, reason string) {
	if c.Broken != "" {
		return p, c.Broken
	}
	for _, text := range []*string{&c.Name, &c.ExternalID, &c.Company.Name, &c.Company.ExternalID, &c.Company.Domain, &c.Company.Parent} {
		*text = message.CleanLine(strings.TrimSpace(*text))
		if utf8.RuneCountInString(*text) > maxCardText {
			return p, "a text is longer than 200 letters"
		}
	}
	if reason := c.readPhones(); reason != "" {
		return p, reason
	}
	p.Card = c
	if reason := p.readEmails(); reason != "" {
		return p, reason
	}
	if p.Name == "" && len(p.emails) == 0 {
		return p, "it has neither a name nor an address"
	}
	return p, p.readCompany()
}

func (c *Card) readPhones() string {
	var phones []string
	for _, typed := range c.Phones {
		typed = message.CleanLine(strings.TrimSpace(typed))
		switch key := store.PhoneKey(typed); {
		case typed == "" || slices.ContainsFunc(phones, func(p string) bool { return store.PhoneKey(p) == key }):
			continue
		case key == "" || len(typed) > maxCardText:
			return "a phone is no number"
		}
		phones = append(phones, typed)
	}
	c.Phones = phones
	if len(phones) > maxCardList {
		return "it has more than 100 phones"
	}
	return ""
}

func (p *cardPerson) readEmails() string {
	for _, typed := range p.Emails {
		if typed = strings.TrimSpace(typed); typed == "" {
			continue
		}
		a, err := message.ParseAddress(typed)
		if err != nil {
			return "an address is no e-mail address"
		}
		p.emails = withEmails(p.emails, []store.ContactEmail{{Address: a.String(), Key: a.Key()}})
	}
	if len(p.emails) > maxCardList {
		return "it has more than 100 addresses"
	}
	return ""
}

func (p *cardPerson) readCompany() string {
	company := &p.Company
	if company.Parent != "" && company.Name+company.ExternalID+company.Domain == "" {
		return "it names a parent company and no company"
	}
	if company.Domain == "" {
		return ""
	}
	a, err := message.ParseAddress("postmaster@" + company.Domain)
	if err != nil || !strings.Contains(a.Domain, ".") || strings.HasPrefix(a.Domain, "[") {
		return "the company's domain is no domain"
	}
	company.Domain = message.DomainKey(a.Domain)
	if _, ok := ofCompany(company.Domain); !ok {
		return "the company's domain is one where everybody can have an address"
	}
	return ""
}
