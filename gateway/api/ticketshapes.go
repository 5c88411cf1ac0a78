package api

import (
	"context"
	"slices"

	"ticketgate/store"
)

// mentioned is what the tickets of a list mention, read for all of them at once:
// a long page costs as many queries as a short one.
type mentioned struct {
	desk         *store.Desk
	activities   map[int64]int
	minutes      map[int64]int
	watchers     map[int64][]string
	fields       map[int64]map[string]string
	clocks       map[int64]store.Clock
	links        map[int64][]store.Link // as far as the caller sees where they lead
	participants map[int64][]store.Participant
	contacts     map[string]store.Contact
	companies    map[string]store.Company
}

// shapesOf fills in what the tickets of a list mention.
func (a *api) shapesOf(ctx context.Context, tx *store.Tx, c *call, found []store.Ticket) ([]ticketShape, error) {
	m, err := mentionsOf(ctx, tx, c, found)
	if err != nil {
		return nil, err
	}
	shapes := make([]ticketShape, 0, len(found))
	for _, t := range found {
		shapes = append(shapes, a.shapeWith(t, m))
	}
	return shapes, nil
}

func (a *api) shapeWith(t store.Ticket, m *mentioned) ticketShape {
	s := a.ticketOf(t, m.activities[t.Number])
	s.ServiceLevel = a.levelOfTicket(m.desk, m.clocks[t.Number])
	s.Counts.Minutes = m.minutes[t.Number]
	s.Fields = fieldsOf(m.desk, m.fields[t.Number])
	s.Watchers = some(m.watchers[t.Number])
	s.Status = mentionStatus(m.desk, t)
	s.Links, s.Participants = some(m.links[t.Number]), participants(m.participants[t.Number])
	if contact, ok := m.contacts[t.ContactID]; ok {
		s.Contact = mentionContact(&contact)
	}
	if company, ok := m.companies[t.CompanyID]; ok {
		s.Company = mentionCompany(&company)
	}
	return s
}

func mentionsOf(ctx context.Context, tx *store.Tx, c *call, found []store.Ticket) (m *mentioned, err error) {
	m = &mentioned{}
	numbers := make([]int64, 0, len(found))
	for _, t := range found {
		numbers = append(numbers, t.Number)
	}
	if m.desk, err = tx.Desk(ctx); err != nil {
		return nil, err
	}
	if m.activities, err = tx.ActivityCounts(ctx, numbers...); err != nil {
		return nil, err
	}
	if m.minutes, err = tx.Minutes(ctx, numbers...); err != nil {
		return nil, err
	}
	if m.watchers, err = tx.Watchers(ctx, numbers...); err != nil {
		return nil, err
	}
	if m.fields, err = tx.FieldValues(ctx, numbers...); err != nil {
		return nil, err
	}
	if m.clocks, err = tx.Clocks(ctx, numbers...); err != nil {
		return nil, err
	}
	if m.participants, err = tx.ParticipantsOf(ctx, numbers...); err != nil {
		return nil, err
	}
	if err := m.readLinks(ctx, tx, c, numbers); err != nil {
		return nil, err
	}
	return m, m.readCustomers(ctx, tx, found)
}

func (m *mentioned) readLinks(ctx context.Context, tx *store.Tx, c *call, numbers []int64) error {
	links, err := tx.LinksOf(ctx, numbers...)
	if err != nil {
		return err
	}
	if links, err = seenLinks(ctx, tx, c, links); err != nil {
		return err
	}
	m.links = map[int64][]store.Link{}
	for _, l := range links {
		m.links[l.Ticket] = append(m.links[l.Ticket], l)
	}
	return nil
}

// readCustomers reads whom the tickets are of, each once.
func (m *mentioned) readCustomers(ctx context.Context, tx *store.Tx, found []store.Ticket) (err error) {
	var contacts, companies []string
	for _, t := range found {
		contacts, companies = append(contacts, t.ContactID), append(companies, t.CompanyID)
	}
	if m.contacts, err = tx.ContactsByID(ctx, each(contacts)...); err != nil {
		return err
	}
	m.companies, err = tx.CompaniesByID(ctx, each(companies)...)
	return err
}

// each gives every id once, and none that is empty.
func each(ids []string) []string {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > 0 && ids[0] == "" {
		ids = ids[1:]
	}
	return ids
}
