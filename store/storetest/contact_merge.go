package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"ticketgate/store"
)

// merge puts one contact into another one, addresses and all.
func merge(ctx context.Context, tx *store.Tx, id, into string) error {
	if err := tx.LockContacts(ctx); err != nil {
		return err
	}
	from, err := tx.Contact(ctx, id)
	if err != nil {
		return err
	}
	stays, err := tx.Contact(ctx, into)
	if err != nil || from.ID == stays.ID {
		return err
	}
	stays.Emails = append(stays.Emails, from.Emails...)
	return tx.MergeContacts(ctx, stays, from.ID)
}

func testMergeContacts(t *testing.T, open Open) {
	db := one(t, open)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i := 1; i <= 4; i++ {
			c := store.Contact{ID: fmt.Sprint("c", i), Name: fmt.Sprint("Person ", i), ExternalID: fmt.Sprint("E-", i),
				CompanyID: fmt.Sprint("firm", i), Emails: emails(fmt.Sprintf("p%d@a.example", i)), CreatedAt: noon(i)}
			c.Emails[0].Undeliverable = i == 1
			if err := tx.PutContact(ctx, c); err != nil {
				return err
			}
		}
		return tx.AddContactLookup(ctx, store.ContactLookup{ContactID: "c1", DueAt: noon(0)})
	})
	mine := addTicket(t, db, func(ticket *store.Ticket) { ticket.ContactID, ticket.CompanyID = "c1", "firm1" })
	theirs := addTicket(t, db, func(ticket *store.Ticket) { ticket.ContactID, ticket.CompanyID = "c2", "firm2" })
	nobodys := addTicket(t, db, nil)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return merge(ctx, tx, "c1", "c2") })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		byID, err := tx.Contact(ctx, "c1")
		if err != nil || byID.ID != "c2" || byID.Name != "Person 2" || len(byID.Emails) != 2 || !byID.Emails[1].Undeliverable {
			t.Errorf("the merged id leads to %+v, %v", byID, err)
		}
		together, err := tx.ContactsByID(ctx, "c1", "c2", "c3", "none")
		if err != nil || len(together) != 3 || !reflect.DeepEqual(together["c1"], byID) || !reflect.DeepEqual(together["c2"], byID) || together["c3"].Name != "Person 3" {
			t.Errorf("by their ids: %+v, %v", together, err)
		}
		for _, get := range []func() (store.Contact, error){
			func() (store.Contact, error) { return tx.ContactByExternalID(ctx, "E-1") },
			func() (store.Contact, error) { return tx.ContactByExternalID(ctx, "E-2") },
			func() (store.Contact, error) { return tx.ContactByKey(ctx, "p1@a.example") },
		} {
			if got, err := get(); err != nil || !reflect.DeepEqual(got, byID) {
				t.Errorf("contact %+v, %v", got, err)
			}
		}
		for _, id := range []string{"E-9", ""} {
			_, err = tx.ContactByExternalID(ctx, id)
			wantCode(t, err, store.CodeNotFound, "")
		}
		for _, f := range []store.ContactFilter{{Query: "person 1"}, {Query: "E-1"}} {
			if all, _, err := tx.Contacts(ctx, f); err != nil || len(all) != 0 {
				t.Errorf("%+v shows %v, %v", f, all, err)
			}
		}
		all, _, err := tx.Contacts(ctx, store.ContactFilter{ExternalID: "E-1"})
		if err != nil || len(all) != 1 || all[0].ID != "c2" {
			t.Errorf("by the merged external id: %v, %v", all, err)
		}
		if all, _, err := tx.Contacts(ctx, store.ContactFilter{}); err != nil || len(all) != 3 {
			t.Errorf("list %v, %v", all, err)
		}
		for _, id := range []string{"c1", "c2"} {
			list, _, err := tx.Tickets(ctx, store.TicketFilter{ContactID: id})
			if got := numbers(list); err != nil || !slices.Equal(got, []int64{theirs.Number, mine.Number}) {
				t.Errorf("tickets of %s: %v, %v", id, got, err)
			}
		}
		moved, err := tx.Ticket(ctx, mine.Number)
		if err != nil || moved.ContactID != "c2" || moved.CompanyID != "firm2" || moved.Version != 2 {
			t.Errorf("ticket %+v, %v", moved, err)
		}
		for _, other := range []store.Ticket{theirs, nobodys} {
			if got, err := tx.Ticket(ctx, other.Number); err != nil || got.Version != 1 || got.ContactID != other.ContactID {
				t.Errorf("ticket %+v, %v", got, err)
			}
		}
		due, err := tx.DueContactLookups(ctx, noon(1), 10)
		if len(due) != 0 {
			t.Errorf("look-ups of a merged contact: %v", due)
		}
		return err
	})
	// c1 -> c2 -> c3: every id leads to the end at once, and writing to one
	// that is gone by a stale copy doesn't bring it back.
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := merge(ctx, tx, "c2", "c3"); err != nil {
			return err
		}
		return tx.PutContact(ctx, store.Contact{ID: "c1", Name: "stale"})
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"c1", "c2", "c3"} {
			if got, err := tx.Contact(ctx, id); err != nil || got.ID != "c3" || len(got.Emails) != 3 {
				t.Errorf("%s leads to %+v, %v", id, got, err)
			}
			list, _, err := tx.Tickets(ctx, store.TicketFilter{ContactID: id})
			if err != nil || len(list) != 2 {
				t.Errorf("tickets of %s: %v, %v", id, numbers(list), err)
			}
		}
		return nil
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeContacts(ctx, store.Contact{ID: "c3"}, "c3")
	}), store.CodeInternal, "")
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeContacts(ctx, store.Contact{ID: "c3"}, "nobody")
	}), store.CodeNotFound, "")
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, "c1") }),
		store.CodeNotFound, "")
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, "c3") }),
		store.CodeConflict, store.ReasonInUse)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.MoveTickets(ctx, "c3", "c4", "firm4"); err != nil {
			return err
		}
		if err := tx.MoveTickets(ctx, "", "c4", "firm4"); err != nil { // tickets without a contact stay so
			return err
		}
		return tx.DeleteContact(ctx, "c3")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"c1", "c2", "c3"} {
			_, err := tx.Contact(ctx, id)
			wantCode(t, err, store.CodeNotFound, "")
		}
		list, _, err := tx.Tickets(ctx, store.TicketFilter{ContactID: "c4", CompanyID: "firm4"})
		if len(list) != 2 {
			t.Errorf("tickets %v", numbers(list))
		}
		return err
	})
}

