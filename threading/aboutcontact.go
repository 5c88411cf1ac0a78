package threading

import (
	"context"
	"slices"

	"ticketgate/store"
)

// AboutContact is what is kept about a person on one ticket. Without a ticket
// it is what lies in the quarantine.
type AboutContact struct {
	Ticket      store.Ticket
	Activities  []store.Activity // of his own ticket all; of another's those that he wrote, or that name him
	Deliveries  []store.Delivery // to him
	Quarantined []store.Quarantined
}

// AboutContact tells all that is kept about a person, ticket by ticket, and the
// mail of his in the quarantine at last. It holds no transaction while tell
// runs; an error of tell ends it. Error: not_found.
func (s *Service) AboutContact(ctx context.Context, id string, tell func(AboutContact) error) error {
	known, err := s.traits(ctx, id)
	if err != nil {
		return err
	}
	for from, last := int64(0), int64(0); from <= last; from += eraseRange {
		var found []AboutContact
		err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			found = nil
			if last, err = tx.LastNumber(ctx); err != nil {
				return err
			}
			numbers, err := tx.TicketsNaming(ctx, from, from+eraseRange, *known)
			for _, number := range numbers {
				one, err := aboutOn(ctx, tx, number, known)
				if err != nil {
					return err
				}
				found = append(found, one)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, one := range found {
			if err := tell(one); err != nil {
				return err
			}
		}
	}
	return s.aboutQuarantine(ctx, known, tell)
}

func (s *Service) traits(ctx context.Context, id string) (known *store.ErasureWork, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		contact, err := tx.Contact(ctx, id)
		if err == nil {
			known, err = traitsOf(ctx, tx, contact)
		}
		return err
	})
	return known, err
}

func (s *Service) aboutQuarantine(ctx context.Context, known *store.ErasureWork, tell func(AboutContact) error) error {
	var one AboutContact
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		one.Quarantined, err = quarantinedOf(ctx, tx, known)
		return err
	})
	if err != nil || len(one.Quarantined) == 0 {
		return err
	}
	return tell(one)
}

// aboutOn gathers what a ticket holds about a person.
func aboutOn(ctx context.Context, tx *store.Tx, number int64, known *store.ErasureWork) (AboutContact, error) {
	var about AboutContact
	var err error
	if about.Ticket, err = tx.Ticket(ctx, number); err != nil {
		return about, err
	}
	own := slices.Contains(known.IDs, about.Ticket.ContactID)
	r := newRedactor(traits{addresses: slices.Concat(known.Keys, known.Addresses)}, false)
	for cursor := ""; ; {
		some, next, err := tx.Activities(ctx, number, cursor, 200)
		if err != nil {
			return about, err
		}
		for _, a := range some {
			if own || wroteIt(known, a) || r.knows(a) {
				about.Activities = append(about.Activities, a)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	for cursor := ""; ; {
		some, next, err := tx.Deliveries(ctx, store.DeliveryFilter{Ticket: number, Cursor: cursor, Limit: 200})
		if err != nil {
			return about, err
		}
		for _, d := range some {
			if isOf(known.Keys, d.Recipient) {
				about.Deliveries = append(about.Deliveries, d)
			}
		}
		if cursor = next; next == "" {
			return about, nil
		}
	}
}

// wroteIt tells whether an activity is the person's.
func wroteIt(known *store.ErasureWork, a store.Activity) bool {
	by := a.Author.Kind == store.AuthorContact && slices.Contains(known.IDs, a.Author.ID)
	return by || a.Author.Kind != store.AuthorAgent && isOf(known.Keys, a.Author.Address)
}
