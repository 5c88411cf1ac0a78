package threading

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/sqlite"
	"ticketgate/threading/message"
)

// desk is a whole desk on a real SQLite: a channel, an account, people.
type desk struct {
	*Service
	t       *testing.T
	ctx     context.Context
	dir     string // of its database, or
	url     string // its PostgreSQL
	now     time.Time
	channel store.Channel
	account store.MailAccount
	admin   *store.Agent
	anna    *store.Agent // standard subscriber
	ivo     *store.Agent // informal subscriber
	otto    *store.Agent // sees nothing
	queued  []store.Due
	mails   int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "desk.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &desk{t: t, ctx: ctx, dir: dir, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	d.Service, err = New(Options{
		DB: db, Secrets: []string{"secret"}, Hostname: "mx.test.example", PublicURL: "http://desk.test.example",
		Now:    func() time.Time { return d.now },
		Queued: func(_ context.Context, due []store.Due) { d.queued = append(d.queued, due...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, created, err := d.Setup(ctx, "admin@test.example"); err != nil || !created {
		t.Fatalf("setup: %v, created %v", err, created)
	}
	d.people()
	return d
}

func (d *desk) people() {
	snapshot := d.desk()
	d.channel = snapshot.Channels[0]
	d.admin = &snapshot.Agents[0]
	d.account = store.MailAccount{
		ID: store.NewID(), Name: "Support", Type: store.AccountTicket, Address: "support@test.example", Key: "support@test.example",
		DefaultChannelID: d.channel.ID, Active: true, PlusAddressing: true, CreatedAt: d.now, Sign: true,
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
	d.anna = d.agent("Anna", store.SubscriptionStandard)
	d.ivo = d.agent("Ivo", store.SubscriptionInformal)
	d.otto = d.agent("Otto", "")
}

func (d *desk) agent(name, subscription string) *store.Agent {
	key := strings.ToLower(name) + "@test.example"
	a := store.Agent{ID: store.NewID(), Name: name, Email: key, Key: key, Role: store.RoleAgent, Active: true}
	d.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutAgent(ctx, a); err != nil || subscription == "" {
			return err
		}
		return tx.PutSubscription(ctx, store.Subscription{ChannelID: d.channel.ID, AgentID: a.ID, Type: subscription})
	})
	return &a
}

func (d *desk) update(fn func(ctx context.Context, tx *store.Tx) error) {
	d.t.Helper()
	if err := d.db.Update(d.ctx, fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) view(fn func(ctx context.Context, tx *store.Tx) error) {
	d.t.Helper()
	if err := d.db.View(d.ctx, fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) desk() *store.Desk {
	d.t.Helper()
	snapshot, err := d.db.Desk(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return snapshot
}

// setChannel changes the channel.
func (d *desk) setChannel(change func(*store.Channel)) {
	change(&d.channel)
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutChannel(ctx, d.channel) })
}

// letter is a mail to be delivered; fields of the zero value are left out.
type letter struct {
	from, subject, body string
	header              string // more fields, each with CRLF
	id                  string // Message-ID without brackets; "" makes one, "-" leaves it out
	to                  []string
	envelope            string // "-" is the null sender
	verdict             store.Verdict
}

func (d *desk) incoming(l letter) Incoming {
	d.mails++
	switch l.id {
	case "":
		l.id = fmt.Sprintf("m%d@ext.example", d.mails)
		fallthrough
	default:
		l.header += "Message-ID: <" + l.id + ">\r\n"
	case "-":
	}
	if l.body == "" {
		l.body = "Hello"
	}
	if len(l.to) == 0 {
		l.to = []string{d.account.Address}
	}
	if l.verdict == "" {
		l.verdict = store.Unverified
	}
	raw := []byte("From: " + l.from + "\r\nTo: " + l.to[0] + "\r\nSubject: " + l.subject + "\r\n" + l.header + "\r\n" + l.body + "\r\n")
	m := message.Parse(raw)
	sender, _ := m.Author()
	in := Incoming{
		Raw: raw, Message: m, From: sender.String(), Recipients: l.to, DeliveryID: store.NewID(), ReceivedAt: d.now,
		Auth: store.Auth{Verdict: l.verdict}, AlignedDKIM: l.verdict == store.Verified,
	}
	if l.envelope == "-" {
		in.From = ""
	}
	return in
}

// deliver takes a mail for one recipient and wants it taken.
func (d *desk) deliver(l letter) Result {
	d.t.Helper()
	return d.take(d.incoming(l))[0]
}

func (d *desk) take(in Incoming) []Result {
	d.t.Helper()
	results := d.Take(d.ctx, in)
	for _, r := range results {
		if r.Err != nil {
			d.t.Fatalf("take: %v", r.Err)
		}
	}
	return results
}

// open opens a ticket by a mail of the customer.
func (d *desk) open() Result {
	d.t.Helper()
	r := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "Printer"})
	if r.Outcome != OutcomeNew {
		d.t.Fatalf("a first mail: %+v", r)
	}
	return r
}

func (d *desk) ticket(number int64) store.Ticket {
	d.t.Helper()
	var ticket store.Ticket
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		ticket, err = tx.Ticket(ctx, number)
		return err
	})
	return ticket
}

func (d *desk) status(number int64) string {
	d.t.Helper()
	if s := d.desk().Status(d.ticket(number).StatusID); s != nil {
		return s.Name
	}
	return ""
}

func (d *desk) close(number int64) {
	d.t.Helper()
	id := d.statusID(statusClosed)
	if _, err := d.PatchTicket(d.ctx, d.admin, number, TicketPatch{StatusID: &id}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) statusID(name string) string {
	for _, s := range d.desk().Statuses {
		if s.Name == name {
			return s.ID
		}
	}
	d.t.Fatalf("no status %s", name)
	return ""
}

func (d *desk) activities(number int64) []store.Activity {
	d.t.Helper()
	var list []store.Activity
	d.view(func(ctx context.Context, tx *store.Tx) (err error) {
		list, _, err = tx.Activities(ctx, number, "", 200)
		return err
	})
	return list
}

// deliveries gives the ledger's rows of a kind of mail about a ticket, oldest
// first, with their mails.
func (d *desk) deliveries(number int64, kind store.MailKind) (rows []store.Delivery, mails []store.Mail) {
	d.t.Helper()
	d.view(func(ctx context.Context, tx *store.Tx) error {
		all, _, err := tx.Deliveries(ctx, store.DeliveryFilter{Ticket: number, Limit: 200})
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b store.Delivery) int { return strings.Compare(a.ID, b.ID) })
		for _, row := range all {
			if row.Kind != kind {
				continue
			}
			m, err := tx.Mail(ctx, row.MailID)
			if err != nil {
				return err
			}
			rows, mails = append(rows, row), append(mails, m)
		}
		return nil
	})
	return rows, mails
}

func (d *desk) told(number int64) []string {
	d.t.Helper()
	rows, _ := d.deliveries(number, store.MailNotification)
	var list []string
	for _, r := range rows {
		list = append(list, r.Recipient)
	}
	return list
}

func (d *desk) answer(number int64, text string) store.Activity {
	d.t.Helper()
	a, err := d.AddActivity(d.ctx, d.anna, number, NewActivity{Type: store.TypeOutgoing, Text: text})
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func parse(raw string) *message.Message { return message.Parse([]byte(raw)) }
