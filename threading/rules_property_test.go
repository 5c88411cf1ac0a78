package threading

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ticketgate/store"
	"ticketgate/threading/calendar"
)

// oddConditions hold, don't, err, cost too much, or can't be read.
var oddConditions = []string{
	``, `true`, `false`, `message.to[9] == ""`, `1 / message.attachments.size() == 1`, `message.subject.matches("[a-z]+")`,
	`message.headers["none"].size() == 0`, `ticket.tags.exists(t, t == "a")`, `contact.known || company.name == ""`, `activity.sender == "stranger"`,
	`message.headers.all(a, message.headers.all(b, message.text.contains(a + b) || true))`, `this is no condition`, `message.nothing`, `time.hour > 25`,
	`int(message.subject) > 1`, `timestamp(message.subject) < time.now`, `message.text == message.text + message.text`,
}

// TestNoRuleLosesAMail runs odd rules over odd mails: whatever they say, each
// mail is in a ticket or in the quarantine, and is answered for.
func TestNoRuleLosesAMail(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	sales := d.sales()
	d.open()
	ids := func(t *rapid.T, label string, from ...string) string {
		return rapid.SampledFrom(append(from, "", "gone")).Draw(t, label)
	}
	rapid.Check(t, func(t *rapid.T) {
		var rules []store.Rule
		for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := store.Rule{
				ID: store.NewID(), Active: true, Position: rapid.IntRange(0, 9).Draw(t, "position"),
				When:      rapid.SampledFrom([]store.RuleWhen{store.RuleOnIntake, store.RuleOnIntake, store.RuleOnChange}).Draw(t, "when"),
				Condition: rapid.SampledFrom(oddConditions).Draw(t, "condition"), Stop: rapid.Bool().Draw(t, "stop"),
				Actions: store.RuleActions{
					ChannelID: ids(t, "channel", sales.ID, d.channel.ID), StatusID: ids(t, "status", d.statusID(statusClosed), d.statusID(statusAnswered)),
					Priority: store.Priority(ids(t, "priority", "high", "low")), MarkerID: ids(t, "marker", "red"), OwnerID: ids(t, "owner", d.anna.ID, d.otto.ID),
					ResponsibleID: ids(t, "responsible", d.ivo.ID), TemplateID: ids(t, "template", "wait"), FreeOwner: rapid.Bool().Draw(t, "free"),
					WatcherIDs: []string{ids(t, "watcher", d.anna.ID, d.otto.ID)}, AddTags: []string{ids(t, "tag", "a", "b")}, RemoveTags: []string{"a"},
					Quarantine: rapid.IntRange(0, 3).Draw(t, "quarantine") == 0, Note: ids(t, "note", "a note"),
					Fields:  map[string]any{ids(t, "field", "jira"): rapid.SampledFrom([]any{"x", 5.0, nil, true}).Draw(t, "value")},
					Extract: &store.RuleExtract{Field: ids(t, "into", "jira"), From: ids(t, "from", "subject", "text"), Pattern: ids(t, "pattern", `\d+`, `(`, `[A-Z]+-\d+`)},
				},
			}
			r.Name = fmt.Sprint(i, r.ID)
			rules = append(rules, r)
		}
		d.update(func(ctx context.Context, tx *store.Tx) error { // as an older or a newer program may have left them
			for _, r := range d.desk().Rules {
				if err := tx.DeleteRule(ctx, r.ID); err != nil {
					return err
				}
			}
			for _, r := range rules {
				if err := tx.PutRule(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
		in := d.incoming(letter{
			from:    rapid.SampledFrom([]string{"carla@ext.example", "s@other.example", "anna@test.example", "a@x.example, b@x.example", "", "support@test.example"}).Draw(t, "from"),
			subject: rapid.SampledFrom([]string{"", "[T#10001] x", "ABC-1 5", "\x00\xff", "=?utf-8?q?=C3=A9?="}).Draw(t, "subject"),
			header:  rapid.SampledFrom([]string{"", "Auto-Submitted: auto-replied\r\n", "Subject: twice\r\n", "X: \xff\r\n"}).Draw(t, "header"),
			verdict: rapid.SampledFrom([]store.Verdict{store.Verified, store.Unverified, store.Failed, store.AuthError}).Draw(t, "verdict"),
			body:    rapid.SampledFrom([]string{"x", "ABC-2", "\xff\x00"}).Draw(t, "body"),
		})
		r := d.Take(d.ctx, in)[0]
		if r.Err != nil {
			t.Fatalf("not taken: %v", r.Err)
		}
		where := 0
		if r.Ticket != 0 {
			where = len(d.activities(r.Ticket))
		} else {
			d.view(func(ctx context.Context, tx *store.Tx) error {
				keys, err := tx.DeliveryKeys(ctx, d.account.ID, []string{hash(in.Raw)})
				for _, k := range keys {
					if _, err := tx.Quarantined(ctx, k.QuarantineID); err == nil {
						where++
					}
				}
				return err
			})
		}
		if where == 0 {
			t.Fatalf("it is nowhere: %+v", r)
		}
		if again := d.Take(d.ctx, in)[0]; again.Err != nil || again.Outcome != OutcomeDuplicate {
			t.Fatalf("the same again: %+v", again)
		}
	})
}

// Two nodes look at the same tickets at the same time: each is closed once.
func TestRulesOnATimeOverTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	d.rule(store.Rule{Name: "Close", When: store.RuleOnTime, Event: store.RuleCreated, AfterMinutes: 60,
		Condition: `ticket.status == "New"`, Actions: store.RuleActions{StatusID: d.statusID(statusClosed), Note: "closed"}})
	d.rule(store.Rule{Name: "Heard", When: store.RuleOnTime, Event: store.RuleIncoming, AfterMinutes: 60, Actions: store.RuleActions{AddTags: []string{"heard"}, Note: "heard"}})
	hours := map[string][]string{}
	for _, day := range calendar.Weekdays() {
		hours[day] = []string{"11:00-24:00"}
	}
	d.putCalendar(store.Calendar{ID: "hours", Name: "Hours", Timezone: "UTC", Hours: hours})
	d.rule(store.Rule{Name: "Business", When: store.RuleOnTime, Event: store.RuleIncoming, AfterMinutes: 60, CalendarID: "hours",
		Condition: `time.business_minutes("Hours", ticket.created_at) >= 60`, Actions: store.RuleActions{AddTags: []string{"hours"}, Note: "business"}})
	run := func() {
		t.Helper()
		var wg sync.WaitGroup
		for _, node := range []*Service{d.Service, other, d.Service, other} {
			wg.Go(func() {
				for range 3 {
					if err := node.RunTimeRules(d.ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	run()
	var tickets []int64
	for i := range 2*ruleBatch + 20 {
		tickets = append(tickets, d.deliver(letter{from: fmt.Sprintf("c%d@ext.example", i), subject: "x"}).Ticket)
	}
	run()
	d.now = d.now.Add(61 * time.Minute)
	run()
	run()
	for _, number := range tickets {
		said := map[string]int{}
		for _, a := range d.activities(number) {
			said[a.Text+a.Comment]++
		}
		if said["closed"] != 1 || said["heard"] != 1 || said["By Close"] != 1 || said["By Heard"] != 1 || said["business"] != 1 || said["By Business"] != 1 {
			t.Fatalf("%d: %v", number, said)
		}
		if d.status(number) != statusClosed {
			t.Fatalf("%d is %s", number, d.status(number))
		}
	}
}
