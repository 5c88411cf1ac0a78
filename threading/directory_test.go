package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// people of a CRM that a test keeps, and whether it answers.
type fakeDirectory struct {
	mu     sync.Mutex
	people []DirectoryContact
	down   bool
	asked  []string
	now    func() time.Time
	hook   func() // runs inside each look-up
}

func (f *fakeDirectory) look(question string, fits func(DirectoryContact) bool) ([]DirectoryContact, error) {
	if f.hook != nil {
		f.hook()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, question)
	if f.down {
		return nil, store.Errorf(store.CodeUnavailable, "the CRM is down")
	}
	var found []DirectoryContact
	for _, d := range f.people {
		if fits(d) {
			d.At = f.now()
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return nil, store.Errorf(store.CodeNotFound, "nobody")
	}
	return found, nil
}

func (f *fakeDirectory) one(question string, fits func(DirectoryContact) bool) (DirectoryContact, error) {
	found, err := f.look(question, fits)
	return append(found, DirectoryContact{})[0], err
}

func (f *fakeDirectory) ByAddress(_ context.Context, a message.Address) (DirectoryContact, error) {
	return f.one("email="+a.String(), func(d DirectoryContact) bool {
		return slices.ContainsFunc(d.Emails, func(e message.Address) bool { return e.Key() == a.Key() })
	})
}

func (f *fakeDirectory) ByPhone(_ context.Context, phone string) (DirectoryContact, error) {
	return f.one("phone="+phone, func(d DirectoryContact) bool { return slices.Contains(d.Phones, phone) })
}

func (f *fakeDirectory) ByID(_ context.Context, id string) (DirectoryContact, error) {
	return f.one("id="+id, func(d DirectoryContact) bool { return d.ID == id })
}

func (f *fakeDirectory) Search(_ context.Context, query string) ([]DirectoryContact, error) {
	return f.look("q="+query, func(d DirectoryContact) bool { return strings.Contains(strings.ToLower(d.Name), query) })
}

// set changes the CRM.
func (f *fakeDirectory) set(down bool, people ...DirectoryContact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.people = down, people
}

// questions gives what the CRM was asked since the last time.
func (f *fakeDirectory) questions() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := strings.Join(f.asked, " ")
	f.asked = nil
	return text
}

// withDirectory gives a desk a CRM.
func (d *desk) withDirectory(people ...DirectoryContact) *fakeDirectory {
	f := &fakeDirectory{people: people, now: func() time.Time { return d.now }}
	d.opt.Directory = f
	return f
}

func mailboxes(list ...string) []message.Address {
	var all []message.Address
	for _, text := range list {
		a, err := message.ParseAddress(text)
		if err != nil {
			panic(err)
		}
		all = append(all, a)
	}
	return all
}

func listedCarla() DirectoryContact {
	return DirectoryContact{
		ID: "E-1", Name: "Carla Customer", Emails: mailboxes("carla@ext.example", "cc@home.example"), Phones: []string{"+49 30 1"},
		Company: DirectoryCompany{ID: "F-1", Name: "Ext Ltd", Domains: []string{"ext.example", "gmail.com"}},
	}
}

func (d *desk) contact(id string) store.Contact {
	d.t.Helper()
	var c store.Contact
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = tx.Contact(ctx, id)
		return err
	})
	return c
}

func (d *desk) contactAt(address string) store.Contact {
	d.t.Helper()
	var c store.Contact
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = tx.ContactByKey(ctx, address)
		return err
	})
	return c
}

func (d *desk) contacts() []store.Contact {
	d.t.Helper()
	var list []store.Contact
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		list, _, err = tx.Contacts(ctx, store.ContactFilter{})
		return err
	})
	return list
}

func (d *desk) companies() []store.Company {
	d.t.Helper()
	var list []store.Company
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		list, _, err = tx.Companies(ctx, store.CompanyFilter{})
		return err
	})
	return list
}

