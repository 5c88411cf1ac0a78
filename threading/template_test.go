package threading

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ticketgate/store"
)

func TestCheckTemplate(t *testing.T) {
	for _, c := range []struct {
		name, field string
		template    store.Template
	}{
		{"plain text", "", store.Template{Text: "Hello"}},
		{"html alone", "", store.Template{HTML: "<p>Hello {{contact.name}}</p>"}},
		{"spaces in a place", "", store.Template{Text: "{{ ticket.reference }}"}},
		{"braces that are none", "", store.Template{Text: "{ticket.reference} and {{"}},
		{"nothing in it", "text", store.Template{Subject: "x", Text: " \n"}},
		{"an unknown place", "text", store.Template{Text: "{{contact.password}}"}},
		{"an unknown place in the subject", "subject", store.Template{Subject: "{{x}}", Text: "t"}},
		{"no program", "html", store.Template{HTML: "{{range 10}}"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantField(t, CheckTemplate(c.template), c.field) })
	}
}

// RFC 3834, 3.1.5: what the sender of a mail could have chosen is not repeated
// to the address that he put on it.
func TestCheckAcknowledgement(t *testing.T) {
	for text, field := range map[string]string{
		"{{ticket.reference}} {{ticket.number}} {{channel.name}}": "",
		"{{ticket.subject}}": "text", "{{contact.name}}": "text", "{{contact.email}}": "text",
		"{{company.name}}": "text", "{{agent.name}}": "text",
	} {
		wantField(t, CheckAcknowledgement(store.Template{Text: text}), field)
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	got := ""
	if e, ok := errors.AsType[*store.Error](err); ok {
		got = e.Field
	}
	if got != field || (err == nil) != (field == "") {
		t.Errorf("refused is %q (%v), want %q", got, err, field)
	}
}

func TestFillTemplate(t *testing.T) {
	d := newDesk(t)
	r := d.deliver(letter{from: `"Carla <b>C</b>" <carla@customer.example>`, subject: "The printer", verdict: store.Verified})
	template := store.Template{
		ID: "t", Name: "Hello", Subject: "{{ticket.subject}}", Text: "Dear {{contact.name}}, {{company.name}}{{ticket.reference}} {{agent.name}}",
		HTML: `<p onclick="x">Dear {{contact.name}} at {{contact.email}}</p>`,
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutTemplate(ctx, template) })
	filled, err := d.FillTemplate(d.ctx, d.anna, r.Ticket, "t")
	if err != nil {
		t.Fatal(err)
	}
	if filled.Subject != "The printer" || !strings.HasPrefix(filled.Text, "Dear Carla") || !strings.HasSuffix(filled.Text, "T#10001 Anna") {
		t.Errorf("%+v", filled)
	}
	if strings.Contains(filled.HTML, "onclick") || strings.Contains(filled.HTML, "<b>") || !strings.Contains(filled.HTML, "carla@customer.example") {
		t.Errorf("the HTML is not safe, or not filled: %s", filled.HTML)
	}
	if _, err := d.FillTemplate(d.ctx, d.otto, r.Ticket, "t"); !store.IsNotFound(err) {
		t.Errorf("an outsider: %v", err)
	}
	template.ChannelIDs = []string{"another"}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutTemplate(ctx, template) })
	if _, err := d.FillTemplate(d.ctx, d.anna, r.Ticket, "t"); !store.IsNotFound(err) {
		t.Errorf("a template of another channel: %v", err)
	}
}

func TestChannelAcknowledgesWithItsTemplate(t *testing.T) {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutTemplate(ctx, store.Template{ID: "t", Name: "Ack", Subject: "Thank you", HTML: "<p>It is {{ticket.reference}} in {{channel.name}}.</p>"})
	})
	d.setChannel(func(c *store.Channel) { c.Acknowledge = store.Acknowledge{Enabled: true, TemplateID: "t"} })
	d.deliver(letter{from: "carla@customer.example", subject: "secret words", verdict: store.Verified})
	_, mails := d.deliveries(10001, store.MailAck)
	if len(mails) != 1 {
		t.Fatalf("%d acknowledgements", len(mails))
	}
	m := mails[0]
	if m.Subject != "[T#10001] Thank you" || !strings.Contains(m.HTML, "<p>It is T#10001 in Support.</p>") || strings.TrimSpace(m.Text) != "It is T#10001 in Support." {
		t.Errorf("%q %q %q", m.Subject, m.HTML, m.Text)
	}
}
