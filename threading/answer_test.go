package threading

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

func TestAnAnswerLeadsBack(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.Signature = "Your desk" })
	r := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "Printer", header: "Cc: eve@evil.example\r\n"})
	d.queued = nil
	a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "Try a < b", Bcc: []string{"hidden@ext.example"}})
	if err != nil {
		t.Fatal(err)
	}
	rows, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if len(rows) != 2 || rows[0].Recipient != "carla@ext.example" || rows[1].Recipient != "hidden@ext.example" {
		t.Fatalf("ledger %+v, want the author and the Bcc, and nobody from the mail's Cc", rows)
	}
	m := mails[0]
	if m.Subject != "Re: [T#10001] Printer" || a.Subject != m.Subject || len(m.To) != 1 || m.To[0].Address != "carla@ext.example" || len(m.Cc) != 0 {
		t.Errorf("mail %+v", m)
	}
	if m.InReplyTo != "m1@ext.example" || !slices.Equal(m.References, []string{"m1@ext.example"}) {
		t.Errorf("it answers %q, references %q", m.InReplyTo, m.References)
	}
	if id, ok := d.tokens.inMessageID(m.MessageID); !ok || id != a.ID || !strings.HasSuffix(m.MessageID, "@test.example") {
		t.Errorf("Message-ID %q", m.MessageID)
	}
	if !strings.Contains(m.HTML, "a &lt; b") || !strings.Contains(m.Text, "-- \nYour desk") {
		t.Errorf("text %q, html %q", m.Text, m.HTML)
	}
	for _, row := range rows {
		if !strings.HasPrefix(row.ReturnPath, "support+b-") || row.State != store.Queued {
			t.Errorf("row %+v", row)
		}
	}
	if rows[0].ReturnPath == rows[1].ReturnPath {
		t.Error("two deliveries share a return path")
	}
	if len(d.queued) != 2 {
		t.Errorf("%d entries were queued after the commit, want 2", len(d.queued))
	}
}

func TestWhereAnAnswerGoes(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		name, header, want string
	}{
		{"From", "", "carla@ext.example"},
		{"Reply-To in the same domain", "Reply-To: team@ext.example\r\n", "team@ext.example"},
		{"T07 Reply-To in another domain", "Reply-To: eve@evil.example\r\n", "carla@ext.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.t = t
			r := d.deliver(letter{from: "carla@ext.example", subject: "x", header: tt.header})
			a := d.answer(r.Ticket, "hello")
			if len(a.To) != 1 || a.To[0].Address != tt.want {
				t.Errorf("goes to %+v, want %s", a.To, tt.want)
			}
		})
	}
	nobody := d.deliver(letter{from: "", subject: "x"})
	_, err := d.AddActivity(d.ctx, d.anna, nobody.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "hello"})
	if store.ReasonOf(err) != store.ReasonNoAddress {
		t.Errorf("to nobody: %v", err)
	}
}

