package threading

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ticketgate/store"
)

// rule keeps a rule; one without a time is of the intake.
func (d *desk) rule(r store.Rule) store.Rule {
	d.t.Helper()
	if r.ID == "" {
		r.ID = store.NewID()
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if r.When == "" {
		r.When = store.RuleOnIntake
	}
	if r.Position == 0 {
		r.Position = len(d.desk().Rules) + 1
	}
	r.Active = true
	if err := d.CheckRule(d.desk(), &r); err != nil {
		d.t.Fatalf("%s: %v", r.Condition, err)
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutRule(ctx, r) })
	return r
}

// sales makes a second channel, with Anna as owner of its tickets.
func (d *desk) sales() store.Channel {
	d.t.Helper()
	c := d.channel
	c.ID, c.Name, c.DefaultOwnerID, c.DefaultStatusID = store.NewID(), "Sales", d.anna.ID, d.statusID(statusInProgress)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutChannel(ctx, c); err != nil {
			return err
		}
		return tx.PutSubscription(ctx, store.Subscription{ChannelID: c.ID, AgentID: d.anna.ID, Type: store.SubscriptionStandard})
	})
	return c
}

// furnishRules makes what the rules of the tables name.
func (d *desk) furnishRules() {
	d.t.Helper()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutMarker(ctx, store.Marker{ID: "red", Name: "Red", Colour: "#ff0000"}); err != nil {
			return err
		}
		if err := tx.PutTemplate(ctx, store.Template{ID: "wait", Name: "Wait", Text: "We look at {{ticket.reference}}."}); err != nil {
			return err
		}
		return tx.PutCustomField(ctx, store.CustomField{ID: "jira", Key: "jira", Name: "Jira", Type: store.FieldText})
	})
}

