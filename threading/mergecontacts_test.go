package threading

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"ticketgate/store"
)

// Two contacts become one: addresses, phones and tickets of both, and every id
// that either had leads to the one that stays.
func TestMergedContactsKeepBothHistories(t *testing.T) {
	d := newDesk(t)
	first := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "one"})
	from := d.ticket(first.Ticket).ContactID
	into := d.put(store.Contact{Name: "Carla Customer", ExternalID: "E-1", Phones: []string{"1"}, CompanyID: "firm"}, "cc@ext.example")
	second := d.deliver(letter{from: "cc@ext.example", subject: "two"})
	d.update(func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.Contact(ctx, from)
		if err != nil {
			return err
		}
		c.Phones, c.ExternalID = []string{"1", "2"}, "E-2"
		if err := tx.PutContact(ctx, c); err != nil {
			return err
		}
		return tx.MarkUndeliverable(ctx, "carla@ext.example", true)
	})
	stays, err := d.MergeContacts(d.ctx, d.otto, from, into.ID)
	if err != nil || stays.ID != into.ID || stays.Name != "Carla Customer" || stays.Provisional || !stays.Undeliverable {
		t.Fatalf("%+v, %v", stays, err)
	}
	got := d.contact(from)
	if got.ID != into.ID || keysOf(got) != "cc@ext.example carla@ext.example" || !got.Emails[1].Undeliverable || got.Emails[0].Undeliverable ||
		!slices.Equal(got.Phones, []string{"1", "2"}) || got.ExternalID != "E-1" {
		t.Errorf("%+v", got)
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		byOld, err := tx.ContactByExternalID(ctx, "E-2")
		if byOld.ID != into.ID {
			t.Errorf("the other id of the CRM leads to %+v", byOld)
		}
		return err
	})
	for _, number := range []int64{first.Ticket, second.Ticket} {
		if ticket := d.ticket(number); ticket.ContactID != into.ID || ticket.CompanyID != "firm" {
			t.Errorf("ticket %+v", ticket)
		}
	}
	author := d.activities(first.Ticket)[0].Author
	if author.ID != from || author.Address != "carla@ext.example" || d.contact(author.ID).ID != into.ID {
		t.Errorf("history was rewritten: %+v", author)
	}
	// either address now writes into either ticket
	r := d.deliver(letter{from: "cc@ext.example", subject: fmt.Sprintf("[T#%d] more", first.Ticket)})
	if r.Outcome != OutcomeAppend || r.Ticket != first.Ticket {
		t.Errorf("%+v", r)
	}
	again, err := d.MergeContacts(d.ctx, d.anna, from, into.ID)
	if err != nil || again.ID != into.ID {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	for _, c := range []struct {
		id, into string
		code     store.Code
	}{
		{into.ID, into.ID, store.CodeInvalid}, {into.ID, "nobody", store.CodeInvalid}, {"nobody", into.ID, store.CodeNotFound},
	} {
		if _, err := d.MergeContacts(d.ctx, d.anna, c.id, c.into); store.CodeOf(err) != c.code {
			t.Errorf("%s into %s: %v", c.id, c.into, err)
		}
	}
}

// A contact that a person made goes into one that a mail made: the name that
// somebody typed stays.
func TestMergeIntoAProvisionalContact(t *testing.T) {
	d := newDesk(t)
	from := d.put(store.Contact{Name: "Carla Customer", ExternalID: "E-1", CompanyID: "firm", SyncedAt: d.now}, "cc@ext.example")
	into := d.put(store.Contact{Name: "carla@ext.example", Provisional: true}, "carla@ext.example")
	c, err := d.MergeContacts(d.ctx, d.anna, from.ID, into.ID)
	if err != nil || c.Name != "Carla Customer" || c.Provisional || c.ExternalID != "E-1" || c.CompanyID != "firm" || !c.SyncedAt.Equal(d.now) {
		t.Errorf("%+v, %v", c, err)
	}
}

// What the CRM says of either id of two that are one here goes to that one, and
// doesn't rename it to and fro.
func TestTheCRMStillKnowsTwo(t *testing.T) {
	d := newDesk(t)
	other := DirectoryContact{ID: "E-2", Name: "C. Customer", Emails: mailboxes("second@ext.example", "third@ext.example")}
	crm := d.withDirectory(listedCarla(), other)
	d.deliver(letter{from: "carla@ext.example", subject: "x"})
	d.deliver(letter{from: "second@ext.example", subject: "y"})
	stays, err := d.MergeContacts(d.ctx, d.anna, d.contactAt("second@ext.example").ID, d.contactAt("carla@ext.example").ID)
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(2 * defaultRefresh)
	other.Emails = append(other.Emails, mailboxes("fourth@ext.example")...)
	crm.set(false, listedCarla(), other)
	r := d.deliver(letter{from: "second@ext.example", subject: "z"})
	got := d.contact(stays.ID)
	if d.ticket(r.Ticket).ContactID != stays.ID || got.Name != "Carla Customer" || got.ExternalID != "E-1" || len(got.Emails) != 5 || len(d.contacts()) != 1 {
		t.Errorf("%+v", d.contacts())
	}
}

