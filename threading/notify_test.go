package threading

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func TestNobodyIsToldOfWhatHeDid(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	before := len(d.told(r.Ticket))
	d.answer(r.Ticket, "hello")
	if got := d.told(r.Ticket)[before:]; len(got) != 0 {
		t.Errorf("told %v of Anna's own answer", got)
	}
	if _, err := d.AddActivity(d.ctx, d.ivo, r.Ticket, NewActivity{Type: store.TypeNote, Text: "note"}); err != nil {
		t.Fatal(err)
	}
	if got := d.told(r.Ticket)[before:]; !slices.Equal(got, []string{"anna@test.example"}) {
		t.Errorf("told %v of Ivo's note, want the standard subscriber", got)
	}
}

func TestNotificationCarriesTagAndToken(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: "Carla <carla@ext.example>", subject: "Printer", body: "It burns"})
	rows, mails := d.deliveries(r.Ticket, store.MailNotification)
	if len(mails) != 1 {
		t.Fatalf("%d notifications", len(mails))
	}
	m := mails[0]
	if m.Subject != "[T#10001] Printer" || m.AutoSubmitted != "auto-generated" || !strings.Contains(m.Text, "It burns") || !strings.Contains(m.Text, "http://desk.test.example/tickets/10001") {
		t.Errorf("notification %+v", m)
	}
	if id, ok := d.tokens.inMessageID(m.MessageID); !ok || id != r.ActivityID {
		t.Errorf("its token names %q, want the activity it tells of", id)
	}
	if rows[0].ReturnPath == "" {
		t.Error("a bounce of it would come back to nobody")
	}
}

func ack(c *store.Channel) { c.Acknowledge.Enabled = true }

func TestAcknowledgementQuotesNothing(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	r := d.deliver(letter{from: "Offer XYZZY <carla@ext.example>", subject: "XYZZY", body: "XYZZY", verdict: store.Verified})
	rows, mails := d.deliveries(r.Ticket, store.MailAck)
	if len(mails) != 1 {
		t.Fatalf("%d acknowledgements, want one", len(mails))
	}
	m := mails[0]
	for _, text := range []string{m.Subject, m.Text, m.HTML, m.To[0].Name} {
		if strings.Contains(text, "XYZZY") {
			t.Errorf("it quotes the submitter: %q", text)
		}
	}
	if rows[0].ReturnPath != "" || m.AutoSubmitted != "auto-replied" || !strings.Contains(m.Subject, "[T#10001]") {
		t.Errorf("mail %+v, return path %q", m, rows[0].ReturnPath)
	}
}

func TestWhoIsNotAcknowledged(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	d.account.Aliases, d.account.AliasKeys = []string{"help@test.example"}, []string{"help@test.example"}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
	for name, l := range map[string]letter{
		"T02 unverified":                  {from: "a@ext.example", verdict: store.Unverified},
		"T02 failed":                      {from: "b@ext.example", verdict: store.Failed},
		"T23 auto-submitted":              {from: "c@ext.example", header: "Auto-Submitted: auto-generated\r\n"},
		"T23 a list":                      {from: "d@ext.example", header: "List-Id: <l.ext.example>\r\n"},
		"T23 null sender":                 {from: "e@ext.example", envelope: "-"},
		"T24 an agent":                    {from: "anna@test.example"},
		"T24 our own address":             {from: "support@test.example"},
		"T24 our own with an extension":   {from: "support+x@test.example"},
		"T24 an alias":                    {from: "HELP@test.example"},
		"T19 T20 two authors":             {from: "f@ext.example, g@ext.example"},
		"T17 nobody":                      {from: ""},
		"T17 what can't be read":          {from: "<<>"},
		"T18 a line break in the address": {from: "=?utf-8?q?x=0D=0A?=@ext.example"},
	} {
		t.Run(name, func(t *testing.T) {
			l.subject = "x"
			if l.verdict == "" {
				l.verdict = store.Verified
			}
			r := d.deliver(l)
			if _, mails := d.deliveries(r.Ticket, store.MailAck); len(mails) != 0 {
				t.Error("acknowledged")
			}
		})
	}
}

// T26: fifty mails in a minute from an address that nobody knows.
func TestT26OneAcknowledgementForAnUnknownAddress(t *testing.T) {
	d := newDesk(t)
	d.setChannel(ack)
	sent := 0
	for range 50 {
		d.now = d.now.Add(time.Second)
		r := d.deliver(letter{from: "new@ext.example", subject: "x", verdict: store.Verified})
		_, mails := d.deliveries(r.Ticket, store.MailAck)
		sent += len(mails)
	}
	if sent != 1 {
		t.Errorf("an unknown address got %d acknowledgements in a day, want 1", sent)
	}
}