func (d *desk) put(c store.Contact, addresses ...string) store.Contact {
	d.t.Helper()
	c.ID = store.NewID()
	for _, a := range mailboxes(addresses...) {
		c.Emails = append(c.Emails, store.ContactEmail{Address: a.String(), Key: a.Key()})
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, c) })
	return c
}

func (d *desk) lookups() []store.ContactLookup {
	d.t.Helper()
	var due []store.ContactLookup
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.DueContactLookups(ctx, d.now.Add(1000*time.Hour), 100)
		return err
	})
	return due
}

func keysOf(c store.Contact) string {
	var list []string
	for _, e := range c.Emails {
		list = append(list, e.Key)
	}
	return strings.Join(list, " ")
}

// An unknown author whom the CRM knows gets a contact and a company of the
// CRM; after that the desk knows him itself.
func TestTheCRMTellsWhoWrote(t *testing.T) {
	d := newDesk(t)
	crm := d.withDirectory(listedCarla())
	r := d.deliver(letter{from: "C <carla@ext.example>", subject: "Printer"})
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || view.Contact == nil || view.Company == nil {
		t.Fatalf("%+v, %v", view, err)
	}
	c := *view.Contact
	if c.Name != "Carla Customer" || c.ExternalID != "E-1" || c.Provisional || keysOf(c) != "carla@ext.example cc@home.example" ||
		len(c.Phones) != 1 || !c.SyncedAt.Equal(d.now) {
		t.Errorf("contact %+v", c)
	}
	if view.Company.Name != "Ext Ltd" || view.Company.ExternalID != "F-1" || !slices.Equal(view.Company.Domains, []string{"ext.example"}) {
		t.Errorf("company %+v: a public provider's domain is no company's", view.Company)
	}
	for _, from := range []string{"cc@home.example", "carla+shop@ext.example"} { // the last is the first one's with a detail
		r := d.deliver(letter{from: from, subject: "More"})
		if got := d.ticket(r.Ticket).ContactID; got != c.ID {
			t.Errorf("%s: contact %s", from, got)
		}
	}
	if got := crm.questions(); got != "email=carla@ext.example" {
		t.Errorf("asked %s", got)
	}
}

// What the desk knows by itself goes before the CRM, the CRM before a domain.
func TestWhenTheCRMIsAsked(t *testing.T) {
	d := newDesk(t)
	crm := d.withDirectory()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutCompany(ctx, store.Company{ID: store.NewID(), Name: "Firm", Domains: []string{"firm.example"}})
	})
	d.put(store.Contact{Name: "Local"}, "local@firm.example")
	d.put(store.Contact{Name: "Maybe", Provisional: true}, "maybe@firm.example")
	d.put(store.Contact{Name: "Fresh", ExternalID: "E-7", SyncedAt: d.now.Add(-23 * time.Hour)}, "fresh@firm.example")
	d.put(store.Contact{Name: "Stale", ExternalID: "E-8", SyncedAt: d.now.Add(-24 * time.Hour)}, "stale@firm.example")
	for _, c := range []struct {
		name, from, header string
		envelope           string
		want               string
	}{
		{name: "a contact of ours", from: "Local@firm.example"},
		{name: "one with a detail", from: "local+x@firm.example"},
		{name: "a provisional one", from: "maybe@firm.example", want: "email=maybe@firm.example"},
		{name: "one that the CRM told of lately", from: "fresh@firm.example"},
		{name: "one that it told of long ago", from: "stale@firm.example", want: "email=stale@firm.example"},
		{name: "nobody's", from: "new+a@firm.example", want: "email=new+a@firm.example email=new@firm.example"},
		{name: "an agent's", from: "anna@test.example"},
		{name: "an account's", from: "support@test.example"},
		{name: "two authors", from: "a@firm.example, b@firm.example"},
		{name: "no author", from: "undisclosed"},
		{name: "a report", from: "mailer-daemon@firm.example", envelope: "-", header: "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			d.deliver(letter{from: c.from, subject: "x", header: c.header, envelope: c.envelope})
			if got := crm.questions(); got != c.want {
				t.Errorf("asked %q, want %q", got, c.want)
			}
		})
	}
	d.t = t
	if c := d.contactAt("new+a@firm.example"); !c.Provisional || c.CompanyID == "" {
		t.Errorf("whom the CRM does not know: %+v", c)
	}
	if len(d.lookups()) != 0 {
		t.Error("an answered question is asked again")
	}
}

