package threading

import (
	"context"
	"errors"
	"maps"
	"slices"

	"ticketgate/store"
)

// Imported counts what became of cards.
type Imported struct {
	Added, Changed, Unchanged int
	Refused                   []Refusal
	// Contacts are the ids of whom the cards of one Take are, in their order; ""
	// for one that was refused. Sums leave it out.
	Contacts []string
}

// Total is how many cards were looked at.
func (i Imported) Total() int { return i.Added + i.Changed + i.Unchanged + len(i.Refused) }

// Plus gives the sum of two counts.
func (i Imported) Plus(o Imported) Imported {
	return Imported{
		Added: i.Added + o.Added, Changed: i.Changed + o.Changed, Unchanged: i.Unchanged + o.Unchanged,
		Refused: append(i.Refused, o.Refused...),
	}
}

// ImportBatch is how many cards should be taken in one transaction; mail comes
// in between two of them.
const ImportBatch = 100

// Import is one run over a list of contacts. It is not safe for concurrent use,
// but several runs may go on at once, on whatever nodes.
type Import struct {
	s   *Service
	dry bool
	// Who was met in this run, and below which parents: what says something else
	// of them further down is refused, or each run would change it to and fro.
	people  map[string]bool
	parents map[string]string
}

// NewImport begins a run. A dry one tells what would be and keeps nothing; it
// knows nothing of what it told in an earlier Take.
func (s *Service) NewImport(dry bool) *Import {
	return &Import{s: s, dry: dry, people: map[string]bool{}, parents: map[string]string{}}
}

// Take brings the desk up to what cards say, in one transaction: all of it is
// there when Take returns, or nothing. A card's person is the contact with its
// external id, else with one of its addresses, else, where the card has no
// address, the one by the same name in the same company who shares a phone (or
// of whom the card knows none). A card whose Before is known means that contact
// as long as it still shares a name, an address or a phone with it, and has no
// address of somebody else's. What the card says goes before what is known;
// addresses and phones are added and never taken away. So the same cards again
// change nothing, and an import that broke off is just made again.
//
// Where an address belongs to somebody else the card is refused, and writes
// nothing.
func (i *Import) Take(ctx context.Context, cards []Card) (Imported, error) {
	run := i.s.db.Update
	if i.dry {
		run = i.s.db.Dry
	}
	var batch *importBatch
	err := twice(func() error {
		return run(ctx, func(ctx context.Context, tx *store.Tx) error {
			w, err := i.s.newWork(ctx, tx)
			if err != nil {
				return err
			}
			batch = &importBatch{work: w, people: maps.Clone(i.people), parents: maps.Clone(i.parents)}
			return batch.take(ctx, cards)
		})
	})
	if err != nil {
		return Imported{}, err
	}
	i.people, i.parents = batch.people, batch.parents
	return batch.done, nil
}

// importBatch is one transaction of an import.
type importBatch struct {
	*work
	done    Imported
	people  map[string]bool
	parents map[string]string
}

func (w *importBatch) take(ctx context.Context, cards []Card) error {
	if err := errors.Join(w.tx.LockContacts(ctx), w.tx.LockCompanies(ctx)); err != nil {
		return err
	}
	for _, c := range cards {
		p, reason := c.read()
		outcome, id := unchanged, ""
		if reason == "" {
			var err error
			if outcome, id, reason, err = w.one(ctx, p); err != nil {
				return err
			}
		}
		w.done.Contacts = append(w.done.Contacts, id)
		w.done.count(c.Line, outcome, reason)
	}
	return nil
}

type importOutcome int

const (
	unchanged importOutcome = iota
	changed
	added
)

func (i *Imported) count(line int, outcome importOutcome, reason string) {
	switch {
	case reason != "":
		i.Refused = append(i.Refused, Refusal{Line: line, Reason: reason})
	case outcome == added:
		i.Added++
	case outcome == changed:
		i.Changed++
	default:
		i.Unchanged++
	}
}

