package threading

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ticketgate/store"
)

// contacts tells who is there, oldest first: name <addresses> phones @company.
func (d *desk) contactList() []string {
	d.t.Helper()
	var all []string
	d.view(func(ctx context.Context, tx *store.Tx) error {
		found, _, err := tx.Contacts(ctx, store.ContactFilter{Limit: 200})
		for _, c := range found {
			line := c.Name
			for _, e := range c.Emails {
				line += " <" + e.Address + ">"
			}
			for _, p := range c.Phones {
				line += " " + p
			}
			if c.CompanyID != "" {
				company, err := tx.Company(ctx, c.CompanyID)
				if err != nil {
					return err
				}
				line += strings.TrimRight(" @"+company.Name+" "+company.ExternalID, " ")
			}
			if c.Provisional {
				line += " (provisional)"
			}
			all = append([]string{line}, all...)
		}
		return err
	})
	return all
}

func (d *desk) importCards(cards ...Card) string {
	d.t.Helper()
	for i := range cards {
		cards[i].Line = i + 1
	}
	done, err := d.NewImport(false).Take(d.ctx, cards)
	if err != nil {
		d.t.Fatal(err)
	}
	text := fmt.Sprintf("%d added, %d changed, %d unchanged", done.Added, done.Changed, done.Unchanged)
	for _, r := range done.Refused {
		text += fmt.Sprintf("; %d: %s", r.Line, r.Reason)
	}
	return text
}