// The CRM is never asked while a transaction is open.
func TestTheCRMIsAskedBeforeTheTransaction(t *testing.T) {
	d := newDesk(t)
	crm := d.withDirectory(listedCarla())
	crm.hook = func() { // with an open transaction this would wait for ever: SQLite has one writer
		d.update(func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "probe", "x") })
	}
	d.deliver(letter{from: "carla@ext.example", subject: "x"})
	if _, err := d.Explain(d.ctx, d.incoming(letter{from: "new@ext.example", subject: "x"})); err != nil {
		t.Error(err)
	}
	if _, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindEmail, AccountID: d.account.ID, Subject: "x", Text: "x", To: []string{"cc@ext.example"}}); err != nil {
		t.Error(err)
	}
	crm.set(true)
	d.deliver(letter{from: "late@ext.example", subject: "x"})
	d.now = d.now.Add(time.Minute)
	if err := d.LookUpContacts(d.ctx); err != nil {
		t.Error(err)
	}
	if got := crm.questions(); strings.Count(got, "email=") != 5 {
		t.Errorf("asked %s", got)
	}
}

// Explain says crm, and stores nothing.
func TestExplainNamesTheCRM(t *testing.T) {
	d := newDesk(t)
	d.withDirectory(listedCarla())
	x, err := d.Explain(d.ctx, d.incoming(letter{from: "carla@ext.example", subject: "x"}))
	if err != nil || x.Contact.How != "crm" || x.Contact.ID != "" || x.Contact.Address != "carla@ext.example" {
		t.Errorf("%+v, %v", x.Contact, err)
	}
	if len(d.contacts()) != 0 || len(d.companies()) != 0 {
		t.Errorf("stored: %v %v", d.contacts(), d.companies())
	}
	d.deliver(letter{from: "carla@ext.example", subject: "x"})
	x, err = d.Explain(d.ctx, d.incoming(letter{from: "carla@ext.example", subject: "y"}))
	if err != nil || x.Contact.How != "address" || x.Contact.ID != d.contactAt("carla@ext.example").ID {
		t.Errorf("%+v, %v", x.Contact, err)
	}
}

// A failed verdict's From names a contact all the same: as a claim, with no
// more rights than before.
func TestAFailedFromIsLookedUpAsAClaim(t *testing.T) {
	d := newDesk(t)
	d.withDirectory(listedCarla())
	own := d.deliver(letter{from: "carla@ext.example", subject: "Printer", verdict: store.Verified})
	d.close(own.Ticket)
	forged := d.deliver(letter{from: "cc@home.example", subject: fmt.Sprintf("[T#%d] x", own.Ticket), verdict: store.Failed})
	if forged.Outcome != OutcomeHold || d.ticket(own.Ticket).ClosedAt.IsZero() {
		t.Errorf("%+v", forged)
	}
}

