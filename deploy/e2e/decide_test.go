package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/gateway/lmtp"
)

// The domains of the senders, by the verdict that their mail gets.
var verdictDomains = map[string]string{
	"verified":   "ext.example",    // signed; refuses what is not
	"unverified": "plain.example",  // publishes nothing
	"failed":     "ext.example",    // not signed
	"error":      "broken.example", // its DNS fails
}

// TestDecideThroughLMTP sends the rows of threading's decision table that are
// marked e2e through LMTP: real signatures, a real DNS server, the built program.
func TestDecideThroughLMTP(t *testing.T) {
	table, err := os.ReadFile("../../threading/testdata/decide.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := newCustomer(t)
	c.dns.Fail("_dmarc.broken.example")
	n := newNode(t, "DNS_RESOLVER="+c.dns.Addr())
	rows := 0
	for line := range strings.Lines(string(table)) {
		row, ok := strings.CutPrefix(strings.TrimSpace(line), "e2e ")
		if !ok {
			continue
		}
		rows++
		given, want, _ := strings.Cut(row, " -> ")
		t.Run(strings.Join(strings.Fields(given), " "), func(t *testing.T) {
			s := newScene(t, n, c, rows, given)
			s.prepare()
			s.send()
			if got := s.outcome(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	if rows < 40 {
		t.Errorf("only %d rows", rows)
	}
}

// scene is one row with a channel and an account of its own.
type scene struct {
	t       *testing.T
	n       *node
	c       *customer
	number  int
	tier    string
	verdict string
	machine bool
	kind    string            // of the signal; "" for none
	facts   map[string]string // of the signal; "missing" among them

	domain  string // of the sender
	sender  string // his address
	account string // our address
	channel string // id
	ticket  int64
	closed  bool
	first   string // Message-ID of the mail that opened the ticket
	answer  string // Message-ID of ours
	last    string // Message-ID of the mail under test
}

func newScene(t *testing.T, n *node, c *customer, number int, given string) *scene {
	s := &scene{t: t, n: n, c: c, number: number, facts: map[string]string{}}
	sender, signal, _ := strings.Cut(given, " | ")
	words := strings.Fields(sender)
	s.tier, s.verdict, s.machine = words[0], words[1], len(words) == 3
	for i, word := range strings.Fields(signal) {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			s.kind = word
		case i > 1 || name == "missing":
			s.facts[name] = value
		}
	}
	s.domain = fmt.Sprintf("r%d.%s", number, verdictDomains[s.verdict])
	s.sender = fmt.Sprintf("sender@%s", s.domain)
	s.account = fmt.Sprintf("desk%d@tickets.example", number)
	if s.verdict == "error" {
		c.dns.Fail("_dmarc." + s.domain)
	}
	return s
}

// has tells whether the row names a fact.
func (s *scene) has(fact string) bool { _, ok := s.facts[fact]; return ok }

// prepare makes the channel, the account, the sender's standing and the ticket.
func (s *scene) prepare() {
	s.t.Helper()
	channel := map[string]any{"name": fmt.Sprint("Row ", s.number)}
	for fact, field := range map[string]string{"policy": "stranger_followup", "scope": "followup_scope", "new_subject": "new_subject"} {
		if s.has(fact) {
			channel[field] = s.facts[fact]
		}
	}
	if s.has("reopen") {
		channel["reopen_days"] = map[string]int{"0": 0, "7": 7}[s.facts["reopen"]]
	}
	s.channel = s.make("/channels", channel)
	s.make("/mail-accounts", map[string]any{
		"name": "Desk", "type": "ticket", "address": s.account, "default_channel_id": s.channel, "plus_addressing": true,
	})
	switch s.tier {
	case "agent", "unsubscribed", "former":
		id := s.make("/agents", map[string]any{"name": "Agent", "email": s.sender, "role": "agent"})
		if s.tier != "unsubscribed" {
			s.make("/channels/"+s.channel+"/subscriptions", map[string]any{"agent_id": id, "type": "informal"})
		}
		if s.tier == "former" {
			s.n.call("PATCH", "/agents/"+id, map[string]any{"active": false}, nil)
		}
	case "colleague":
		s.make("/companies", map[string]any{"name": fmt.Sprint("Company ", s.number), "domains": []string{s.domain}})
	}
	if s.kind != "" && !s.has("missing") {
		s.open()
	}
}

// make POSTs a thing and gives its id.
func (s *scene) make(path string, body any) string {
	s.t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	s.n.call("POST", path, body, &made)
	return made.ID
}

// open makes the ticket that the mail will name.
func (s *scene) open() {
	s.t.Helper()
	if s.has("internal") {
		var t ticket
		s.n.call("POST", "/tickets", map[string]any{"kind": "internal", "channel_id": s.channel, "subject": "Printer", "text": "x"}, &t)
		s.ticket = t.Number
		return
	}
	opener := map[string]string{"contact": s.sender, "colleague": "boss@" + s.domain}[s.tier]
	if opener == "" {
		opener = fmt.Sprintf("owner@r%d.other.example", s.number)
	}
	s.first = fmt.Sprintf("first%d@x.example", s.number)
	header := fmt.Sprintf("References: <root%d@x.example>\r\n", s.number)
	s.deliver(opener, s.account, s.mail(opener, "Printer", s.first, header))
	s.ticket = single(s.t, all[ticket](s.n, "/tickets?channel_id="+s.channel)).Number
	var a activity
	answer := map[string]any{"type": "outgoing", "text": "Use water."}
	if s.tier == "trusted" {
		answer["cc"] = []string{s.sender}
	}
	s.n.call("POST", fmt.Sprintf("/tickets/%d/activities", s.ticket), answer, &a)
	s.answer = a.MessageID
	if s.has("closed") {
		s.close()
	}
}

func (s *scene) close() {
	s.t.Helper()
	for _, status := range all[struct{ ID, Name string }](s.n, "/statuses") {
		if status.Name == "Successfully closed" {
			s.n.call("PATCH", fmt.Sprintf("/tickets/%d", s.ticket), map[string]any{"status_id": status.ID}, nil)
			s.closed = true
		}
	}
}

// mail writes a mail of the sender, signed where his verdict wants that.
func (s *scene) mail(from, subject, id, header string) string {
	s.t.Helper()
	if s.tier == "nobody" && from == s.sender {
		from += ", other@" + s.domain
	}
	text := strings.Replace(plain(from, subject, id, header, "Hello"), "support@tickets.example", s.account, 1)
	if s.verdict != "verified" {
		return text
	}
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(text), &dkim.SignOptions{
		Domain: "ext.example", Selector: "s1", Signer: s.c.key,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"},
	}); err != nil {
		s.t.Fatal(err)
	}
	return signed.String()
}

func (s *scene) deliver(from, to, mail string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	replies, err := lmtp.Send(ctx, s.n.lmtp, from, []string{to}, strings.NewReader(mail))
	if err != nil || len(replies) != 1 || !replies[0].OK() {
		s.t.Fatalf("%+v, %v", replies, err)
	}
}

// send sends the mail that the row is about.
func (s *scene) send() {
	s.t.Helper()
	subject, header, to := "Re: Printer", "", s.account
	tag := fmt.Sprintf("[T#%d]", s.ticket)
	if s.has("missing") {
		tag = "[T#99999]"
	}
	switch s.kind {
	case "tag":
		subject = "Re: " + tag + " Printer"
	case "bare_reference":
		subject = "Printer " + strings.Trim(tag, "[]")
	case "reference_token":
		header = "In-Reply-To: <" + s.answer + ">\r\n"
	case "envelope_token":
		token, _, _ := strings.Cut(s.answer, ".")
		to = strings.Replace(s.account, "@", "+"+token+"@", 1)
	case "reference":
		header = "In-Reply-To: <" + s.first + ">\r\n"
	case "ancestor":
		header = fmt.Sprintf("References: <root%d@x.example>\r\n", s.number)
	case "":
	default:
		s.t.Fatalf("no way to send a %s", s.kind)
	}
	if s.has("other") {
		subject = "The door"
	}
	if s.machine {
		header += "Auto-Submitted: auto-replied\r\n"
	}
	s.last = fmt.Sprintf("last%d@x.example", s.number)
	s.deliver(s.sender, to, s.mail(s.sender, subject, s.last, header))
}

// filed is what became of the mail.
type filed struct {
	ticket struct {
		Number          int64      `json:"number"`
		SuggestedTicket int64      `json:"suggested_ticket"`
		ClosedAt        *time.Time `json:"closed_at"`
		Links           []struct {
			Number int64  `json:"number"`
			Kind   string `json:"kind"`
		} `json:"links"`
	}
	activity struct {
		MessageID string `json:"message_id"`
		Type      string `json:"type"`
		Sender    string `json:"sender"`
		CreatedBy string `json:"created_by"`
		Match     *struct {
			By string `json:"by"`
		} `json:"match"`
		Changes []struct{ Field string } `json:"changes"`
		Auth    *struct {
			Verdict string `json:"verdict"`
		} `json:"auth"`
	}
}

// find finds the mail by its Message-ID; one that went on to the customer has
// another, and is the only one that an agent sent by mail.
func (s *scene) find() filed {
	s.t.Helper()
	var f filed
	for _, t := range all[ticket](s.n, "/tickets?channel_id="+s.channel) {
		path := fmt.Sprintf("/tickets/%d/activities", t.Number)
		for _, a := range all[activity](s.n, path) {
			s.n.call("GET", path+"/"+a.ID, nil, &f.activity)
			if a.MessageID == s.last || f.activity.Type == "outgoing" && f.activity.Sender == "agent" {
				s.n.call("GET", fmt.Sprintf("/tickets/%d", t.Number), nil, &f.ticket)
				return f
			}
			f = filed{}
		}
	}
	s.t.Fatal("the mail is nowhere")
	return f
}

// outcome says what became of the mail, in the words of the table.
func (s *scene) outcome() string {
	s.t.Helper()
	f := s.find()
	if f.activity.Auth == nil || f.activity.Auth.Verdict != s.verdict {
		s.t.Errorf("verdict %+v, want %s", f.activity.Auth, s.verdict)
	}
	var words []string
	follows := slices.IndexFunc(f.ticket.Links, func(l struct {
		Number int64  `json:"number"`
		Kind   string `json:"kind"`
	}) bool {
		return l.Kind == "follows"
	})
	switch {
	case f.ticket.Number == s.ticket:
		words = append(words, "append", "1")
	case f.ticket.SuggestedTicket == s.ticket && s.ticket != 0:
		words = append(words, "hold", "1")
	case follows >= 0 && f.ticket.Links[follows].Number == s.ticket:
		words = append(words, "new", "follows", "1")
	default:
		words = append(words, "new")
	}
	words = append(words, "as", f.activity.Sender)
	if f.activity.Match != nil && f.activity.Match.By != "" {
		words = append(words, "by", f.activity.Match.By)
	}
	if s.closed && f.ticket.Number == s.ticket && f.ticket.ClosedAt == nil {
		words = append(words, "reopens")
	}
	return strings.Join(append(words, s.inert(f)...), " ")
}

// inert tells of a mail that changed no status, where another would have: our
// answer had left the ticket Answered, or it is closed. A machine's and an
// agent's never does, and one that opened a ticket had none to change; of those
// the verdict alone can tell.
func (s *scene) inert(f filed) []string {
	appended := f.ticket.Number == s.ticket && !s.machine && f.activity.Sender != "agent"
	weak := s.verdict == "failed" || s.verdict == "error"
	if appended && len(f.activity.Changes) == 0 || !appended && weak {
		return []string{"inert"}
	}
	return nil
}