func bounceMail(d *desk, to, returned, recipient string) Incoming {
	raw := strings.Join([]string{
		"From: MAILER-DAEMON@mx.ext.example", "To: " + to, "Subject: Undelivered Mail Returned to Sender", "Auto-Submitted: auto-replied",
		"MIME-Version: 1.0", `Content-Type: multipart/report; report-type=delivery-status; boundary=b`, "",
		"--b", "Content-Type: text/plain", "", "It could not be delivered.", "",
		"--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.ext.example", "",
		"Final-Recipient: rfc822; " + recipient, "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no such user", "",
		"--b", "Content-Type: text/rfc822-headers", "", "Message-ID: <" + returned + ">", "Subject: x", "", "--b--", "",
	}, "\r\n")
	return Incoming{Raw: []byte(raw), Message: message.Parse([]byte(raw)), Recipients: []string{to}, DeliveryID: store.NewID(), ReceivedAt: d.now, Auth: store.Auth{Verdict: store.Unverified}}
}

// Q23: a bounce lands on the activity that bounced, by our tokens alone.
func TestQ23BounceLandsOnItsActivity(t *testing.T) {
	for name, by := range map[string]func(row store.Delivery) (to, returned string){
		"return path": func(row store.Delivery) (string, string) { return row.ReturnPath, "x@y" },
		"returned id": func(row store.Delivery) (string, string) { return "support@test.example", row.MessageID },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := d.open()
			d.answer(r.Ticket, "hello")
			rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
			to, returned := by(rows[0])
			got := d.take(bounceMail(d, to, returned, "carla@ext.example"))[0]
			if got.Outcome != OutcomeBounce || got.Ticket != r.Ticket {
				t.Fatalf("got %+v", got)
			}
			rows, _ = d.deliveries(r.Ticket, store.MailAnswer)
			if rows[0].State != store.Failure || !rows[0].Bounced || rows[0].LastCode != 550 {
				t.Errorf("ledger %+v", rows[0])
			}
			view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
			if err != nil || !view.Contact.Undeliverable || d.status(r.Ticket) != statusAnswered {
				t.Errorf("contact %+v, status %s, %v", view.Contact, d.status(r.Ticket), err)
			}
		})
	}
}

// T03: a forged report changes nothing.
func TestT03ForgedBounceWaitsInTheQuarantine(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	d.answer(r.Ticket, "hello")
	if got := d.take(bounceMail(d, "support@test.example", "forged@test.example", "carla@ext.example"))[0]; got.Outcome != OutcomeQuarantine {
		t.Errorf("got %+v", got)
	}
	rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
	if rows[0].State != store.Queued {
		t.Errorf("ledger %+v", rows[0])
	}
}

func TestAFailureIsWrittenAndTold(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	if _, err := d.TakeOwnership(d.ctx, d.ivo, r.Ticket); err != nil {
		t.Fatal(err)
	}
	d.answer(r.Ticket, "hello")
	rows, _ := d.deliveries(r.Ticket, store.MailAnswer)
	before := len(d.told(r.Ticket))
	row := rows[0]
	row.State = store.Failure
	o := store.Outcome{State: store.Failure, Attempt: &store.Attempt{At: d.now.Add(time.Second), Code: 550, Enhanced: "5.1.1", Text: "no such user"}}
	d.update(func(ctx context.Context, tx *store.Tx) error { return d.DeliveryOutcome(ctx, tx, row, o) })
	list := d.activities(r.Ticket)
	if last := list[len(list)-1]; !strings.Contains(last.Comment, "no such user") || last.Author.Kind != store.AuthorSystem {
		t.Errorf("history %+v", last)
	}
	if got := d.told(r.Ticket)[before:]; !slices.Equal(got, []string{"ivo@test.example", "anna@test.example"}) {
		t.Errorf("told %v, want the owner and the subscriber", got)
	}
}

func TestABreachIsNoWarning(t *testing.T) {
	for step, want := range map[string]string{
		stepRespondWarning: "time runs out", stepResolveWarning: "time runs out", stepRespondBreach: "time is over", stepResolveBreach: "time is over",
	} {
		if got := headline(string(eventWarned), store.Activity{ActivityDetail: store.ActivityDetail{OriginalEvent: step}}); got != want {
			t.Errorf("%s is told as %q", step, got)
		}
	}
}