// What the CRM says later is taken over; what is known here alone stays.
func TestAnOldWordIsRefreshed(t *testing.T) {
	d := newDesk(t)
	crm := d.withDirectory(listedCarla())
	d.deliver(letter{from: "carla@ext.example", subject: "x"})
	c := d.contactAt("carla@ext.example")
	d.update(func(ctx context.Context, tx *store.Tx) error {
		c.Emails = append(c.Emails, store.ContactEmail{Address: "private@home.example", Key: "private@home.example", Undeliverable: true})
		c.Phones = append(c.Phones, "007")
		return tx.PutContact(ctx, c)
	})
	moved := listedCarla()
	moved.Name, moved.Phones, moved.Emails = "Carla Married", []string{"+49 30 2"}, mailboxes("carla@ext.example", "married@ext.example")
	moved.Company = DirectoryCompany{ID: "F-2", Name: "Next Ltd"}
	crm.set(false, moved)
	d.now = d.now.Add(25 * time.Hour)
	first := d.deliver(letter{from: "carla@ext.example", subject: "y"})
	got := d.contact(c.ID)
	if got.Name != "Carla Married" || keysOf(got) != "carla@ext.example married@ext.example cc@home.example private@home.example" ||
		!got.Emails[3].Undeliverable || !slices.Equal(got.Phones, []string{"+49 30 2", "+49 30 1", "007"}) || !got.SyncedAt.Equal(d.now) {
		t.Errorf("%+v", got)
	}
	if len(d.contacts()) != 1 || len(d.companies()) != 2 || d.ticket(first.Ticket).CompanyID != got.CompanyID || d.ticket(10001).CompanyID == got.CompanyID {
		t.Errorf("an old ticket stays with the old company: %+v %+v", d.contacts(), d.companies())
	}
	crm.set(true)
	d.now = d.now.Add(25 * time.Hour)
	d.deliver(letter{from: "carla@ext.example", subject: "z"})
	if after := d.contact(c.ID); after.Name != "Carla Married" || after.Provisional || len(d.lookups()) != 0 {
		t.Errorf("a CRM that fails takes nothing back: %+v", after)
	}
}

// Whom an answer means: the contact of that id, else one with an address; a
// provisional contact of an address goes into it, another one keeps it.
func TestWhomAnAnswerMeans(t *testing.T) {
	t.Run("a contact with the id", func(t *testing.T) {
		d := newDesk(t)
		d.withDirectory(listedCarla())
		c := d.put(store.Contact{Name: "Old", ExternalID: "E-1"}, "old@ext.example")
		r := d.deliver(letter{from: "carla@ext.example", subject: "x"})
		if d.ticket(r.Ticket).ContactID != c.ID || keysOf(d.contact(c.ID)) != "carla@ext.example cc@home.example old@ext.example" {
			t.Errorf("%+v", d.contacts())
		}
	})
	t.Run("a contact that a person made", func(t *testing.T) {
		d := newDesk(t)
		d.withDirectory(listedCarla())
		d.put(store.Contact{Name: "Mail", Provisional: true}, "carla@ext.example")
		c := d.put(store.Contact{Name: "Typed"}, "cc@home.example")
		r := d.deliver(letter{from: "carla@ext.example", subject: "x"})
		got := d.contact(c.ID)
		if d.ticket(r.Ticket).ContactID != c.ID || got.ExternalID != "E-1" || got.Name != "Carla Customer" || len(d.contacts()) != 1 {
			t.Errorf("%+v", d.contacts())
		}
	})
	t.Run("provisional ones go into it", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory()
		a := d.deliver(letter{from: "carla@ext.example", subject: "x"})
		b := d.deliver(letter{from: "cc@home.example", subject: "y"})
		was := d.ticket(b.Ticket).ContactID
		crm.set(false, listedCarla())
		c := d.deliver(letter{from: "carla@ext.example", subject: "z"})
		id := d.ticket(c.Ticket).ContactID
		company := d.contact(id).CompanyID
		for _, number := range []int64{a.Ticket, b.Ticket, c.Ticket} {
			if got := d.ticket(number); got.ContactID != id || got.CompanyID != company || company == "" {
				t.Errorf("ticket %d is %s's", number, got.ContactID)
			}
		}
		if len(d.contacts()) != 1 || d.contact(was).ID != id {
			t.Errorf("%+v", d.contacts())
		}
	})
	t.Run("another contact keeps its address", func(t *testing.T) {
		d := newDesk(t)
		d.withDirectory(listedCarla())
		other := d.put(store.Contact{Name: "Other", ExternalID: "E-9", SyncedAt: d.now}, "cc@home.example")
		d.deliver(letter{from: "carla@ext.example", subject: "x"})
		if d.contactAt("cc@home.example").ID != other.ID || keysOf(d.contactAt("carla@ext.example")) != "carla@ext.example" {
			t.Errorf("%+v", d.contacts())
		}
	})
	t.Run("a known address stays with its contact", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory(listedCarla())
		other := d.put(store.Contact{Name: "Other", ExternalID: "E-9"}, "carla@ext.example")
		for range 2 {
			r := d.deliver(letter{from: "carla@ext.example", subject: "x"})
			if d.ticket(r.Ticket).ContactID != other.ID || d.contact(other.ID).Name != "Other" {
				t.Errorf("%+v", d.contacts())
			}
		}
		if got := crm.questions(); got != "email=carla@ext.example" {
			t.Errorf("asked %s", got)
		}
	})
	t.Run("the company of a domain, and one without an id", func(t *testing.T) {
		d := newDesk(t)
		carla := listedCarla()
		carla.Company = DirectoryCompany{Name: "Somebody Ltd"}
		bob := DirectoryContact{ID: "E-2", Emails: mailboxes("bob@else.example"), Company: DirectoryCompany{Name: "Somebody Ltd"}}
		known := DirectoryContact{ID: "E-3", Emails: mailboxes("k@firm.example"), Company: DirectoryCompany{ID: "F-3", Name: "The Firm", Domains: []string{"firm.example"}}}
		d.withDirectory(carla, bob, known)
		d.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.PutCompany(ctx, store.Company{ID: "firm", Name: "Firm", Domains: []string{"firm.example"}})
		})
		for _, from := range []string{"carla@ext.example", "bob@else.example", "k@firm.example"} {
			d.deliver(letter{from: from, subject: "x"})
		}
		if a, b := d.contactAt("carla@ext.example"), d.contactAt("bob@else.example"); a.CompanyID == "" || a.CompanyID != b.CompanyID || b.Name != "bob@else.example" {
			t.Errorf("%+v %+v", a, b)
		}
		if c := d.contactAt("k@firm.example"); c.CompanyID != "firm" || len(d.companies()) != 2 {
			t.Errorf("%+v in %+v", c, d.companies())
		}
	})
}

