package gateway

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// examplesDesk is what the examples of docs/rules.md name.
const examplesDesk = deskText + `
[[channel]]
name = "Sales"
subscriptions = [{ agent = "ann@example.test" }]
[[template]]
name = "We are back in the morning"
text = "We are back in the morning. Your number is {{ticket.reference}}."
[[custom_field]]
key = "incident"
name = "Incident"
[[company]]
name = "Holding Inc"
[[company]]
name = "Daughter Ltd"
domains = ["daughter.example"]
parent = "Holding Inc"
`

// examples gives the desk file that the blocks of docs/rules.md make together.
func examples(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	return strings.Join(blocks, "\n")
}

// exampleDesk is a desk with the examples, and a clock.
type exampleDesk struct {
	*Core
	t   *testing.T
	now time.Time
}

func newExampleDesk(t *testing.T) *exampleDesk {
	d := &exampleDesk{t: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	core, err := OpenCore(t.Context(), testConfig(t, "RULES_TRUSTED_HEADERS=X-Spam-Score"), CoreOptions{Now: func() time.Time { return d.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = core.Close() })
	d.Core = core
	applyText(t, core, examplesDesk, ApplyOptions{})
	return d
}

// take files a verified mail.
func (d *exampleDesk) take(header, body string) threading.Result {
	d.t.Helper()
	raw := []byte(header + "To: support@example.test\r\nMessage-ID: <" + store.NewID() + "@x.example>\r\n" + body)
	m := message.Parse(raw)
	author, _ := m.Author()
	r := d.Threading.Take(d.t.Context(), threading.Incoming{
		Raw: raw, Message: m, From: author.String(), Recipients: []string{"support@example.test"}, DeliveryID: store.NewID(), ReceivedAt: d.now,
		Auth: store.Auth{Verdict: store.Verified}, AlignedDKIM: true,
	})[0]
	if r.Err != nil {
		d.t.Fatal(r.Err)
	}
	return r
}

// did gives the names of the rules that held, of all entries of a ticket.
func (d *exampleDesk) did(ticket int64) []string {
	d.t.Helper()
	var names []string
	err := d.DB.View(d.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		list, _, err := tx.Activities(ctx, ticket, "", 200)
		for _, a := range list {
			for _, r := range a.Rules {
				if r.Result != store.RuleMatched || len(r.Refused) > 0 {
					d.t.Errorf("%s: %+v", r.Name, r)
				}
				if !slices.Contains(names, r.Name) {
					names = append(names, r.Name)
				}
			}
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return names
}

func TestTheExamplesOfTheDocumentation(t *testing.T) {
	d := newExampleDesk(t)
	text := examples(t)
	if n := strings.Count(text, "[[rule]]"); n != 12 {
		t.Fatalf("there are %d examples", n)
	}
	if n := len(applyText(t, d.Core, text, ApplyOptions{})); n != 13 { // and a calendar
		t.Errorf("applying them says %d lines", n)
	}
	if again := applyText(t, d.Core, text, ApplyOptions{}); len(again) > 0 {
		t.Errorf("the second run changed %q", again)
	}
	for _, c := range []struct{ name, header, body, want string }{
		{"no rule", "From: a@one.example\r\nSubject: hello\r\n", "\r\nx\r\n", ""},
		{"invoice", "From: b@one.example\r\nSubject: Your INVOICE\r\n", "\r\nx\r\n", "Invoices"},
		{"voice", "From: b2@one.example\r\nSubject: my involvement\r\n", "\r\nx\r\n", ""},
		{"a daughter", "From: c@daughter.example\r\nSubject: hello\r\n", "\r\nx\r\n", "Customers who matter, Urgent has an owner"},
		{"monitor", "From: d@monitor.example\r\nSubject: up\r\n", "\r\nx\r\n", "Monitoring"},
		{"incident", "From: e@service-now.example\r\nSubject: x\r\n", "\r\nsee INC0012345\r\n", "ServiceNow numbers"},
		{"program", "From: f@one.example\r\nSubject: x\r\nContent-Type: application/octet-stream; name=setup.EXE\r\nContent-Disposition: attachment\r\n", "\r\nMZ\r\n", "Programs"},
	} {
		if got := strings.Join(d.did(d.take(c.header, c.body).Ticket), ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	const spam = "X-Spam-Score: 12.5\r\n"
	const received = "Received: from x by mx; now\r\n"
	if r := d.take(spam+received+"From: g@one.example\r\nSubject: x\r\n", "\r\nx\r\n"); r.Outcome != threading.OutcomeQuarantine {
		t.Errorf("spam is %+v", r)
	}
	if r := d.take(received+spam+"From: g@one.example\r\nSubject: x\r\n", "\r\nx\r\n"); r.Outcome != threading.OutcomeNew {
		t.Errorf("what the sender says of himself is %+v", r)
	}
	d.now = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	if got := d.did(d.take("From: h@one.example\r\nSubject: at night\r\n", "\r\nx\r\n").Ticket); !slices.Equal(got, []string{"Night", "Out of hours"}) {
		t.Errorf("at night: %v", got)
	}
}

func TestTheExamplesThatWait(t *testing.T) {
	d := newExampleDesk(t)
	applyText(t, d.Core, examples(t), ApplyOptions{})
	run := func() {
		t.Helper()
		if err := d.Threading.RunTimeRules(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	desk, err := d.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin := firstAdmin(desk)
	number := d.take("From: a@one.example\r\nSubject: hello\r\n", "\r\nx\r\n").Ticket
	if _, err := d.Threading.AddActivity(t.Context(), admin, number, threading.NewActivity{Type: store.TypeOutgoing, Text: "done"}); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Hour)
	silent := d.take("From: c@one.example\r\nSubject: hello\r\n", "\r\nx\r\n").Ticket // on a Wednesday at 14:00 in Berlin
	d.now = d.now.Add(4*time.Hour - time.Minute + 16*time.Hour)
	if run(); len(d.did(silent)) > 0 {
		t.Errorf("too early: %v", d.did(silent))
	}
	d.now = d.now.Add(time.Minute)
	if run(); !slices.Equal(d.did(silent), []string{"Four hours of silence"}) {
		t.Errorf("after four hours: %v", d.did(silent))
	}
	d.now = d.now.Add(51 * time.Hour)
	run()
	if got := d.did(number); !slices.Equal(got, []string{"Answered for three days"}) {
		t.Errorf("after three days: %v", got)
	}
	d.now = d.now.Add(2 * time.Hour)
	open := d.take("From: b@one.example\r\nSubject: another\r\n", "\r\nx\r\n").Ticket
	if _, err := d.Threading.AddActivity(t.Context(), admin, open, threading.NewActivity{Type: store.TypeOutgoing, Text: "done"}); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(72*time.Hour + 2*time.Minute)
	d.take("From: b@one.example\r\nSubject: [T#10003] still broken\r\n", "\r\nx\r\n")
	if got := d.did(open); !slices.Contains(got, "Heard") {
		t.Errorf("after silence: %v", got)
	}
}

// Every key of a rule in a desk file is applied, told and pruned.
func TestRulesByDeskFile(t *testing.T) {
	core := testCore(t, testConfig(t))
	const rule = `
[[marker]]
name = "Red"
colour = "#ff0000"
[[calendar]]
name = "Waited"
hours = { mon = ["09:00-17:00"] }
[[calendar]]
name = "Named"
hours = { mon = ["09:00-17:00"] }
[[rule]]
name = "All"
when = "time"
event = "status"
after_minutes = 5
calendar = "Waited"
active = false
position = 3
stop = true
condition = 'ticket.closed && time.open("Named")'
[rule.actions]
channel = "Sales"
status = "New"
priority = "low"
marker = "Red"
owner = "ann@example.test"
responsible = "ann@example.test"
watchers = ["ann@example.test"]
add_tags = ["a"]
remove_tags = ["b"]
template = "We are back in the morning"
note = "n"
fields = { incident = "INC1" }
`
	if got := applyText(t, core, examplesDesk+rule, ApplyOptions{}); !slices.Contains(got, `+ rule "All"`) {
		t.Errorf("applied: %v", got)
	}
	if again := applyText(t, core, examplesDesk+rule, ApplyOptions{}); len(again) > 0 {
		t.Errorf("the second run changed %q", again)
	}
	desk, err := core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := desk.Rules[0]
	a := r.Actions
	if r.Active || r.Position != 3 || r.AfterMinutes != 5 || r.CalendarID != desk.CalendarByName("Waited").ID ||
		!slices.Equal(r.Calendars, []string{desk.CalendarByName("Named").ID}) || a.ChannelID != desk.ChannelByName("Sales").ID || a.MarkerID != desk.Markers[0].ID ||
		len(a.WatcherIDs) != 1 || a.Fields["incident"] != "INC1" || a.TemplateID != desk.Templates[0].ID || !r.Stop {
		t.Errorf("the rule is %+v", r)
	}
	if kept := applyText(t, core, examplesDesk+"[[rule]]\nname = \"All\"\n", ApplyOptions{Prune: true, DryRun: true}); slices.ContainsFunc(kept, func(line string) bool { return strings.Contains(line, "calendar") }) {
		t.Errorf("pruned away under a rule: %q", kept)
	}
	changed := applyText(t, core, "[[rule]]\nname = \"All\"\nstop = false\ncalendar = \"\"\nactions = { channel = \"\", note = \"m\" }\n", ApplyOptions{})
	want := []string{`~ rule "All": calendar: "Waited" -> ""`, `~ rule "All": stop: true -> false`, `~ rule "All": channel: "Sales" -> ""`, `~ rule "All": note: "n" -> "m"`}
	if !slices.Equal(changed, want) {
		t.Errorf("changed: %q", changed)
	}
	for text, want := range map[string]string{
		"[[rule]]\nname = \"All\"\ncondition = \"ticket.\"\n":                    "desk.toml:3: rule.condition: line 1, column 8: Syntax error",
		"[[rule]]\nname = \"B\"\nactions = { channel = \"Nowhere\" }\n":          "desk.toml:3: rule.actions.channel: there is no channel \"Nowhere\"",
		"[[rule]]\nname = \"B\"\n[rule.actions]\nwatchers = [\"x@y.example\"]\n": "desk.toml:4: rule.actions.watchers: there is no agent \"x@y.example\"",
		"[[rule]]\nname = \"B\"\ncalendar = \"Gone\"\n":                          "desk.toml:3: rule.calendar: there is no calendar \"Gone\"",
		"[[rule]]\nname = \"B\"\ncondition = 'time.open(\"Gone\")'\n":            "desk.toml:3: rule.condition: line 1, column 10: there is no calendar of this name",
		"[[rule]]\nname = \"B\"\nwhen = \"never\"\n":                             "desk.toml:3: rule.when: must be intake, change or time",
	} {
		file, err := ReadDesk("desk.toml", []byte(text))
		if err == nil {
			_, err = ApplyDesk(t.Context(), core.DB, file, ApplyOptions{})
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if pruned := applyText(t, core, examplesDesk, ApplyOptions{Prune: true}); !slices.Contains(pruned, `- rule "All"`) || !slices.Contains(pruned, `- marker "Red"`) ||
		!slices.Contains(pruned, `- calendar "Waited"`) || !slices.Contains(pruned, `- calendar "Named"`) {
		t.Errorf("pruned: %v", pruned)
	}
}
