package threading

import (
	"context"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// Filled is a template with its places filled in.
type Filled struct {
	Subject string
	Text    string
	HTML    string // sanitised
}

// place is where a template takes a value: {{ticket.reference}}. There are
// neither conditions nor loops: a template runs inside the intake.
var place = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// ownPlaces are those whose value no customer can choose: an acknowledgement
// has no others, since anybody can put a word and an address on a mail.
var ownPlaces = []string{"ticket.number", "ticket.reference", "channel.name"}

// places are all of them.
var places = append([]string{"ticket.subject", "contact.name", "contact.email", "company.name", "agent.name"}, ownPlaces...)

// CheckTemplate says what is wrong with a template: invalid with the field, for
// a place that does not exist, and where it says nothing.
func CheckTemplate(t store.Template) error {
	if strings.TrimSpace(t.Text) == "" && strings.TrimSpace(t.HTML) == "" {
		return store.Invalid("text", "a template needs text or html")
	}
	return eachPlace(t, func(field, name string) error {
		if !slices.Contains(places, name) {
			return store.Invalid(field, "there is no place {{%s}}; there are %s", message.CleanLine(name), strings.Join(places, ", "))
		}
		return nil
	})
}

// CheckAcknowledgement says whether a template may be an acknowledgement: it
// repeats no word that the submitter could have chosen (RFC 3834, 3.1.5).
func CheckAcknowledgement(t store.Template) error {
	return eachPlace(t, func(field, name string) error {
		if !slices.Contains(ownPlaces, name) {
			return store.Invalid(field, "an acknowledgement repeats no word of its reader: {{%s}} can't stand in it", message.CleanLine(name))
		}
		return nil
	})
}

// eachPlace calls check for the places of a template, with the field where each
// stands.
func eachPlace(t store.Template, check func(field, name string) error) error {
	for _, part := range []struct{ field, text string }{{"subject", t.Subject}, {"text", t.Text}, {"html", t.HTML}} {
		for _, found := range place.FindAllStringSubmatch(part.text, -1) {
			if err := check(part.field, found[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// FillTemplate fills a template in for an answer that the agent writes on a
// ticket which he sees. Errors: not_found, also for a template that the
// ticket's channel does not offer.
func (s *Service) FillTemplate(ctx context.Context, agent *store.Agent, number int64, id string) (Filled, error) {
	var filled Filled
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := s.newWork(ctx, tx)
		if err != nil {
			return err
		}
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		template := w.desk.Template(id)
		if template == nil || !template.Offered(t.ChannelID) {
			return store.Errorf(store.CodeNotFound, "there is no such template")
		}
		values, err := w.values(ctx, t, agent)
		if err != nil {
			return err
		}
		filled = fill(*template, values)
		return nil
	})
	return filled, err
}

// values gives what stands in the places of a template for a ticket.
func (w *work) values(ctx context.Context, t store.Ticket, agent *store.Agent) (map[string]string, error) {
	v := w.ownValues(t)
	v["ticket.subject"], v["agent.name"] = t.Subject, agent.Name
	contact, err := w.tx.Contact(ctx, t.ContactID)
	if hard(err) != nil {
		return nil, err
	}
	v["contact.name"] = contact.Name
	if len(contact.Emails) > 0 {
		v["contact.email"] = contact.Emails[0].Address
	}
	company, err := w.tx.Company(ctx, t.CompanyID)
	v["company.name"] = company.Name
	return v, hard(err)
}

// ownValues gives the values of the places that no customer chooses.
func (w *work) ownValues(t store.Ticket) map[string]string {
	return map[string]string{
		"ticket.number": strconv.FormatInt(t.Number, 10), "ticket.reference": w.s.Reference(t.Number),
		"channel.name": w.channelName(t.ChannelID),
	}
}

// fill puts values into the places; what has no value is left out. A template
// of one form alone gets the other one from it.
func fill(t store.Template, values map[string]string) Filled {
	put := func(text string, escape func(string) string) string {
		return place.ReplaceAllStringFunc(text, func(found string) string {
			return escape(values[place.FindStringSubmatch(found)[1]])
		})
	}
	plain := func(s string) string { return s }
	f := Filled{
		Subject: message.CleanLine(put(t.Subject, plain)), Text: put(t.Text, plain),
		HTML: message.SanitizeHTML(put(t.HTML, html.EscapeString)),
	}
	if strings.TrimSpace(f.Text) == "" {
		f.Text = message.TextFromHTML(f.HTML)
	}
	if f.HTML == "" {
		f.HTML = "<div>" + htmlLines(f.Text) + "</div>"
	}
	return f
}