// While the CRM fails the mail is taken; later it is asked again, and the
// contact becomes the CRM's with all its tickets.
func TestALaterLookUpResolves(t *testing.T) {
	d := newDesk(t)
	crm := d.withDirectory(listedCarla())
	crm.set(true, listedCarla())
	r := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "x"})
	d.deliver(letter{from: "Carla <carla@ext.example>", subject: "y"})
	c := d.contactAt("carla@ext.example")
	if !c.Provisional || d.ticket(r.Ticket).ContactID != c.ID || len(d.lookups()) != 1 {
		t.Fatalf("%+v, look-ups %v", c, d.lookups())
	}
	crm.questions()
	var at []time.Duration
	start := d.now
	for len(d.lookups()) > 0 && len(at) < 20 {
		at = append(at, d.lookups()[0].DueAt.Sub(start))
		d.now = d.lookups()[0].DueAt.Add(-time.Second)
		if err := d.LookUpContacts(d.ctx); err != nil || crm.questions() != "" {
			t.Fatalf("asked before it is due, %v", err)
		}
		d.now = d.now.Add(time.Second)
		if err := d.LookUpContacts(d.ctx); err != nil {
			t.Fatal(err)
		}
		if got := crm.questions(); got != "email=carla@ext.example" {
			t.Fatalf("asked %q", got)
		}
	}
	if len(at) != 12 || at[0] != 20*time.Second || at[1] != 80*time.Second || at[2] != 380*time.Second || at[11] > 7*24*time.Hour || at[11] < 6*24*time.Hour {
		t.Errorf("look-ups after %v", at)
	}
	d.deliver(letter{from: "carla@ext.example", subject: "again"}) // begins anew
	crm.set(false, listedCarla())
	d.now = d.now.Add(time.Minute)
	if err := d.LookUpContacts(d.ctx); err != nil {
		t.Fatal(err)
	}
	got := d.contact(c.ID)
	if got.ID != c.ID || got.Provisional || got.ExternalID != "E-1" || len(d.lookups()) != 0 {
		t.Errorf("%+v", got)
	}
	if ticket := d.ticket(r.Ticket); ticket.ContactID != c.ID || ticket.CompanyID != got.CompanyID || got.CompanyID == "" {
		t.Errorf("ticket %+v", ticket)
	}
	if got := d.activities(r.Ticket)[0].Author.ID; d.contact(got).ExternalID != "E-1" {
		t.Errorf("the activity's author %s", got)
	}
}

