package threading

import (
	"context"
	"slices"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
	"ticketgate/threading/rules"
)

// Bounds of the facts; what is more is left out.
const (
	maxRuleValue   = 2 << 10 // octets of a header field
	maxRuleList    = 200     // addresses, attachments, signatures
	maxRuleParents = 10      // companies above a company
)

// ruleMoment is now on the desk's clock.
func (w *work) ruleMoment() rules.Moment {
	now := w.now.In(w.s.opt.Timezone)
	return rules.Moment{
		Now: now, Date: now.Format(time.DateOnly), Weekday: strings.ToLower(now.Weekday().String()),
		Hour: int64(now.Hour()), Minute: int64(now.Minute()), Calendar: w.calendarNamed,
	}
}

// calendarNamed gives a calendar as conditions count by it. Where a service level
// would take one that can't be read for open day and night, a rule does not look.
func (w *work) calendarNamed(name string) rules.Hours {
	if c := w.desk.CalendarByName(name); c != nil {
		if read := w.s.calendarsOf(w.desk).byID[c.ID]; read != nil {
			return read
		}
	}
	return nil
}

// ruleTicket writes a ticket as conditions see it, in place: an earlier rule may
// have changed it.
func (w *work) ruleTicket(into *rules.Ticket, t store.Ticket) {
	*into = rules.Ticket{
		Number: t.Number, Kind: string(t.Kind), Subject: t.Subject, Channel: w.channelName(t.ChannelID), Status: w.statusName(t.StatusID),
		Responsibility: w.desk.Responsibility(t.ChannelID, t.StatusID), Closed: !t.ClosedAt.IsZero(), Priority: string(t.Priority),
		Marker: w.markerName(t.MarkerID), Tags: t.Tags, Owner: w.agentKey(t.OwnerID), Responsible: w.agentKey(t.ResponsibleID),
		New: into.New, Fields: into.Fields, Waiting: t.SuggestedTicket != 0,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, LastIncomingAt: t.LastIncomingAt, LastOutgoingAt: t.LastOutgoingAt, StatusAt: t.StatusAt,
		SinceCreated: w.minutesSince(t.CreatedAt), SinceIncoming: w.minutesSince(t.LastIncomingAt), SinceOutgoing: w.minutesSince(t.LastOutgoingAt),
		SinceActivity: w.minutesSince(t.UpdatedAt), InStatus: w.minutesSince(t.StatusAt),
	}
}

// minutesSince gives whole minutes; -1 where there was nothing yet.
func (w *work) minutesSince(at time.Time) int64 {
	if at.IsZero() {
		return -1
	}
	return max(0, int64(w.now.Sub(at)/time.Minute))
}

func (w *work) agentKey(id string) string {
	if a := w.desk.Agent(id); a != nil {
		return a.Key
	}
	return ""
}

// ruleContact writes a contact as conditions see it.
func ruleContact(c store.Contact) *rules.Contact {
	f := &rules.Contact{ID: c.ID, Name: c.Name, Provisional: c.Provisional, Known: c.ID != "" && !c.Provisional}
	for _, e := range c.Emails {
		f.Addresses = append(f.Addresses, e.Key)
	}
	return f
}

// ruleCompany reads a company with those above it.
func (w *work) ruleCompany(ctx context.Context, id string) (*rules.Company, error) {
	f := &rules.Company{}
	company, err := w.tx.Company(ctx, id)
	if err != nil {
		return f, hard(err)
	}
	f.ID, f.Name, f.Domains = company.ID, company.Name, company.Domains
	for range maxRuleParents {
		if company.ParentID == "" {
			break
		}
		if company, err = w.tx.Company(ctx, company.ParentID); err != nil {
			return f, hard(err)
		}
		f.Parents = append(f.Parents, company.Name)
	}
	return f, nil
}

// ruleFields reads the custom fields of a ticket, by key.
func (w *work) ruleFields(ctx context.Context, number int64) (map[string]string, error) {
	byKey := map[string]string{}
	if number == 0 {
		return byKey, nil
	}
	all, err := w.tx.FieldValues(ctx, number)
	for id, value := range all[number] {
		if f := w.desk.CustomField(id); f != nil {
			byKey[f.Key] = value
		}
	}
	return byKey, err
}

