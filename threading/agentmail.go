package threading

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// What an agent says to us on the first line of a mail.
const (
	noteDirective = "#note" // keep it as a note
	fromDirective = "#from" // it is the mail of the customer whose address follows
)

// directive takes a directive off the first line of a text, and gives what
// stood behind it on that line.
func directive(text, name string) (value, rest string, ok bool) {
	trimmed := strings.TrimLeftFunc(text, unicode.IsSpace)
	first, rest, _ := strings.Cut(trimmed, "\n")
	first = strings.TrimSpace(first)
	if len(first) < len(name) || !strings.EqualFold(first[:len(name)], name) {
		return "", text, false
	}
	value = first[len(name):]
	if value != "" && value[0] != ':' && value[0] != ' ' && value[0] != '\t' {
		return "", text, false // another word that begins like it
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(value), ":")), strings.TrimLeft(rest, "\r\n"), true
}

// fromAgent files an agent's mail to a ticket that he sees. His word to what
// the customer wrote, or to an answer, goes on to the customer as if he had
// written it at the desk; everything else is a note. kept tells that the
// activity is stored already, as a stranger's.
func (f *filing) fromAgent(ctx context.Context, d Decision, t *store.Ticket, a *store.Activity, kept bool) error {
	agent := f.agent()
	a.Sender, a.CreatedBy, a.External = store.SenderAgent, agent.ID, false
	a.Author = store.Author{Kind: store.AuthorAgent, ID: agent.ID, Name: agent.Name, Address: f.author.String()}
	if words, ok := message.ReplyAbove(f.Message.Text, replyMark); ok {
		a.ReplyText = words
	}
	_, rest, note := directive(a.ReplyText, noteDirective)
	if note {
		a.ReplyText = rest
		_, a.Text, _ = directive(a.Text, noteDirective)
	}
	answers, ok, err := f.answersCustomer(ctx, d, *t, a.ID)
	if err != nil {
		return err
	}
	if !ok || note {
		return f.noteOfAgent(ctx, t, a, kept)
	}
	sent := *a
	err = f.sendOn(ctx, agent, answers, t, &sent, kept)
	switch store.CodeOf(err) {
	case store.CodeInvalid, store.CodeConflict, store.CodeTooLarge:
		a.Comment = "It was not sent on: " + err.Error()
		if err := f.tellAgent(ctx, agent.ID, t.Number, a.ID, "not_sent", a.Comment); err != nil {
			return err
		}
		return f.noteOfAgent(ctx, t, a, kept)
	case "":
		*a = sent
	}
	return err
}

// answersCustomer tells whether an agent's mail answers the customer's mail or
// an answer of ours, as told by the token of the notification, and gives the
// activity that it answers; "" is the customer's newest.
func (f *filing) answersCustomer(ctx context.Context, d Decision, t store.Ticket, self string) (answers string, ok bool, err error) {
	if f.Message.Automatic.Is || d.Told == "" || !d.By.token() || f.filedBefore(self) || !f.trusts("message-id") {
		return "", false, nil
	}
	if reached, err := f.reachesCustomers(ctx, t.Number); err != nil || reached {
		return "", false, err // they have it from the agent himself
	}
	named, err := f.tx.Activity(ctx, d.Told)
	switch {
	case store.IsNotFound(err):
		return "", false, nil
	case err != nil || !goesOut(t, named) || named.Ticket != t.Number:
		return "", false, err
	case named.Type == store.TypeIncoming:
		return named.ID, true, nil
	}
	return "", true, nil
}

// reachesCustomers tells whether the mail went to somebody of the ticket's
// conversation as well.
func (f *filing) reachesCustomers(ctx context.Context, ticket int64) (bool, error) {
	people, err := f.tx.Participants(ctx, ticket)
	return slices.ContainsFunc(people, func(p store.Participant) bool {
		is := func(a message.Address) bool { return a.Key() == p.Key }
		return slices.ContainsFunc(f.Message.To, is) || slices.ContainsFunc(f.Message.Cc, is)
	}), err
}

// filedBefore tells whether another mail with the same Message-ID was here
// before: what is sent to the customer is sent once.
func (f *filing) filedBefore(self string) bool {
	return slices.ContainsFunc(f.refs, func(r store.MessageRef) bool {
		return r.MessageID == f.Message.MessageID && r.Kind == store.RefTheirs && r.ActivityID < self
	})
}

// tellAuthor tells an agent what became of a mail in his name that did not act
// as his. A mail whose DNS look-up failed is told of when it is known whose it is.
func (f *filing) tellAuthor(ctx context.Context, a store.Activity) error {
	agent := f.inName()
	if agent == nil || !agent.Active || f.behalf != nil || a.Type != store.TypeIncoming || a.Sender == store.SenderAgent && !f.misnamed {
		return nil
	}
	reference := f.s.Reference(a.Ticket)
	switch {
	case f.misnamed:
		return f.tellAgent(ctx, agent.ID, a.Ticket, a.ID, "no_customer", "What stands behind #from is no customer's address: the mail is your own, in "+reference+".")
	case f.Auth.Verdict == store.AuthError || f.Auth.Verdict == store.Verified && a.Sender != store.SenderStranger:
		return nil
	case f.Auth.Verdict == store.Verified:
		return f.tellAgent(ctx, agent.ID, a.Ticket, a.ID, "no_access", "Your mail acts as a stranger's in "+reference+
			" and changed nothing: you do not see the ticket, or no signature covers what names it.")
	}
	return f.tellAgent(ctx, agent.ID, a.Ticket, a.ID, "not_verified", "A mail in your name could not be verified. It acts as nobody's, in "+reference+".")
}

