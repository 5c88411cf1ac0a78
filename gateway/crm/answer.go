package crm

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"ticketgate/threading"
	"ticketgate/threading/message"
)

// What of an answer is kept at most.
const (
	maxPersons = 50
	maxEmails  = 20
	maxPhones  = 10
	maxDomains = 50
	maxText    = 200 // characters
)

// person is one person as the CRM answers.
type person struct {
	ID      text  `json:"id"`
	Name    text  `json:"name"`
	Emails  texts `json:"emails"`
	Phone   texts `json:"phone"`
	Company firm  `json:"company"`
}

// firm is a company as the CRM answers; a name alone is one as well.
type firm struct {
	ID, Name text
	Domains  texts
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *firm) UnmarshalJSON(b []byte) error {
	var fields struct {
		ID      text  `json:"id"`
		Name    text  `json:"name"`
		Domains texts `json:"domains"`
	}
	if json.Unmarshal(b, &fields) != nil {
		return f.Name.UnmarshalJSON(b)
	}
	f.ID, f.Name, f.Domains = fields.ID, fields.Name, fields.Domains
	return nil
}

// text is a piece of text. A number counts as its digits, anything else as
// nothing: one odd field must not cost the whole answer.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = text(message.CleanLine(s))
	case json.Unmarshal(b, &n) == nil:
		*t = text(n)
	}
	return nil
}

// texts is a list of text; a single one is a list of it.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var many []text
	if json.Unmarshal(b, &many) != nil {
		many = make([]text, 1)
		_ = many[0].UnmarshalJSON(b) // never fails
	}
	for _, one := range many {
		if one != "" {
			*t = append(*t, string(one))
		}
	}
	return nil
}

// read makes persons of an answer: one object, or for a search also an array
// of them, bare or as items. An empty list, and null, are nobody.
func read(body []byte, search bool, at time.Time) ([]threading.DirectoryContact, error) {
	body = bytes.TrimSpace(body)
	if string(body) == "null" {
		return nil, nil
	}
	if !search {
		var p person
		if json.Unmarshal(body, &p) != nil {
			return nil, unavailable("the answer is no JSON object", nil)
		}
		d, ok := p.clean(at)
		if !ok {
			return nil, unavailable("the answer has no id", nil)
		}
		return []threading.DirectoryContact{d}, nil
	}
	persons, err := readList(body)
	if err != nil {
		return nil, err
	}
	var found []threading.DirectoryContact
	for _, p := range persons {
		if d, ok := p.clean(at); ok && len(found) < maxPersons {
			found = append(found, d)
		}
	}
	return found, nil
}

func readList(body []byte) ([]person, error) {
	var persons []person
	if json.Unmarshal(body, &persons) == nil {
		return persons, nil
	}
	var page struct {
		person
		Items *[]person `json:"items"`
	}
	if json.Unmarshal(body, &page) != nil {
		return nil, unavailable("the answer is no JSON object or list", nil)
	}
	if page.Items != nil {
		return *page.Items, nil
	}
	return []person{page.person}, nil
}

// clean takes what is sound of a person; one without a proper id is none.
func (p person) clean(at time.Time) (threading.DirectoryContact, bool) {
	d := threading.DirectoryContact{ID: string(p.ID), Name: short(string(p.Name)), At: at}
	if d.ID == "" || utf8.RuneCountInString(d.ID) > maxText {
		return d, false
	}
	for _, typed := range p.Emails {
		a, err := message.ParseAddress(typed)
		if err == nil && !hasAddress(d, a.Key()) && len(d.Emails) < maxEmails {
			d.Emails = append(d.Emails, a)
		}
	}
	for _, phone := range p.Phone {
		if len(d.Phones) < maxPhones && utf8.RuneCountInString(phone) <= maxText {
			d.Phones = append(d.Phones, phone)
		}
	}
	d.Company = threading.DirectoryCompany{ID: string(p.Company.ID), Name: short(string(p.Company.Name))}
	if utf8.RuneCountInString(d.Company.ID) > maxText {
		d.Company.ID = ""
	}
	for _, typed := range p.Company.Domains {
		if domain, ok := readDomain(typed); ok && len(d.Company.Domains) < maxDomains {
			d.Company.Domains = append(d.Company.Domains, domain)
		}
	}
	return d, true
}

// readDomain brings a domain into the form that it is compared by.
func readDomain(typed string) (string, bool) {
	a, err := message.ParseAddress("x@" + strings.TrimPrefix(typed, "@"))
	if err != nil || a.Local != "x" || strings.HasPrefix(a.Domain, "[") || !strings.Contains(a.Domain, ".") {
		return "", false
	}
	return message.DomainKey(a.Domain), true
}

// short cuts a text that nobody would show whole.
func short(s string) string {
	if utf8.RuneCountInString(s) <= maxText {
		return s
	}
	return string([]rune(s)[:maxText])
}