// Merges that cross each other on two nodes make no loop, and mail that comes
// meanwhile is somebody's.
func TestCrossingMergesOnTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	for i := range 15 {
		a := d.put(store.Contact{Name: "A"}, fmt.Sprintf("a%d@ext.example", i))
		b := d.put(store.Contact{Name: "B"}, fmt.Sprintf("b%d@ext.example", i))
		c := d.put(store.Contact{Name: "C"}, fmt.Sprintf("c%d@ext.example", i))
		var wg sync.WaitGroup
		merge := func(s *Service, id, into string) {
			wg.Go(func() {
				if _, err := s.MergeContacts(d.ctx, d.anna, id, into); err != nil {
					t.Errorf("round %d: %v", i, err)
				}
			})
		}
		merge(d.Service, a.ID, b.ID)
		merge(other, b.ID, a.ID)
		merge(d.Service, b.ID, c.ID)
		merge(other, c.ID, a.ID)
		var r Result
		wg.Go(func() { r = other.Take(d.ctx, d.incoming(letter{from: a.Emails[0].Address, subject: "x"}))[0] })
		wg.Wait()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		stays := d.contact(a.ID)
		for _, id := range []string{b.ID, c.ID} {
			if got := d.contact(id); got.ID != stays.ID {
				t.Errorf("round %d: %s and %s", i, got.ID, stays.ID)
			}
		}
		d.view(func(ctx context.Context, tx *store.Tx) error {
			list, _, err := tx.Tickets(ctx, store.TicketFilter{ContactID: b.ID})
			if len(stays.Emails) != 3 || len(list) != 1 || list[0].Number != r.Ticket {
				t.Errorf("round %d: %+v with %d tickets", i, stays, len(list))
			}
			return err
		})
	}
}

// Two nodes that hear of one person at the same moment make one contact.
func TestTheCRMTellsTwoNodesAtOnce(t *testing.T) {
	d, other := twoNodes(t)
	crm := d.withDirectory()
	other.opt.Directory = crm
	for i := range 15 {
		one, two := fmt.Sprintf("one%d@ext.example", i), fmt.Sprintf("two%d@ext.example", i)
		crm.set(false, DirectoryContact{ID: fmt.Sprint("E-", i), Name: "P", Emails: mailboxes(one, two), Company: DirectoryCompany{ID: fmt.Sprint("F-", i), Name: "Firm"}})
		a, b := atOnce(t, d, other, d.incoming(letter{from: one, subject: "x"}), d.incoming(letter{from: two, subject: "y"}))
		here, there := d.ticket(a.Ticket), d.ticket(b.Ticket)
		if here.ContactID == "" || here.ContactID != there.ContactID || here.CompanyID == "" || here.CompanyID != there.CompanyID {
			t.Errorf("round %d: contacts %s, %s, companies %s, %s", i, here.ContactID, there.ContactID, here.CompanyID, there.CompanyID)
		}
	}
}

// One node hears of a person at the moment at which another one, whose look-up
// failed, makes a provisional contact of the same address: both mails are filed.
func TestTheCRMTellsOneNodeOfTwo(t *testing.T) {
	d, other := twoNodes(t)
	well, down := d.withDirectory(), &fakeDirectory{down: true}
	other.opt.Directory = down
	for i := range 25 {
		one, two := fmt.Sprintf("one%d@ext.example", i), fmt.Sprintf("two%d@ext.example", i)
		well.set(false, DirectoryContact{ID: fmt.Sprint("E-", i), Name: "P", Emails: mailboxes(one, two)})
		a, b := atOnce(t, d, other, d.incoming(letter{from: one, subject: "x"}), d.incoming(letter{from: two, subject: "y"}))
		if a.Outcome != OutcomeNew || b.Outcome != OutcomeNew || d.ticket(a.Ticket).ContactID == "" || d.ticket(b.Ticket).ContactID == "" {
			t.Errorf("round %d: %+v, %+v", i, a, b)
		}
	}
	d.now = well.now().Add(lookupDelay(0))
	if err := d.LookUpContacts(d.ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		first, second := d.contactAt(fmt.Sprintf("one%d@ext.example", i)), d.contactAt(fmt.Sprintf("two%d@ext.example", i))
		if i == 24 && (first.ID != second.ID || first.Provisional) { // the CRM knows only the last one by now
			t.Errorf("round %d: %+v, %+v", i, first, second)
		}
	}
}