// TestRulesOfTheIntake is a table of rules and what becomes of a first mail.
func TestRulesOfTheIntake(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	sales := d.sales()
	for _, c := range []struct {
		name  string
		rules []store.Rule
		mail  letter
		want  string
	}{
		{"none holds", []store.Rule{{Condition: `message.subject == "no"`, Actions: store.RuleActions{Priority: "high"}}}, letter{}, "Support New normal owner= tags="},
		{"an empty condition holds", []store.Rule{{Actions: store.RuleActions{Priority: "high"}}}, letter{}, "Support New high owner= tags="},
		{"a channel brings its defaults", []store.Rule{{Actions: store.RuleActions{ChannelID: sales.ID}}}, letter{}, "Sales In progress normal owner=Anna tags="},
		{"but for what a rule chose", []store.Rule{
			{Actions: store.RuleActions{StatusID: d.statusID(statusAnswered), OwnerID: d.admin.ID}},
			{Actions: store.RuleActions{ChannelID: sales.ID}},
		}, letter{}, "Sales Answered normal owner=Admin tags="},
		{"an owner who does not see the channel", []store.Rule{{Actions: store.RuleActions{OwnerID: d.otto.ID, Priority: "low"}}}, letter{}, "Support New low owner= tags="},
		{"the channel decides who may own", []store.Rule{{Actions: store.RuleActions{ChannelID: sales.ID, OwnerID: d.ivo.ID}}}, letter{}, "Sales In progress normal owner=Anna tags="},
		{"a later rule sees what an earlier did", []store.Rule{
			{Actions: store.RuleActions{AddTags: []string{"a", "b"}}},
			{Condition: `"a" in ticket.tags`, Actions: store.RuleActions{RemoveTags: []string{"a"}, AddTags: []string{"c"}, MarkerID: "red"}},
			{Condition: `ticket.marker == "Red"`, Actions: store.RuleActions{Priority: "urgent"}},
		}, letter{}, "Support New urgent owner= tags=b c"},
		{"stop", []store.Rule{{Stop: true, Actions: store.RuleActions{Priority: "low"}}, {Actions: store.RuleActions{Priority: "high"}}}, letter{}, "Support New low owner= tags="},
		{"one that does not hold stops nobody", []store.Rule{{Stop: true, Condition: "false"}, {Actions: store.RuleActions{Priority: "high"}}}, letter{}, "Support New high owner= tags="},
		{"position decides", []store.Rule{{Position: 9, Actions: store.RuleActions{Priority: "high"}}, {Position: 3, Actions: store.RuleActions{Priority: "low"}}}, letter{}, "Support New high owner= tags="},
		{"one that errs is passed over", []store.Rule{
			{Condition: `message.to[7] == "x"`, Actions: store.RuleActions{Priority: "low"}}, {Actions: store.RuleActions{AddTags: []string{"x"}}},
		}, letter{}, "Support New normal owner= tags=x"},
		{"one that costs too much is passed over", []store.Rule{
			{Condition: `message.headers.all(a, message.headers.all(b, message.text.contains(a + b) || true))`, Actions: store.RuleActions{Priority: "low"}},
			{Actions: store.RuleActions{AddTags: []string{"x"}}},
		}, letter{header: strings.Repeat("X-A: b\r\n", 3) + manyFields(300), body: strings.Repeat("a ", 20_000)}, "Support New normal owner= tags=x"},
		{"quarantine", []store.Rule{{Condition: `message.header("x-spam") == ["yes"]`, Actions: store.RuleActions{Quarantine: true}}}, letter{header: "X-Spam: yes\r\n"}, "quarantine rule"},
		{"the words of the mail", []store.Rule{{
			Condition: `message.from == "carla@customer.example" && message.from_domain == "customer.example" && message.account == "support@test.example" && message.verdict == "unverified" && ticket.new && activity.sender == "participant" && !contact.known`,
			Actions:   store.RuleActions{Priority: "high"},
		}}, letter{from: "Carla <Carla@Customer.EXAMPLE>"}, "Support New high owner= tags="},
		{"the desk's clock", []store.Rule{{Condition: `time.weekday == "sunday" && time.hour == 12 && time.date == "2026-11-22"`, Actions: store.RuleActions{Priority: "high"}}}, letter{}, "Support New high owner= tags="},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			for _, r := range c.rules {
				r = d.rule(r)
				defer d.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRule(ctx, r.ID) })
			}
			if c.mail.from == "" {
				c.mail.from = "carla@customer.example"
			}
			c.mail.subject = "Printer"
			in := d.incoming(c.mail)
			x, err := d.Explain(d.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.filed(d.take(in)[0]); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if told := d.explained(x); told != c.want {
				t.Errorf("explain says %s, want %s", told, c.want)
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-Field-%d: x\r\n", i)
	}
	return b.String()
}

// filed describes what became of a mail.
func (d *desk) filed(r Result) string {
	if r.Ticket == 0 {
		reason := ""
		d.view(func(ctx context.Context, tx *store.Tx) error {
			list, _, err := tx.QuarantinedList(ctx, "", 1)
			if len(list) == 1 && len(list[0].Rules) == 1 {
				reason = list[0].Reason
			}
			return err
		})
		return string(r.Outcome) + " " + reason
	}
	t := d.ticket(r.Ticket)
	return d.described(t.ChannelID, t.StatusID, t.Priority, t.OwnerID, t.Tags)
}

func (d *desk) explained(x Explanation) string {
	if x.Match.Outcome == string(OutcomeQuarantine) {
		return x.Match.Outcome + " " + x.Match.Reason
	}
	e := x.Effects
	return d.described(e.ChannelID, e.StatusID, e.Priority, e.OwnerID, e.Tags)
}

func (d *desk) described(channel, status string, priority store.Priority, owner string, tags []string) string {
	w := &work{desk: d.desk()}
	return fmt.Sprintf("%s %s %s owner=%s tags=%s", w.channelName(channel), w.statusName(status), priority, w.agentName(owner), strings.Join(tags, " "))
}