func TestAnswersAreRefused(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	for name, tt := range map[string]struct {
		agent *store.Agent
		n     NewActivity
		code  store.Code
	}{
		"Q26 to ourselves":       {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", To: []string{"SUPPORT+x@test.example"}}, store.CodeInvalid},
		"Q18 a line break":       {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", To: []string{"a@ext.example\r\nBcc: b@ext.example"}}, store.CodeInvalid},
		"Q18 no address":         {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", To: []string{"a b@ext.example>"}}, store.CodeInvalid},
		"Q17 in the subject":     {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", Subject: "x\r\nBcc: b@ext.example"}, store.CodeInvalid},
		"nothing in it":          {d.anna, NewActivity{Type: store.TypeOutgoing, Text: " \n"}, store.CodeInvalid},
		"a change by hand":       {d.anna, NewActivity{Type: store.TypeStatusChange, Text: "x"}, store.CodeInvalid},
		"an unknown account":     {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", AccountID: "none"}, store.CodeInvalid},
		"an unknown activity":    {d.anna, NewActivity{Type: store.TypeOutgoing, Text: "x", Answers: "none"}, store.CodeInvalid},
		"who does not see it":    {d.otto, NewActivity{Type: store.TypeNote, Text: "x"}, store.CodeNotFound},
		"recipients of a note":   {d.anna, NewActivity{Type: store.TypeNote, Text: "x", To: []string{"a@ext.example"}}, store.CodeInvalid},
		"an unknown medium":      {d.anna, NewActivity{Type: store.TypeNote, Text: "x", Medium: "fax"}, store.CodeInvalid},
		"nobody sees as owner":   {d.anna, NewActivity{Type: store.TypeNote, Text: "x", OwnerID: &d.otto.ID}, store.CodeInvalid},
		"an attachment, unnamed": {d.anna, NewActivity{Type: store.TypeNote, Text: "x", Attachments: []File{{Content: []byte("x")}}}, store.CodeInvalid},
	} {
		if _, err := d.AddActivity(d.ctx, tt.agent, r.Ticket, tt.n); store.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
	if n := d.ticket(r.Ticket).Activities; n != 1 {
		t.Errorf("%d activities after refusals", n)
	}
}

func TestAttachmentsAndImages(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{
		Type: store.TypeOutgoing, HTML: `<p onclick="x()">Look <img src="data:image/png;base64,iVBORw0KGgo="></p>`,
		Attachments: []File{{Name: "../plan.pdf", Type: "application/pdf", Content: []byte("%PDF")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, mails := d.deliveries(r.Ticket, store.MailAnswer)
	m := mails[0]
	if len(m.Parts) != 2 || !m.Parts[1].Inline || !strings.Contains(m.HTML, "cid:"+m.Parts[1].ContentID) {
		t.Errorf("parts %+v, html %q", m.Parts, m.HTML)
	}
	if strings.Contains(a.HTML, "onclick") || a.Text == "" {
		t.Errorf("kept html %q, text %q", a.HTML, a.Text)
	}
	if got := d.ticket(r.Ticket).Files; got != 2 {
		t.Errorf("%d files, want 2", got)
	}
}

func TestThreeKindsOfTickets(t *testing.T) {
	d := newDesk(t)
	mail, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindEmail, AccountID: d.account.ID, Subject: "Offer", Text: "Dear", To: []string{"Dora <dora@ext.example>"}, Cc: []string{"emil@ext.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, mails := d.deliveries(mail.Number, store.MailAnswer)
	if len(rows) != 2 || mails[0].Subject != "[T#10001] Offer" || d.status(mail.Number) != statusAnswered || mail.ContactID == "" {
		t.Errorf("email: %d rows, %+v, status %s", len(rows), mails, d.status(mail.Number))
	}
	if reply := d.deliver(letter{from: "emil@ext.example", subject: "Re: [T#10001] Offer"}); reply.Outcome != OutcomeAppend {
		t.Errorf("whom it went to answers: %+v", reply)
	}
	call, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindEnquiry, ChannelID: d.channel.ID, Subject: "Call", Text: "She asks", Contact: &NewContact{Name: "Dora", Email: "dora@ext.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if call.ContactID != mail.ContactID || d.status(call.Number) != statusNew {
		t.Errorf("enquiry %+v, want the contact that is known", call)
	}
	if first := d.activities(call.Number)[0]; first.Type != store.TypeIncoming || first.Medium != store.MediumPhone || first.CreatedBy != d.anna.ID {
		t.Errorf("first activity of a call %+v", first)
	}
	if a := d.answer(call.Number, "as promised"); a.Subject != "[T#10002] Call" || a.To[0].Address != "dora@ext.example" {
		t.Errorf("the answer to a call: %q to %+v", a.Subject, a.To)
	}
	inside, err := d.CreateTicket(d.ctx, d.otto, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Server", Text: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Ticket(d.ctx, d.otto, inside.Number); !store.IsNotFound(err) {
		t.Errorf("who filed into a channel that he is not in sees it: %v", err)
	}
}

// An internal ticket is sealed both ways.
func TestInternalTicketsAreSealed(t *testing.T) {
	d := newDesk(t)
	inside, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "Server", Text: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddActivity(d.ctx, d.anna, inside.Number, NewActivity{Type: store.TypeOutgoing, Text: "x", To: []string{"dora@ext.example"}}); store.CodeOf(err) != store.CodeInvalid {
		t.Errorf("mail goes out: %v", err)
	}
	if r := d.deliver(letter{from: "dora@ext.example", subject: "[T#10001] hello", verdict: store.Verified}); r.Outcome != OutcomeNew {
		t.Errorf("mail comes in: %+v", r)
	}
	err = d.db.Update(d.ctx, func(ctx context.Context, tx *store.Tx) error {
		m := store.Mail{ID: store.NewID(), Kind: store.MailNotification, Ticket: inside.Number, CreatedAt: d.now}
		return tx.AddMail(ctx, m, []store.Delivery{{ID: store.NewID(), MailID: m.ID, Ticket: inside.Number, Recipient: "dora@ext.example", RecipientKey: "dora@ext.example", State: store.Queued}})
	})
	if store.CodeOf(err) != store.CodeForbidden {
		t.Errorf("the ledger takes a mail to somebody outside: %v", err)
	}
}

func TestPatchTicket(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	version := d.ticket(r.Ticket).Version
	high := store.PriorityHigh
	patched, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Priority: &high, OwnerID: &d.ivo.ID, Comment: "please", IfVersion: &version})
	if err != nil || patched.OwnerID != d.ivo.ID || patched.Version == version {
		t.Fatalf("patched %+v, %v", patched, err)
	}
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Priority: &high, IfVersion: &version}); store.ReasonOf(err) != store.ReasonVersion {
		t.Errorf("from an older version: %v", err)
	}
	list := d.activities(r.Ticket)
	last := list[len(list)-1]
	if last.Type != store.TypeStatusChange || len(last.Changes) != 2 || last.Comment != "please" {
		t.Errorf("history %+v", last)
	}
	if got := d.told(r.Ticket); !slices.Contains(got, "ivo@test.example") {
		t.Errorf("told %v, want the new owner among them", got)
	}
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ResponsibleID: &d.otto.ID}); store.CodeOf(err) != store.CodeInvalid || !strings.Contains(err.Error(), "Otto") || !strings.Contains(err.Error(), "Support") {
		t.Errorf("a responsible who does not see the channel: %v", err)
	}
}

func TestMovingATicketTakesItOutOfSight(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{OwnerID: &d.anna.ID}); err != nil {
		t.Fatal(err)
	}
	other := DefaultChannel("Backend", map[string]string{statusNew: d.statusID(statusNew)})
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutChannel(ctx, other) })
	moved, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ChannelID: &other.ID})
	if err != nil || moved.OwnerID != "" {
		t.Fatalf("moved %+v, %v; want the owner, who does not see it any more, gone", moved, err)
	}
	if _, err := d.Ticket(d.ctx, d.anna, r.Ticket); !store.IsNotFound(err) {
		t.Errorf("she still sees it: %v", err)
	}
}

