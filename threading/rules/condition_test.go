package rules

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func compiler(t testing.TB) *Compiler {
	t.Helper()
	c, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func someFacts() *Facts {
	return &Facts{
		Message: &Message{
			EnvelopeFrom: "carla@customer.example", EnvelopeTo: []string{"support@test.example"}, From: "carla@customer.example",
			FromName: "Carla", FromDomain: "customer.example", To: []string{"support@test.example"}, Account: "support@test.example",
			Subject: "Printer BURNS", Text: "INC0012345 it burns", Size: 1234,
			Headers:     map[string][]string{"x-spam-flag": {"YES"}, "received": {"a", "b"}},
			Trusted:     map[string][]string{"x-spam-score": {"7.5"}},
			Attachments: []Attachment{{Name: "a.pdf", Type: "application/pdf", Size: 9}},
			Verdict:     "verified", DKIM: []Signature{{Domain: "customer.example", Result: "pass"}}, DMARC: DMARC{Result: "pass", Policy: "reject"},
		},
		Contact:  &Contact{ID: "c", Name: "Carla", Addresses: []string{"carla@customer.example"}, Known: true},
		Company:  &Company{ID: "f", Name: "Customer Ltd", Domains: []string{"customer.example"}, Parents: []string{"Holding"}},
		Ticket:   &Ticket{Number: 10001, Kind: "email", Channel: "Support", Status: "New", Priority: "normal", Tags: []string{"a"}, New: true, InStatus: 5},
		Activity: &Activity{Type: "incoming", Medium: "email", Sender: "participant", AuthorKind: "contact", Changes: []Change{{Field: "status", To: "Answered"}}},
		Time:     Moment{Now: time.Date(2026, 11, 25, 18, 30, 0, 0, time.UTC), Date: "2026-11-25", Weekday: "wednesday", Hour: 18, Minute: 30},
	}
}

func TestHolds(t *testing.T) {
	c := compiler(t)
	for text, want := range map[string]bool{
		``: true, `true`: true, `false`: false,
		`message.subject.lower().contains("burns")`:                                    true,
		`message.subject.contains("burns")`:                                            false,
		`message.text.matches("INC\\d+")`:                                              true,
		`message.envelope_from.domain() == message.from_domain`:                        true,
		`message.header("X-Spam-Flag") == ["YES"]`:                                     true,
		`message.header("no-such-field").size() == 0`:                                  true,
		`message.trusted("x-spam-score").exists(v, double(v) > 5.0)`:                   true,
		`message.trusted("x-spam-flag").size() > 0`:                                    false,
		`"x-spam-flag" in message.headers`:                                             true,
		`message.attachments.exists(f, f.name.endsWith(".pdf") && f.size < 10)`:        true,
		`message.dkim.exists(s, s.result == "pass" && s.domain == "customer.example")`: true,
		`message.dmarc.policy == "reject"`:                                             true,
		`contact.known && !contact.provisional`:                                        true,
		`"Holding" in company.parents`:                                                 true,
		`ticket.new && ticket.channel == "Support" && "a" in ticket.tags`:              true,
		`ticket.minutes_in_status >= 5`:                                                true,
		`activity.changes.exists(c, c.field == "status" && c.to == "Answered")`:        true,
		`time.weekday in ["saturday", "sunday"] || time.hour >= 18`:                    true,
		`time.now > timestamp("2026-01-01T00:00:00Z")`:                                 true,
		`time.now.getHours("Europe/Berlin") == 19`:                                     true,
		`message.subject.matches("[A-Z]{1,3}RNS$")`:                                    true,
		`message.automatic == ""`:                                                      true,
	} {
		condition, err := c.Compile(OnIntake, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, _, err := condition.Holds(t.Context(), someFacts())
		if err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	c := compiler(t)
	for _, row := range []struct {
		kind       Kind
		text, want string
	}{
		{OnIntake, `message.subjekt == "x"`, "line 1, column 8: undefined field 'subjekt'"},
		{OnIntake, "true &&\n  mesage.subject == ''", "line 2, column 3: undeclared reference to 'mesage'"},
		{OnIntake, `message.size == "x"`, "line 1, column 14: found no matching overload"},
		{OnIntake, `message.subject`, "must be true or false"},
		{OnIntake, `message.subject ==`, "line 1, column 19: Syntax error"},
		{OnIntake, `message.text.matches("(")`, "line 1, column 22: invalid matches argument"},
		{OnIntake, `message.text.matches(message.subject)`, "the pattern of matches must be a text in quotes"},
		{OnIntake, `message.text.matches("(a{1,100}){1,10}")`, "the pattern of matches is too large"},
		{OnIntake, `[1].all(a, [1].all(b, [1].all(c, true)))`, "nesting limit"},
		{OnIntake, `"` + strings.Repeat("a", MaxCondition) + `" == ""`, "is longer than"},
		{OnIntake, strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "recursion"},
		{OnChange, `message.subject == ""`, "undeclared reference to 'message'"},
		{OnTime, `activity.type == "note"`, "undeclared reference to 'activity'"},
		{OnIntake, `time.open(message.subject)`, "line 1, column 10: the name of the calendar must be a text in quotes"},
		{OnTime, `true && time.business_minutes("a" + "b", time.now) > 1`, "the name of the calendar must be a text in quotes"},
		{OnTime, `time.business_minutes("Office", ticket.minutes_in_status) > 1`, "no matching overload"},
		{OnTime, `time.calendar("Office")`, "undeclared reference to 'calendar'"},
		{Kind("x"), `true`, "no such kind"},
	} {
		_, err := c.Compile(row.kind, row.text)
		fault, ok := errors.AsType[*Fault](err)
		if !ok || !strings.Contains(fault.Error(), row.want) {
			t.Errorf("%.60s: %v, want %s", row.text, err, row.want)
		}
	}
}

// A condition that errs or costs too much says so, and soon.
func TestHoldsIsBounded(t *testing.T) {
	c := compiler(t)
	f := someFacts()
	f.Message.Text = strings.Repeat("ab ", MaxText/3)
	for i := range 200 {
		f.Message.To = append(f.Message.To, strings.Repeat("x", i))
	}
	for text, want := range map[string]error{
		`message.headers["missing"].size() == 0`:                                                                                         nil,
		`message.to[5000] == ""`:                                                                                                         nil,
		`1 / message.attachments.filter(f, f.size == 0).size() == 1`:                                                                     nil,
		`message.to.all(a, message.to.all(b, message.text.contains(a + b) || true))`:                                                     ErrOverLimit,
		`(message.text + message.text + message.text + message.text).matches("(a|b|c|d|e|f)*x") || ` + loud(40):                          ErrOverLimit,
		`message.to.map(a, message.to.map(b, message.text + b)).size() == 0`:                                                             ErrOverLimit,
		`message.to.exists(a, message.to.exists(b, message.text.lower() == a + b))`:                                                      ErrOverLimit,
		`message.to.exists(a, message.text.matches("(x+x+)+y") || message.text.matches("(y+y+)+x") || message.text.matches("(z+z+)+x"))`: ErrOverLimit,
	} {
		condition, err := c.Compile(OnIntake, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		holds, _, err := condition.Holds(t.Context(), f)
		if err == nil || holds || (want != nil) != errors.Is(err, ErrOverLimit) {
			t.Errorf("%.80s: %v, %v; want %v", text, holds, err, want)
		}
	}
}

func loud(n int) string {
	return strings.TrimSuffix(strings.Repeat(`message.text.matches("(x+x+)+y") || `, n), " || ")
}

func TestUses(t *testing.T) {
	condition, err := compiler(t).Compile(OnIntake, `company.name == "x" || message.to.exists(ticket_to, ticket_to == "")`)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]bool{"company": true, "message": true, "contact": false, "ticket": false} {
		if condition.Uses(part) != want {
			t.Errorf("uses %s: %v", part, !want)
		}
	}
}

// FuzzCompile holds that no text, however strange, is more than refused, and
// that what is taken ends within its bounds.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		``, `true`, `message.subject`, `message.text.matches("(")`, `[1,2].map(x, x*2).size() == 2`, "\x00", `has(message.subject)`,
		`rules.Message{}.subject == ""`, `message.header("x")[0] == "y"`, `timestamp("x") == time.now`, `dyn(1) == "a"`, "`a`", `{}.a`, `"\u0000"`,
		`message.to.all(a, message.to.all(b, a == b))`, `b"\377" == b""`, `1/0 == 0`, `int("9223372036854775808") == 0`, `type(1) == int`,
		`time.open("Office")`, `time.business_minutes("Office", ticket.created_at) > 4 * 60`, `rules.Moment{}.open("x")`, `time.open("a" + "b")`,
	} {
		f.Add(seed)
	}
	c := compiler(f)
	facts := someFacts()
	f.Fuzz(func(t *testing.T, text string) {
		condition, err := c.Compile(OnIntake, text)
		if err != nil {
			if _, ok := errors.AsType[*Fault](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			if strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 300 {
				t.Fatalf("not fit for one line: %q", err)
			}
			return
		}
		_, cost, _ := condition.Holds(context.Background(), facts)
		if cost > maxCost+MaxText*10 {
			t.Fatalf("cost %d: %s", cost, text)
		}
	})
}