func TestALaterLookUpMergesOrEnds(t *testing.T) {
	t.Run("into the contact of that id", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory()
		crm.set(true)
		r := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "x"})
		was := d.ticket(r.Ticket).ContactID
		c := d.put(store.Contact{Name: "Carla", ExternalID: "E-1", SyncedAt: d.now}, "old@ext.example")
		crm.set(false, listedCarla())
		d.now = d.now.Add(time.Minute)
		if err := d.LookUpContacts(d.ctx); err != nil {
			t.Fatal(err)
		}
		if d.ticket(r.Ticket).ContactID != c.ID || d.contact(was).ID != c.ID || len(d.contacts()) != 1 || len(d.lookups()) != 0 {
			t.Errorf("%+v", d.contacts())
		}
	})
	t.Run("nobody", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory()
		crm.set(true)
		d.deliver(letter{from: "Carla <carla@ext.example>", subject: "x"})
		crm.set(false)
		d.now = d.now.Add(time.Minute)
		if err := d.LookUpContacts(d.ctx); err != nil || len(d.lookups()) != 0 || !d.contactAt("carla@ext.example").Provisional {
			t.Errorf("%v, %v", err, d.lookups())
		}
	})
	t.Run("a person was faster", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory()
		crm.set(true)
		d.deliver(letter{from: "Carla <carla@ext.example>", subject: "x"})
		c := d.contactAt("carla@ext.example")
		c.Provisional, c.Name = false, "By hand"
		d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, c) })
		crm.questions()
		d.now = d.now.Add(time.Minute)
		if err := d.LookUpContacts(d.ctx); err != nil || len(d.lookups()) != 0 || crm.questions() != "" || d.contact(c.ID).Name != "By hand" {
			t.Errorf("%v, %+v", err, d.contact(c.ID))
		}
	})
	t.Run("a daemon that ends counts no attempt", func(t *testing.T) {
		d := newDesk(t)
		crm := d.withDirectory()
		crm.set(true)
		d.deliver(letter{from: "Carla <carla@ext.example>", subject: "x"})
		d.now = d.now.Add(time.Minute)
		ending, end := context.WithCancel(d.ctx)
		crm.hook = end
		if err := d.LookUpContacts(ending); err == nil || d.lookups()[0].Attempt != 0 {
			t.Errorf("%v, %v", err, d.lookups())
		}
	})
}