// noteOfAgent keeps an agent's mail as a note.
func (f *filing) noteOfAgent(ctx context.Context, t *store.Ticket, a *store.Activity, kept bool) error {
	a.Type = store.TypeNote
	if t.Kind == store.KindInternal {
		a.Medium = store.MediumInternal
	}
	e := event{kind: eventActivity, actor: a.CreatedBy}
	if err := f.mention(ctx, *t, *a, &e); err != nil {
		return err
	}
	if !kept {
		return f.write(ctx, t, a, e)
	}
	if err := f.tx.UpdateActivity(ctx, *a); err != nil {
		return err
	}
	if err := f.tx.UpdateTicket(ctx, *t); err != nil {
		return err
	}
	e.kind = eventRoles // the others were told when it came
	return f.notify(ctx, *t, *a, e)
}

// sendOn sends an agent's mail to the customer: what he newly wrote and the
// files, from the ticket's account, without his own address.
func (f *filing) sendOn(ctx context.Context, agent *store.Agent, answers string, t *store.Ticket, a *store.Activity, kept bool) error {
	account, err := sendingAccount(f.desk, "", f.desk.Channel(t.ChannelID), t.AccountID)
	if err != nil {
		return err
	}
	body := f.agentsWords(a.ReplyText, account)
	if body.empty() {
		return store.Invalid("text", "there is nothing newly written in it")
	}
	a.Type, a.Subject, a.Text, a.HTML, a.ReplyText = store.TypeOutgoing, "", body.text, "", body.text
	a.MessageID, a.ReplyTo, a.ReplyDiffers, a.NameMarked, a.MixedScript = "", nil, false, false, false
	e := &entry{
		work: f.work, agent: agent, t: t, body: body, kept: kept,
		n: NewActivity{Type: store.TypeOutgoing, Medium: store.MediumEmail, AccountID: account.ID, Answers: answers},
	}
	if err := e.file(ctx, a); err != nil {
		return err
	}
	if f.Message.MessageID == "" || kept {
		return nil
	}
	return f.tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: f.Message.MessageID, ActivityID: a.ID, Ticket: t.Number, Kind: store.RefTheirs}})
}

// agentsWords gives what an agent newly wrote, with the account's address in
// the place of his own, and the files but for the signature of the mail itself.
func (f *filing) agentsWords(words string, account *store.MailAccount) content {
	c := content{
		text:  strings.TrimSpace(withAddress(words, f.author.String(), account.Address)),
		blobs: append(slices.Clone(f.parts), f.raw),
	}
	for i, part := range f.Message.Attachments {
		if strings.HasSuffix(part.Type, "-signature") {
			continue
		}
		c.size += int64(part.Size)
		c.files = append(c.files, store.Attachment{
			ID: store.NewID(), Position: i, Name: part.Name, Type: part.Type, Size: int64(part.Size), Hash: f.parts[i].Hash,
		})
	}
	return c
}

// withAddress puts one address in the place of another, wherever that stands by
// itself and is no part of a longer one.
func withAddress(text, private, public string) string {
	at := regexp.MustCompile(`(?i)(^|[^\pL\pN.!#$%&'*+/=?^_{|}~-])` + regexp.QuoteMeta(private) + `($|[^\pL\pN.@-]|[.-]+($|[^\pL\pN.@-]))`)
	for range 2 { // two that share the character between them
		text = at.ReplaceAllString(text, "${1}"+strings.ReplaceAll(public, "$", "$$")+"${2}")
	}
	return text
}

// forCustomer reads the directive by which an agent files the mail of a
// customer: from here on the mail is the customer's.
func (f *filing) forCustomer() {
	agent := f.agent()
	if agent == nil || f.Message.Automatic.Is || f.addressee() == AddresseeOthers {
		return
	}
	value, text, ok := directive(f.Message.Text, fromDirective)
	if !ok {
		return
	}
	customer, ok := f.customer(value)
	if f.misnamed = !ok; f.misnamed {
		return
	}
	mail, parsed := *f.delivered, *f.Message
	parsed.Subject = f.s.keys.bareSubject(parsed.Subject)
	parsed.Text, parsed.ReplyText, parsed.HTML = text, text, withoutDirective(parsed.HTML)
	parsed.From, parsed.ReplyTo, parsed.To, parsed.Cc = []message.Address{customer}, nil, nil, nil
	mail.Message, mail.author, mail.sole = &parsed, customer, true
	f.delivered, f.behalf = &mail, agent
}

// customer reads the address behind the directive. An address of our own, or
// an agent's, is no customer's.
func (f *filing) customer(value string) (message.Address, bool) {
	list := message.ParseAddressList(value)
	if len(list) != 1 || !list[0].Valid() {
		return message.Address{}, false
	}
	c := list[0]
	return c, !f.ours(c) && f.desk.AgentByKey(c.Key()) == nil
}

// directiveInHTML is the directive with the rest of its line.
var directiveInHTML = regexp.MustCompile(`(?is)#from\b.*?(?:<br|</?(?:p|div|td|tr|li|blockquote|h[1-6]|pre|table)\b|\n|$)`)

// withoutDirective takes the directive out of the HTML, once.
func withoutDirective(rich string) string {
	at := directiveInHTML.FindStringIndex(rich)
	if at == nil {
		return rich
	}
	line := rich[at[0]:at[1]]
	end := strings.LastIndexByte(line, '<') // of the tag that ends the line
	if end < 0 {
		end = len(line)
	}
	return rich[:at[0]] + line[end:] + rich[at[1]:]
}