// testCrossingMerges has two handles put two contacts into each other at once:
// one of them stays, and both ids lead to it.
func testCrossingMerges(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	for round := range 10 {
		a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
		update(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
			for _, id := range []string{a, b} {
				if err := tx.PutContact(ctx, store.Contact{ID: id, Name: id, Emails: emails(id + "@a.example")}); err != nil {
					return err
				}
			}
			return nil
		})
		var wg sync.WaitGroup
		for i, pair := range [][2]string{{a, b}, {b, a}} {
			wg.Go(func() {
				if err := handles[i].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					return merge(ctx, tx, pair[0], pair[1])
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		view(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
			one, err := tx.Contact(ctx, a)
			if err != nil {
				return err
			}
			other, err := tx.Contact(ctx, b)
			if one.ID != other.ID || len(one.Emails) != 2 {
				t.Errorf("round %d: %+v and %+v", round, one, other)
			}
			return err
		})
	}
}

func testContactLookups(t *testing.T, open Open) {
	db := one(t, open)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i, id := range []string{"c1", "c2", "c3", "c1"} { // the second c1 changes nothing
			if err := tx.AddContactLookup(ctx, store.ContactLookup{ContactID: id, DueAt: noon(i)}); err != nil {
				return err
			}
		}
		for _, l := range []store.ContactLookup{
			{ContactID: "c2", Attempt: 1, DueAt: noon(20)},
			{ContactID: "c2", Attempt: 1, DueAt: noon(30)}, // another node was first
			{ContactID: "c9", Attempt: 1, DueAt: noon(0)},  // ended meanwhile
		} {
			if err := tx.RetryContactLookup(ctx, l); err != nil {
				return err
			}
		}
		return tx.DeleteContactLookup(ctx, "c3")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, c := range []struct {
			by, limit int
			want      []store.ContactLookup
		}{
			{19, 10, []store.ContactLookup{{ContactID: "c1", DueAt: noon(0)}}},
			{20, 10, []store.ContactLookup{{ContactID: "c1", DueAt: noon(0)}, {ContactID: "c2", Attempt: 1, DueAt: noon(20)}}},
			{20, 1, []store.ContactLookup{{ContactID: "c1", DueAt: noon(0)}}},
		} {
			if due, err := tx.DueContactLookups(ctx, noon(c.by), c.limit); err != nil || !slices.Equal(due, c.want) {
				t.Errorf("due by %d: %+v, %v", c.by, due, err)
			}
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutContact(ctx, store.Contact{ID: "c1", Name: "one"}); err != nil {
			return err
		}
		return tx.DeleteContact(ctx, "c1")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		due, err := tx.DueContactLookups(ctx, noon(60), 10)
		if len(due) != 1 || due[0].ContactID != "c2" {
			t.Errorf("due %+v", due)
		}
		return err
	})
}