// An answer with a send_at waits in the ledger, and is dated when it leaves.
func TestAnswerForLater(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	at := d.now.Add(48 * time.Hour)
	a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeOutgoing, Text: "Later", SendAt: at})
	if err != nil {
		t.Fatal(err)
	}
	rows, mails := d.deliveries(r.Ticket, store.MailAnswer)
	if len(rows) != 1 || !rows[0].NextAttemptAt.Equal(at) || !rows[0].CreatedAt.Equal(at) || !mails[0].Date.Equal(at) || !a.SendAt.Equal(at) {
		t.Fatalf("%+v %+v", rows, mails)
	}
	for _, due := range d.queued {
		if due.DeliveryID == rows[0].ID && !due.DueAt.Equal(at) {
			t.Errorf("it is queued for %v", due.DueAt)
		}
	}
	claim := func(now time.Time) (claimed bool) {
		d.update(func(ctx context.Context, tx *store.Tx) error {
			_, _, ok, err := tx.ClaimDelivery(ctx, rows[0].ID, now, now.Add(time.Minute))
			claimed = ok
			return err
		})
		return claimed
	}
	if claim(at.Add(-time.Second)) {
		t.Error("it left too early")
	}
	if !claim(at) {
		t.Error("it does not leave when it should")
	}
}

// An answer that turns the status makes a new version, as the agent's own change
// would: who read the ticket before it does not overwrite it unawares. A customer's
// mail makes none.
func TestAnAnswerThatTurnsTheStatusIsAVersion(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	version := d.ticket(r.Ticket).Version
	d.answer(r.Ticket, "hello")
	id := d.statusID(statusInProgress)
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{StatusID: &id, IfVersion: &version}); store.ReasonOf(err) != store.ReasonVersion {
		t.Errorf("over the answer: %v", err)
	}
	version = d.ticket(r.Ticket).Version
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] again"})
	if now := d.ticket(r.Ticket); now.Version != version || now.StatusID != id {
		t.Errorf("after a mail it is version %d, want %d", now.Version, version)
	}
}
