package storetest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"ticketgate/store"
)

func emails(keys ...string) []store.ContactEmail {
	var all []store.ContactEmail
	for _, key := range keys {
		all = append(all, store.ContactEmail{Address: "A+" + key, Key: key})
	}
	return all
}

func testContacts(t *testing.T, open Open) {
	db := one(t, open)
	maria := store.Contact{ID: "c1", Name: "María Müller", Emails: emails("maria@a.example", "mm@a.example"), Phones: []string{"+49 30 1234567"},
		CompanyID: "firm", ExternalID: "E-1", Provisional: true, CreatedAt: noon(0), UpdatedAt: noon(1), SyncedAt: noon(2)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, maria) })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutContact(ctx, store.Contact{ID: "c2", Name: "Bob 100%", Emails: emails("bob@b.example"), Phones: []string{"(0555) 765-4321"}})
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutCompany(ctx, store.Company{ID: "firm", Name: "Müller GmbH"})
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, get := range []func() (store.Contact, error){
			func() (store.Contact, error) { return tx.Contact(ctx, "c1") },
			func() (store.Contact, error) { return tx.ContactByKey(ctx, "mm@a.example") },
		} {
			if got, err := get(); err != nil || !reflect.DeepEqual(got, maria) {
				t.Errorf("contact %+v, %v", got, err)
			}
		}
		_, err := tx.ContactByKey(ctx, "nobody@a.example")
		wantCode(t, err, store.CodeNotFound, "")
		_, err = tx.Contact(ctx, "nobody")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutContact(ctx, store.Contact{ID: "c3", Emails: emails("mm@a.example")})
	}), store.CodeConflict, store.ReasonDuplicate)

	maria.Emails, maria.Provisional = emails("new@a.example"), false
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutContact(ctx, maria); err != nil {
			return err
		}
		return tx.MarkUndeliverable(ctx, "new@a.example", true)
	})
	for _, c := range []struct {
		filter store.ContactFilter
		want   string
	}{
		{store.ContactFilter{}, "c2 c1"},
		{store.ContactFilter{Query: "MULLER"}, "c1"},
		{store.ContactFilter{Query: "b.exa"}, "c2"},
		{store.ContactFilter{Query: "%"}, "c2"},
		{store.ContactFilter{Query: "_"}, ""},
		{store.ContactFilter{Query: `\`}, ""},
		{store.ContactFilter{Query: "30 123"}, "c1"},
		{store.ContactFilter{Query: "MULLER GMBH"}, "c1"}, // its company's
		{store.ContactFilter{Query: "0049 (30) 12"}, "c1"},
		{store.ContactFilter{Phone: "0049-30 1234567"}, "c1"},
		{store.ContactFilter{Phone: "030 / 123 45 67"}, "c1"},
		{store.ContactFilter{Phone: "+43 30 1234567"}, ""},
		{store.ContactFilter{Phone: "234567"}, ""},
		{store.ContactFilter{Phone: "+1 555 7654321"}, "c2"}, // kept without its country
		{store.ContactFilter{Phone: "none"}, ""},
		{store.ContactFilter{Provisional: new(false)}, "c2 c1"},
		{store.ContactFilter{Provisional: new(true)}, ""},
		{store.ContactFilter{Undeliverable: new(true)}, "c1"},
		{store.ContactFilter{Undeliverable: new(false)}, "c2"},
		{store.ContactFilter{CompanyID: "firm"}, "c1"},
		{store.ContactFilter{ExternalID: "E-1"}, "c1"},
		{store.ContactFilter{ExternalID: "E-2"}, ""},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, next, err := tx.Contacts(ctx, c.filter)
			got := ""
			for i, contact := range all {
				if got += contact.ID; i < len(all)-1 {
					got += " "
				}
			}
			if got != c.want || next != "" {
				t.Errorf("%+v: %q (next %q), want %q", c.filter, got, next, c.want)
			}
			return err
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		byPhone, err := tx.ContactsByPhone(ctx, "030 1234567")
		if err != nil || len(byPhone) != 1 || byPhone[0].ID != "c1" || len(byPhone[0].Emails) != 1 {
			t.Errorf("by phone %+v, %v", byPhone, err)
		}
		named, err := tx.ContactsNamed(ctx, "Bob 100%")
		if err != nil || len(named) != 1 || named[0].ID != "c2" {
			t.Errorf("by name %+v, %v", named, err)
		}
		company, err := tx.CompanyNamed(ctx, "Müller GmbH")
		if err != nil || company.ID != "firm" {
			t.Errorf("company by name %+v, %v", company, err)
		}
		_, err = tx.CompanyNamed(ctx, "müller gmbh")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ContactByKey(ctx, "new@a.example")
		if !got.Undeliverable || !got.Emails[0].Undeliverable || got.Provisional {
			t.Errorf("contact %+v", got)
		}
		_, err2 := tx.ContactByKey(ctx, "maria@a.example")
		wantCode(t, err2, store.CodeNotFound, "")
		first, next, err2 := tx.Contacts(ctx, store.ContactFilter{Limit: 1})
		if len(first) != 1 || next == "" || err2 != nil {
			t.Errorf("page %v, next %q, %v", first, next, err2)
		}
		rest, next, err2 := tx.Contacts(ctx, store.ContactFilter{Limit: 1, Cursor: next})
		if len(rest) != 1 || rest[0].ID != "c1" || next != "" || err2 != nil {
			t.Errorf("second page %v, next %q, %v", rest, next, err2)
		}
		return err
	})
	addTicket(t, db, func(ticket *store.Ticket) { ticket.ContactID = "c2" })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, "c2") }),
		store.CodeConflict, store.ReasonInUse)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, "c1") })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutContact(ctx, store.Contact{ID: "c4", Emails: emails("new@a.example")})
	})
}

// testEnsureContact lets two handles meet the same new sender at once.
func testEnsureContact(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	const callers = 16
	got := make([]store.Contact, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			err := handles[i%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				got[i], err = tx.EnsureContact(ctx, store.Contact{ID: fmt.Sprint("c", i), Name: "New",
					Emails: emails("new@a.example", fmt.Sprintf("own%d@a.example", i))})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range got {
		if got[i].ID != got[0].ID || got[i].Name != "New" || len(got[i].Emails) != 2 {
			t.Errorf("caller %d got %+v, caller 0 %+v", i, got[i], got[0])
		}
	}
	view(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
		all, _, err := tx.Contacts(ctx, store.ContactFilter{})
		if len(all) != 1 {
			t.Errorf("%d contacts, want 1", len(all))
		}
		return err
	})
	update(t, handles[0], func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.EnsureContact(ctx, store.Contact{ID: "late", Emails: emails("late@a.example", "new@a.example")})
		if c.ID != "late" || len(c.Emails) != 1 {
			t.Errorf("a contact took another one's address: %+v", c)
		}
		return err
	})
	wantCode(t, handles[0].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.EnsureContact(ctx, store.Contact{ID: "none"})
		return err
	}), store.CodeInternal, "")
}

func testCompanies(t *testing.T, open Open) {
	db := one(t, open)
	firm := store.Company{ID: "f1", Name: "Müller GmbH", Domains: []string{"mueller.example", "m.example"}, ExternalID: "X", CreatedAt: noon(0), UpdatedAt: noon(1)}
	child := store.Company{ID: "f2", Name: "Child", ParentID: "f1"}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutCompany(ctx, firm); err != nil {
			return err
		}
		return tx.PutCompany(ctx, child)
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.CompanyByDomain(ctx, "m.example"); err != nil || !reflect.DeepEqual(got, firm) {
			t.Errorf("company %+v, %v", got, err)
		}
		if byID, err := tx.CompaniesByID(ctx, "f1", "f2", "f9"); err != nil || len(byID) != 2 || !reflect.DeepEqual(byID["f1"], firm) {
			t.Errorf("by their ids: %+v, %v", byID, err)
		}
		_, err := tx.CompanyByDomain(ctx, "sub.m.example")
		wantCode(t, err, store.CodeNotFound, "")
		_, err = tx.CompanyNamedOnly(ctx, "Müller GmbH")
		wantCode(t, err, store.CodeNotFound, "")
		if got, err := tx.CompanyNamedOnly(ctx, "Child"); err != nil || got.ID != "f2" {
			t.Errorf("by name, without an id: %+v, %v", got, err)
		}
		for i, f := range []store.CompanyFilter{{Query: "muller"}, {Query: "mueller.ex"}, {ParentID: "f1"}, {ExternalID: "X"}, {Limit: 1}} {
			if all, _, err := tx.Companies(ctx, f); len(all) != 1 || err != nil {
				t.Errorf("filter %d: %v, %v", i, all, err)
			}
		}
		return nil
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutCompany(ctx, store.Company{ID: "f3", Domains: []string{"m.example"}})
	}), store.CodeConflict, store.ReasonDuplicate)
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCompany(ctx, "f1") }),
		store.CodeConflict, store.ReasonInUse)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.DeleteCompany(ctx, "f2"); err != nil {
			return err
		}
		return tx.DeleteCompany(ctx, "f1")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Company(ctx, "f1")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
}