// Each case is a list that is taken twice: what the first run does, and what is
// there then. The second run adds and changes nothing.
func TestImport(t *testing.T) {
	firm := func(name string) CardCompany { return CardCompany{Name: name} }
	for name, c := range map[string]struct {
		cards []Card
		did   string
		there []string
	}{
		"several addresses and phones keep their order": {
			[]Card{{Name: " Ida\x00 Ilg ", Emails: []string{"ida@x.example", "IDA@X.example", "i@x.example"}, Phones: []string{"+49 30 1", "0049 30 1", "2"}}},
			"1 added, 0 changed, 0 unchanged", []string{"Ida Ilg <ida@x.example> <i@x.example> +49 30 1 2"},
		},
		"a person who stands twice is one": {
			[]Card{{Name: "Ida", Emails: []string{"ida@x.example"}}, {Emails: []string{"i@x.example", "ida@x.example"}, Phones: []string{"1"}}},
			"1 added, 1 changed, 0 unchanged", []string{"Ida <ida@x.example> <i@x.example> 1"},
		},
		"a person who stands twice has one name": {
			[]Card{{Name: "Ida", Emails: []string{"ida@x.example"}}, {Name: "Eva", Emails: []string{"ida@x.example"}}},
			"1 added, 0 changed, 0 unchanged; 2: further up the same person has another name, company or external id", []string{"Ida <ida@x.example>"},
		},
		"the external id goes before the address": {
			[]Card{{Name: "A", ExternalID: "1", Emails: []string{"a@x.example"}}, {Name: "B", ExternalID: "2", Emails: []string{"b@x.example"}},
				{Name: "A", ExternalID: "1", Emails: []string{"b@x.example"}}, {Name: "C", ExternalID: "3", Emails: []string{"a@x.example"}}},
			"2 added, 0 changed, 0 unchanged; 3: an address of it belongs to another contact; 4: an address of it belongs to a contact with another external id",
			[]string{"A <a@x.example>", "B <b@x.example>"},
		},
		"who has no address is known by name, company and phone": {
			[]Card{{Name: "Ida", Phones: []string{"030 1"}}, {Name: "Ida", Phones: []string{"030 2"}}, {Name: "Ida", Company: firm("F")}, {Name: "Ida"}},
			"3 added, 0 changed, 1 unchanged", []string{"Ida 030 1", "Ida 030 2", "Ida @F"},
		},
		"companies by name, domain and id": {
			[]Card{
				{Name: "A", Company: CardCompany{Name: "F", Domain: "F.example", ExternalID: "7", Parent: "Group"}},
				{Name: "B", Company: CardCompany{Domain: "f.example"}}, {Name: "C", Company: CardCompany{ExternalID: "7"}},
				{Name: "D", Company: CardCompany{Domain: "new.example"}},
			},
			"4 added, 0 changed, 0 unchanged", []string{"A @F 7", "B @F 7", "C @F 7", "D @new.example"},
		},
		"companies of one name and two ids are two": {
			[]Card{
				{Name: "A", Company: CardCompany{Name: "Bakery", ExternalID: "1", Parent: "Group"}}, {Name: "B", Company: CardCompany{Name: "Bakery", ExternalID: "2"}},
				{Name: "C", Company: CardCompany{Name: "Bakery", ExternalID: "2", Parent: "Other"}}, {Name: "D", Company: CardCompany{Name: "Bakery"}},
				{Name: "E", Company: CardCompany{Name: "Known"}}, {Name: "F", Company: CardCompany{Name: "Known", ExternalID: "3", Domain: "known.example"}},
				{Name: "G", Company: CardCompany{Name: "Known", ExternalID: "4", Domain: "known.example"}},
				{Name: "H", Company: CardCompany{ExternalID: "5", Domain: "known.example"}},
			},
			"6 added, 0 changed, 0 unchanged; 7: the company's domain belongs to another company; 8: the company's domain belongs to another company",
			[]string{"A @Bakery 1", "B @Bakery 2", "C @Bakery 2", "D @Bakery 1", "E @Known 3", "F @Known 3"},
		},
		"what can't be taken": {
			[]Card{
				{}, {Emails: []string{"nonsense"}}, {Name: "x", Phones: []string{"call me"}}, {Name: strings.Repeat("x", 201)},
				{Name: "x", Company: CardCompany{ExternalID: "8"}}, {Name: "x", Company: CardCompany{Name: "Gmail", Domain: "gmail.com"}},
				{Name: "x", Company: CardCompany{Domain: "x"}}, {Name: "x", Company: CardCompany{Parent: "P"}},
				{Name: "x", Company: CardCompany{Name: "P", Parent: "P"}}, {Broken: "the row is not UTF-8"},
			},
			"0 added, 0 changed, 0 unchanged; 1: it has neither a name nor an address; 2: an address is no e-mail address; 3: a phone is no number; " +
				"4: a text is longer than 200 letters; 5: there is no company with this external id; " +
				"6: the company's domain is one where everybody can have an address; 7: the company's domain is no domain; " +
				"8: it names a parent company and no company; 9: a company can't stand above itself; 10: the row is not UTF-8", nil,
		},
		"no ring of companies, and one parent": {
			[]Card{{Name: "A", Company: CardCompany{Name: "F", Parent: "G"}}, {Name: "B", Company: CardCompany{Name: "G", Parent: "F"}},
				{Name: "C", Company: CardCompany{Name: "F", Parent: "H"}}},
			"1 added, 0 changed, 0 unchanged; 2: a company can't stand above itself; 3: further up the company has another parent", []string{"A @F"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			if did := d.importCards(c.cards...); did != c.did {
				t.Errorf("the first run: %s\nwant %s", did, c.did)
			}
			if diff := cmp.Diff(c.there, d.contactList()); diff != "" {
				t.Error(diff)
			}
			if did := d.importCards(c.cards...); !strings.HasPrefix(did, "0 added, 0 changed,") {
				t.Errorf("the second run: %s", did)
			}
			if diff := cmp.Diff(c.there, d.contactList()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Who was no more than the address of a mail becomes the person of the list,
// with his tickets, and is never doubled.
func TestImportKnowsWhomMailBrought(t *testing.T) {
	d := newDesk(t)
	one := d.deliver(letter{from: "Ida <ida@x.example>", subject: "One"})
	two := d.deliver(letter{from: "ilg@x.example", subject: "Two"})
	card := Card{Name: "Ida Ilg", Emails: []string{"ida@x.example", "ilg@x.example"}, Company: CardCompany{Name: "F"}}
	if did := d.importCards(card); did != "0 added, 1 changed, 0 unchanged" {
		t.Error(did)
	}
	if diff := cmp.Diff([]string{"Ida Ilg <ida@x.example> <ilg@x.example> @F"}, d.contactList()); diff != "" {
		t.Error(diff)
	}
	first, second := d.ticket(one.Ticket), d.ticket(two.Ticket)
	if first.ContactID == "" || first.ContactID != second.ContactID || first.CompanyID == "" || first.CompanyID != second.CompanyID {
		t.Errorf("the tickets are of %q and %q, companies %q and %q", first.ContactID, second.ContactID, first.CompanyID, second.CompanyID)
	}
}

// A card that comes again, changed, means whom it meant before.
func TestImportOfAChangedCard(t *testing.T) {
	card := Card{Name: "Ida Ilg", Emails: []string{"ida@x.example"}, Phones: []string{"030 1"}}
	for name, c := range map[string]struct {
		change func(*Card)
		there  []string
	}{
		"another address":        {func(c *Card) { c.Emails = []string{"ilg@y.example"} }, []string{"Ida Ilg <ida@x.example> <ilg@y.example> 030 1"}},
		"another name":           {func(c *Card) { c.Name = "Ida Jung" }, []string{"Ida Jung <ida@x.example> 030 1"}},
		"no address any more":    {func(c *Card) { c.Emails, c.Phones = nil, []string{"030 2"} }, []string{"Ida Ilg <ida@x.example> 030 1 030 2"}},
		"another person":         {func(c *Card) { *c = Card{Name: "Eva", Emails: []string{"eva@x.example"}} }, []string{"Ida Ilg <ida@x.example> 030 1", "Eva <eva@x.example>"}},
		"an address of a writer": {func(c *Card) { c.Emails = []string{"wrote@x.example"} }, []string{"Ida Ilg <ida@x.example> <wrote@x.example> 030 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			first, err := d.NewImport(false).Take(d.ctx, []Card{card, {Line: 2}})
			if err != nil || len(first.Contacts) != 2 || first.Contacts[0] == "" || first.Contacts[1] != "" {
				t.Fatalf("%+v, %v", first, err)
			}
			if name == "an address of a writer" {
				d.deliver(letter{from: "wrote@x.example", subject: "Hello"})
			}
			again := card
			again.Before = first.Contacts[0]
			c.change(&again)
			for range 2 {
				second, err := d.NewImport(false).Take(d.ctx, []Card{again})
				if err != nil || len(second.Refused) > 0 || (second.Contacts[0] == again.Before) != (len(c.there) == 1) {
					t.Errorf("%+v, %v", second, err)
				}
			}
			if diff := cmp.Diff(c.there, d.contactList()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A card whose new address is somebody else's is that person's.
func TestImportOfACardThatBecameAnothers(t *testing.T) {
	d := newDesk(t)
	first, err := d.NewImport(false).Take(d.ctx, []Card{{Name: "Ida", Emails: []string{"ida@x.example"}}, {Name: "Eva", Emails: []string{"eva@x.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.NewImport(false).Take(d.ctx, []Card{{Name: "Ida", Emails: []string{"eva@x.example"}, Before: first.Contacts[0]}})
	if err != nil || second.Contacts[0] != first.Contacts[1] {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestDryImport(t *testing.T) {
	d := newDesk(t)
	done, err := d.NewImport(true).Take(d.ctx, []Card{{Name: "A", Company: CardCompany{Name: "F", Parent: "G"}}})
	if err != nil || done.Added != 1 || d.contactList() != nil {
		t.Errorf("%+v, %v; there are %v", done, err, d.contactList())
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		companies, _, err := tx.Companies(ctx, store.CompanyFilter{})
		if len(companies) > 0 {
			t.Errorf("there are %v", companies)
		}
		return err
	})
}
