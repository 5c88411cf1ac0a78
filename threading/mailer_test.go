package threading

import (
	"context"
	"testing"

	"ticketgate/store"
)

// formMail is what a shop's form sends.
func formMail(change func(*letter)) letter {
	l := letter{
		from: "Shop <form@shop.example>", subject: "Order 7", verdict: store.Verified, body: "Where is it?",
		header: "Reply-To: Nora New <nora@new.example>\r\nAuto-Submitted: auto-generated\r\n",
	}
	if change != nil {
		change(&l)
	}
	return l
}

func (d *desk) trustForm(customer string) {
	d.account.TrustedSenders = []store.TrustedSender{{Address: "Form@Shop.example", Customer: customer}}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, d.account) })
}

func TestATrustedFormNamesTheCustomer(t *testing.T) {
	d := newDesk(t)
	d.trustForm(store.CustomerReplyTo)
	d.setChannel(ack)
	r := d.deliver(formMail(nil))
	a := d.last(r.Ticket)
	if a.Author.Kind != store.AuthorContact || a.Author.Address != "nora@new.example" || a.Automatic != "" || !a.External {
		t.Errorf("%+v", a)
	}
	if acks, _ := d.deliveries(r.Ticket, store.MailAck); len(acks) != 0 {
		t.Error("an address that somebody typed gets mail")
	}
	if sent := d.answer(r.Ticket, "Soon."); sent.To[0].Address != "nora@new.example" {
		t.Errorf("the answer goes to %+v", sent.To)
	}
	if more := d.deliver(letter{from: "nora@new.example", subject: "[T#10001] thanks"}); more.Ticket != r.Ticket {
		t.Errorf("her own mail: %+v", more)
	}
}

func TestWhatIsNoTrustedForm(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*letter)
		customer string
		trusts   func(string) bool
	}{
		"not verified":         {change: func(l *letter) { l.verdict = store.Unverified }},
		"another address":      {change: func(l *letter) { l.from = "other@shop.example" }},
		"trusted for its From": {customer: store.CustomerFrom},
		"two in Reply-To":      {change: func(l *letter) { l.header = "Reply-To: a@x.example, b@x.example\r\n" }},
		"none in Reply-To":     {change: func(l *letter) { l.header = "" }},
		"an agent's":           {change: func(l *letter) { l.header = "Reply-To: anna@test.example\r\n" }},
		"our own":              {change: func(l *letter) { l.header = "Reply-To: support@test.example\r\n" }},
		"Reply-To not signed":  {trusts: func(field string) bool { return field != "reply-to" }},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			if c.customer == "" {
				c.customer = store.CustomerReplyTo
			}
			d.trustForm(c.customer)
			l := formMail(c.change)
			in := d.incoming(l)
			in.Trusts = c.trusts
			r := d.take(in)[0]
			if a := d.last(r.Ticket); a.Author.Address != in.From {
				t.Errorf("author %+v, want the mailer %s", a.Author, in.From)
			}
		})
	}
}