// An enquiry takes its contact from the CRM: by id, by address, by phone.
func TestAnEnquiryAsksTheCRM(t *testing.T) {
	enquiry := func(d *desk, n NewContact) (store.Ticket, error) {
		return d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindEnquiry, ChannelID: d.channel.ID, Subject: "call", Contact: &n})
	}
	for _, c := range []struct {
		named NewContact
		want  string
	}{
		{NewContact{ExternalID: "E-1"}, "id=E-1"},
		{NewContact{Email: "carla@ext.example", Name: "Whoever"}, "email=carla@ext.example"},
		{NewContact{Phone: "+49 30 1"}, "phone=+49 30 1"},
	} {
		t.Run(c.want, func(t *testing.T) {
			d := newDesk(t)
			crm := d.withDirectory(listedCarla())
			ticket, err := enquiry(d, c.named)
			if err != nil || d.contact(ticket.ContactID).ExternalID != "E-1" || ticket.CompanyID == "" || crm.questions() != c.want {
				t.Fatalf("%+v, %v", ticket, err)
			}
			again, err := enquiry(d, c.named)
			if err != nil || again.ContactID != ticket.ContactID || len(d.contacts()) != 1 {
				t.Errorf("%+v, %v", d.contacts(), err)
			}
		})
		t.Run(c.want+" while it fails", func(t *testing.T) {
			d := newDesk(t)
			crm := d.withDirectory(listedCarla())
			crm.set(true, listedCarla())
			ticket, err := enquiry(d, c.named)
			if err != nil || !d.contact(ticket.ContactID).Provisional {
				t.Fatalf("%+v, %v", ticket, err)
			}
			crm.set(false, listedCarla())
			d.now = d.now.Add(time.Minute)
			if err := d.LookUpContacts(d.ctx); err != nil {
				t.Fatal(err)
			}
			if got := d.contact(d.ticket(ticket.Number).ContactID); got.ExternalID != "E-1" || got.Provisional || got.Name != "Carla Customer" {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("an id that nobody knows", func(t *testing.T) {
		d := newDesk(t)
		d.withDirectory(listedCarla())
		if _, err := enquiry(d, NewContact{ExternalID: "E-5"}); store.CodeOf(err) != store.CodeInvalid {
			t.Error(err)
		}
		ticket, err := enquiry(d, NewContact{ExternalID: "E-5", Name: "Eve"})
		if err != nil || d.contact(ticket.ContactID).ExternalID != "E-5" {
			t.Errorf("%+v, %v", ticket, err)
		}
	})
	t.Run("a new email ticket", func(t *testing.T) {
		d := newDesk(t)
		d.withDirectory(listedCarla())
		ticket, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindEmail, AccountID: d.account.ID, Subject: "x", Text: "x", To: []string{"Carla <carla@ext.example>"}})
		if err != nil || d.contact(ticket.ContactID).ExternalID != "E-1" {
			t.Errorf("%+v, %v", ticket, err)
		}
	})
}

func TestSearchShowsWhomOnlyTheCRMHas(t *testing.T) {
	d := newDesk(t)
	if found := d.SearchDirectory(d.ctx, "car"); found != nil {
		t.Errorf("without a CRM: %v", found)
	}
	byAddress := DirectoryContact{ID: "E-2", Name: "Carl", Emails: mailboxes("carl@ext.example")}
	crm := d.withDirectory(listedCarla(), byAddress, DirectoryContact{ID: "E-3", Name: "Carmen"})
	d.put(store.Contact{Name: "x", ExternalID: "E-1"})
	d.put(store.Contact{Name: "y"}, "carl@ext.example")
	if found := d.SearchDirectory(d.ctx, "car"); len(found) != 1 || found[0].ID != "E-3" {
		t.Errorf("%+v", found)
	}
	crm.set(true)
	if found := d.SearchDirectory(d.ctx, "car"); found != nil {
		t.Errorf("%+v", found)
	}
}

// What the CRM said of the From is not said of another address that turns out
// to be the customer's inside the transaction: that one is asked for later.
func TestAWordIsAboutOneAddress(t *testing.T) {
	d := newDesk(t)
	d.withDirectory(listedCarla(), DirectoryContact{ID: "E-2", Name: "Dora", Emails: mailboxes("dora@ext.example")})
	said := d.askOfAddress(d.ctx, mailboxes("carla@ext.example")[0])
	dora := mailboxes("dora@ext.example")[0]
	err := d.do(d.ctx, func(ctx context.Context, w *work) error {
		p, err := w.identify(ctx, dora, said)
		if err != nil || p.contact.ID != "" {
			t.Errorf("%+v, %v", p, err)
		}
		_, err = w.ensure(ctx, dora, p, said)
		return err
	})
	if err != nil || len(d.lookups()) != 1 {
		t.Fatalf("%v, look-ups %v", err, d.lookups())
	}
	d.now = d.now.Add(time.Minute)
	if err := d.LookUpContacts(d.ctx); err != nil || d.contactAt("dora@ext.example").ExternalID != "E-2" {
		t.Errorf("%v, %+v", err, d.contactAt("dora@ext.example"))
	}
}