// ruleActivity writes an entry of the history as conditions see it.
func ruleActivity(a store.Activity) *rules.Activity {
	f := &rules.Activity{
		Type: string(a.Type), Medium: string(a.Medium), Sender: a.Sender, AuthorKind: a.Author.Kind, Author: addressKey(a.Author.Address),
		Subject: a.Subject, Text: shortened(a.Text, rules.MaxText), Automatic: a.Automatic,
	}
	for _, c := range a.Changes {
		f.Changes = append(f.Changes, rules.Change{Field: c.Field, From: c.From, To: c.To})
	}
	return f
}

// addressKey gives the comparison form of an address, or "".
func addressKey(typed string) string {
	a, err := message.ParseAddress(typed)
	if err != nil {
		return ""
	}
	return a.Key()
}

func addressKeys(list []message.Address) []string {
	var keys []string
	for _, a := range list {
		if a.Valid() && len(keys) < maxRuleList {
			keys = append(keys, a.Key())
		}
	}
	return keys
}

// ruleMessage writes a mail as conditions see it. The header is read only where a
// rule looks at it.
func (f *filing) ruleMessage(list []*rule) *rules.Message {
	m := f.Message
	out := &rules.Message{
		EnvelopeFrom: addressKey(f.From), ReplyTo: addressKeys(m.ReplyTo), To: addressKeys(m.To), Cc: addressKeys(m.Cc),
		Subject: shortened(m.Subject, rules.MaxText), Text: shortened(m.Text, rules.MaxText), ReplyText: shortened(m.ReplyText, rules.MaxText),
		HTML: shortened(m.HTML, rules.MaxText), Size: int64(len(f.Raw)), Verdict: string(f.Auth.Verdict),
		DMARC:     rules.DMARC{Result: f.Auth.DMARC.Result, Policy: f.Auth.DMARC.Policy, Domain: f.Auth.DMARC.Domain},
		Automatic: m.Automatic.Kind,
	}
	if f.sole {
		out.From, out.FromName, out.FromDomain = f.author.Key(), f.author.Name, message.DomainKey(f.author.Domain)
	}
	for _, to := range f.Recipients {
		if key := addressKey(to); key != "" && len(out.EnvelopeTo) < maxRuleList {
			out.EnvelopeTo = append(out.EnvelopeTo, key)
		}
	}
	for _, a := range m.Attachments[:min(len(m.Attachments), maxRuleList)] {
		out.Attachments = append(out.Attachments, rules.Attachment{Name: a.Name, Type: a.Type, Size: int64(a.Size)})
	}
	for _, s := range f.Auth.DKIM[:min(len(f.Auth.DKIM), maxRuleList)] {
		out.DKIM = append(out.DKIM, rules.Signature{Domain: s.Domain, Selector: s.Selector, Result: s.Result})
	}
	if uses(list, "header") || uses(list, "headers") {
		out.Headers = headerValues(m.Header.Fields, func(string) bool { return true })
	}
	if uses(list, "trusted") || uses(list, "trusted_headers") {
		out.Trusted = headerValues(f.s.ownFields(m.Header.Fields), f.s.trustedHeader)
	}
	return out
}

// headerValues gives the decoded values of the fields that are wanted, by name in
// lower case.
func headerValues(fields []message.Field, wanted func(name string) bool) map[string][]string {
	values := make(map[string][]string, len(fields))
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		if wanted(name) {
			values[name] = append(values[name], shortened(message.DecodeHeader(shortened(fields[i].Value, 2*maxRuleValue)), maxRuleValue))
		}
	}
	return values
}

// trustedHeader tells whether a field is one that our own filters write.
func (s *Service) trustedHeader(name string) bool {
	return slices.ContainsFunc(s.opt.TrustedHeaders, func(n string) bool { return strings.EqualFold(n, name) })
}

// ownFields gives the fields that our own servers wrote: those above the last of
// the Received fields that they add to every mail (RFC 5321, 4.4: each server
// puts its own on top). Whatever the sender wrote lies below the first of them.
func (s *Service) ownFields(fields []message.Field) []message.Field {
	hops := max(1, s.opt.TrustedHops)
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, "Received") {
			continue
		}
		if hops--; hops == 0 {
			return fields[:i]
		}
	}
	return nil // it did not come by our servers
}

// shortened cuts a text to most octets, between letters.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