// one writes one person, if anything is new, and gives the contact's id; reason
// tells why he can't be taken.
func (w *importBatch) one(ctx context.Context, p cardPerson) (outcome importOutcome, id, reason string, err error) {
	firm, reason, err := w.cardCompany(ctx, p.Company)
	if err != nil || reason != "" {
		return unchanged, "", reason, err
	}
	contact, merged, reason, err := w.cardContact(ctx, p, firm.id)
	if err != nil || reason != "" {
		return unchanged, "", reason, err
	}
	before := contact
	p.into(&contact, firm.id)
	if w.people[before.ID] && (before.Name != contact.Name || before.CompanyID != contact.CompanyID || before.ExternalID != contact.ExternalID) {
		return unchanged, "", "further up the same person has another name, company or external id", nil
	}
	if err := w.writeFirm(ctx, firm); err != nil {
		return unchanged, "", "", err
	}
	if len(firm.write) > 0 {
		outcome = changed
	}
	switch {
	case before.ID == "":
		contact.ID, contact.CreatedAt, outcome = store.NewID(), w.now, added
	case len(merged) > 0 || differs(before, contact):
		outcome = changed
	default:
		w.people[contact.ID] = true
		return outcome, contact.ID, "", nil
	}
	w.people[contact.ID] = true
	contact.UpdatedAt = w.now
	return outcome, contact.ID, "", w.writeImported(ctx, before, contact, merged)
}

// writeFirm writes the company of a card, where anything of it is new.
func (w *importBatch) writeFirm(ctx context.Context, firm cardFirm) error {
	for _, company := range firm.write {
		if err := w.tx.PutCompany(ctx, company); err != nil {
			return err
		}
	}
	if firm.parent != "" {
		w.parents[firm.id] = firm.parent
	}
	return nil
}

// writeImported writes a contact, and gives it the tickets of those who went
// into it and of the time before it was known whose they are.
func (w *importBatch) writeImported(ctx context.Context, before, contact store.Contact, merged []string) error {
	if err := w.tx.MergeContacts(ctx, contact, merged...); err != nil {
		return err
	}
	if !before.Provisional || contact.Provisional {
		return nil
	}
	if err := w.tx.MoveTickets(ctx, contact.ID, contact.ID, contact.CompanyID); err != nil {
		return err
	}
	return w.tx.DeleteContactLookup(ctx, contact.ID)
}

// into writes into a contact what a card says.
func (p cardPerson) into(c *store.Contact, companyID string) {
	c.Emails = withEmails(slices.Clone(c.Emails), p.emails)
	c.Phones = withPhones(c.Phones, p.Phones)
	c.Provisional = false
	if p.Name != "" {
		c.Name = p.Name
	}
	if c.Name == "" {
		c.Name = p.emails[0].Address
	}
	if p.ExternalID != "" {
		c.ExternalID = p.ExternalID
	}
	if companyID != "" {
		c.CompanyID = companyID
	}
}

// withPhones adds those numbers that are not in the list in any spelling.
func withPhones(list, more []string) []string {
	list = slices.Clone(list)
	for _, phone := range more {
		if !sharesPhone(list, []string{phone}) {
			list = append(list, phone)
		}
	}
	return list
}

// sharesPhone tells whether two lists have a number in common.
func sharesPhone(a, b []string) bool {
	return slices.ContainsFunc(a, func(one string) bool {
		key := store.PhoneKey(one)
		return key != "" && slices.ContainsFunc(b, func(other string) bool { return store.PhoneKey(other) == key })
	})
}

// differs tells whether two states of a contact are worth writing.
func differs(a, b store.Contact) bool {
	return a.Name != b.Name || a.CompanyID != b.CompanyID || a.ExternalID != b.ExternalID || a.Provisional != b.Provisional ||
		!slices.Equal(a.Emails, b.Emails) || !slices.Equal(a.Phones, b.Phones)
}
