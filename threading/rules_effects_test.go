package threading

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// A reply brings its status first, then the rules; all of it is one change of the mail.
func TestRulesOfAReply(t *testing.T) {
	d := newDesk(t)
	sales := d.sales()
	r := d.open()
	d.close(r.Ticket)
	d.rule(store.Rule{Name: "Reopened", Condition: `activity.reopens && ticket.status == "In progress" && !ticket.new && ticket.number == 10001`,
		Actions: store.RuleActions{Priority: "high", ChannelID: sales.ID, StatusID: d.statusID(statusAnswered), Note: "again"}})
	version := d.ticket(r.Ticket).Version
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] more"})
	if got := d.filed(r); got != "Sales Answered high owner= tags=" {
		t.Errorf("the ticket is %s", got)
	}
	if now := d.ticket(r.Ticket).Version; now == version {
		t.Error("a rule changed the ticket and not its version")
	}
	list := d.activities(r.Ticket)
	mail, note := list[len(list)-2], list[len(list)-1]
	if got := fmt.Sprint(mail.Changes); got != "[{status Successfully closed Answered} {channel Support Sales} {priority normal high}]" {
		t.Errorf("the mail changed %s", got)
	}
	if len(mail.Rules) != 1 || mail.Rules[0].Name != "Reopened" || mail.Rules[0].Result != store.RuleMatched || !slices.Contains(mail.Rules[0].Did, "note") {
		t.Errorf("the trace is %+v", mail.Rules)
	}
	if note.Type != store.TypeNote || note.Text != "again" || note.Author.Kind != store.AuthorSystem || note.Author.Name != "Reopened" {
		t.Errorf("the note is %+v", note)
	}
}

// What was let out of the quarantine is not put back, and an agent's own mail is
// not looked at.
func TestRulesSpareWhatSomebodyHasSeen(t *testing.T) {
	d := newDesk(t)
	d.rule(store.Rule{Name: "All", Actions: store.RuleActions{Quarantine: true, Priority: "high"}})
	in := d.incoming(letter{from: "carla@ext.example", subject: "x"})
	if r := d.take(in)[0]; r.Outcome != OutcomeQuarantine {
		t.Fatalf("%+v", r)
	}
	if r := d.take(in)[0]; r.Outcome != OutcomeDuplicate {
		t.Errorf("the same again is %+v", r)
	}
	var id string
	d.view(func(ctx context.Context, tx *store.Tx) error {
		list, _, err := tx.QuarantinedList(ctx, "", 1)
		id = list[0].ID
		return err
	})
	released, err := d.Release(d.ctx, d.admin, id, in)
	if err != nil || released.Priority != "high" {
		t.Errorf("released: %+v, %v", released, err)
	}
	if trace := d.activities(released.Number)[0].Rules; len(trace) != 1 || fmt.Sprint(trace[0].Refused) != "[quarantine: it was let out of there]" {
		t.Errorf("the trace is %+v", trace)
	}
	if r, err := d.HandIn(d.ctx, d.anna, d.incoming(letter{from: "otto@ext.example", subject: "y"}), "", 0); err != nil || r.Outcome != OutcomeNew {
		t.Errorf("handed in: %+v, %v", r, err)
	}
}

// A rule changes nothing about who may write into a ticket.
func TestRulesGiveNoRights(t *testing.T) {
	d := newDesk(t)
	sales := d.sales()
	d.open()
	d.rule(store.Rule{Actions: store.RuleActions{ChannelID: sales.ID, WatcherIDs: []string{d.anna.ID}, Priority: "high", Note: "n"}})
	d.furnishRules()
	d.rule(store.Rule{Actions: store.RuleActions{TemplateID: "wait"}})
	r := d.deliver(letter{from: "stranger@other.example", subject: "[T#10001] let me in", verdict: store.Verified})
	held := d.ticket(r.Ticket)
	if r.Outcome != OutcomeHold || held.SuggestedTicket != 10001 || held.ChannelID != sales.ID {
		t.Errorf("%+v, %+v", r, held)
	}
	if n := len(d.activities(10001)); n != 1 {
		t.Errorf("the ticket got %d activities", n)
	}
	if rows, _ := d.deliveries(r.Ticket, store.MailTemplate); len(rows) != 0 {
		t.Error("what waits was answered")
	}
	d.view(func(ctx context.Context, tx *store.Tx) error {
		for _, number := range []int64{10001, r.Ticket} {
			p, found, err := tx.IsParticipant(ctx, number, "stranger@other.example")
			if err != nil || number == 10001 && found {
				t.Errorf("the stranger belongs to %d: %+v, %v", number, p, err)
			}
		}
		return nil
	})
	if again := d.deliver(letter{from: "stranger@other.example", subject: "[T#10001] and again"}); again.Outcome != OutcomeHold {
		t.Errorf("the second time he is %s", again.Outcome)
	}
}

// The numbers of another system join the mail of those who belong, and open no
// door to anybody else.
func TestNumbersOfOtherSystems(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{Name: "Jira", Condition: `message.from_domain != "nobody.example"`, Actions: store.RuleActions{
		Extract: &store.RuleExtract{Field: "jira", From: store.ExtractText, Pattern: `(?i)\b([a-z]{2,10}-\d+)\b`},
	}})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Broken", body: "see abc-12 and XYZ-9"})
	value := func(number int64) string {
		var all map[int64]map[string]string
		d.view(func(ctx context.Context, tx *store.Tx) (err error) {
			all, err = tx.FieldValues(ctx, number)
			return err
		})
		return all[number]["jira"]
	}
	if value(first.Ticket) != "ABC-12" {
		t.Fatalf("the number is %q", value(first.Ticket))
	}
	if a := d.activities(first.Ticket)[0]; fmt.Sprint(a.Changes) != "[{fields.jira  ABC-12}]" {
		t.Errorf("the mail says %+v", a.Changes)
	}
	for _, c := range []struct {
		mail letter
		want string
	}{
		{letter{from: "carla@ext.example", subject: "ABC-12 was updated"}, "append 10001 foreign_number"},
		{letter{from: "carla@ext.example", subject: "abc-12 again, with QQ-1"}, "append 10001 foreign_number"},
		{letter{from: "carla@ext.example", subject: "[T#10001] ABC-12"}, "append 10001 tag"},
		{letter{from: "carla@ext.example", subject: "about ABC-123"}, "new"},
		{letter{from: "carla@ext.example", subject: "in the text alone", body: "ABC-12"}, "new"},
		{letter{from: "stranger@other.example", subject: "ABC-12 let me in", verdict: store.Verified}, "new"},
		{letter{from: "carla@ext.example", subject: "ABC-12 forged", verdict: store.Failed}, "new"},
	} {
		r := d.deliver(c.mail)
		got := string(r.Outcome)
		if r.Outcome == OutcomeAppend {
			got += fmt.Sprintf(" %d %s", r.Ticket, r.MatchedBy)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.mail.subject, got, c.want)
		}
	}
	if value(first.Ticket) != "ABC-12" {
		t.Errorf("a later number replaced the first: %q", value(first.Ticket))
	}
}

// What our own servers wrote can't be written by a sender, wherever he puts it.
func TestTrustedHeaders(t *testing.T) {
	d := newDesk(t)
	d.opt.TrustedHeaders = []string{"X-Spam-Score"}
	d.rule(store.Rule{Condition: `message.trusted("x-spam-score").exists(v, v == "9")`, Actions: store.RuleActions{Quarantine: true}})
	const ours, theirs, mark = "Received: from x by mx.test.example; now\r\n", "Received: from y by mx.test.example; now\r\n", "X-Spam-Score: 9\r\n"
	for _, c := range []struct {
		name, header string
		hops         int
		believed     bool
	}{
		{"above our field", mark + ours, 1, true},
		{"below it: the sender's", ours + mark, 1, false},
		{"below it, above one that the sender made up", ours + mark + theirs, 1, false},
		{"no server of ours wrote anything", mark, 1, false},
		{"between two of ours", ours + mark + ours, 2, true},
		{"above fewer than all of ours", mark + ours, 2, false},
		{"another field", "X-Spam-Scores: 9\r\n" + ours, 1, false},
	} {
		d.opt.TrustedHops = c.hops
		in := d.incoming(letter{from: "carla@ext.example", subject: c.name, header: c.header})
		in.Raw = []byte(c.header + "From: carla@ext.example\r\nSubject: " + c.name + "\r\nMessage-ID: <" + store.NewID() + "@x>\r\n\r\nx\r\n")
		in.Message = parse(string(in.Raw))
		if got := d.take(in)[0].Outcome == OutcomeQuarantine; got != c.believed {
			t.Errorf("%s: believed is %v", c.name, got)
		}
	}
}

// A rule's answer goes where an acknowledgement may go, and counts with them.
func TestAnswersOfRules(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.setChannel(ack)
	d.rule(store.Rule{Name: "Wait", Condition: `message.subject.contains("wait")`, Actions: store.RuleActions{TemplateID: "wait", NoAcknowledgement: true}})
	for _, c := range []struct {
		name string
		mail letter
		want int
	}{
		{"verified", letter{from: "a@ext.example", verdict: store.Verified}, 1},
		{"the same address again, within a day", letter{from: "a@ext.example", verdict: store.Verified}, 0},
		{"unverified", letter{from: "b@ext.example"}, 0},
		{"failed", letter{from: "c@ext.example", verdict: store.Failed}, 0},
		{"the null sender", letter{from: "d@ext.example", verdict: store.Verified, envelope: "-"}, 0},
		{"a machine", letter{from: "e@ext.example", verdict: store.Verified, header: "Auto-Submitted: auto-generated\r\n"}, 0},
		{"a mailing list", letter{from: "f@ext.example", verdict: store.Verified, header: "List-Id: <x.example>\r\n"}, 0},
		{"an agent", letter{from: "otto@test.example", verdict: store.Verified}, 0},
		{"several authors", letter{from: "g@ext.example, h@ext.example", verdict: store.Verified}, 0},
	} {
		c.mail.subject = "please wait"
		r := d.deliver(c.mail)
		rows, mails := d.deliveries(r.Ticket, store.MailTemplate)
		if len(rows) != c.want {
			t.Errorf("%s: %d answers", c.name, len(rows))
		}
		if acks, _ := d.deliveries(r.Ticket, store.MailAck); len(acks) != 0 {
			t.Errorf("%s: acknowledged, though a rule says no", c.name)
		}
		if c.want == 0 {
			continue
		}
		m, row := mails[0], rows[0]
		if row.ReturnPath != "" || m.AutoSubmitted != "auto-replied" || m.Subject != "[T#10001] About your message" || m.Text != "We look at T#10001." {
			t.Errorf("the answer is %+v, return path %q", m, row.ReturnPath)
		}
		list := d.activities(r.Ticket)
		out := list[len(list)-1]
		if out.Type != store.TypeOutgoing || out.Author.Kind != store.AuthorSystem || !d.ticket(r.Ticket).LastOutgoingAt.IsZero() || d.status(r.Ticket) != statusNew {
			t.Errorf("in the history it is %+v", out)
		}
	}
	r := d.deliver(letter{from: "a@ext.example", subject: "no word", verdict: store.Verified})
	if acks, _ := d.deliveries(r.Ticket, store.MailAck); len(acks) != 0 {
		t.Error("the answer of the rule did not count as one of the day")
	}
}

// Rules on a change look at what agents, mail and the system do, and never at
// what they led to themselves.
func TestRulesOnAChange(t *testing.T) {
	d := newDesk(t)
	d.rule(store.Rule{Name: "Urgent", When: store.RuleOnChange, Condition: `ticket.priority == "urgent" && ticket.owner == ""`,
		Actions: store.RuleActions{OwnerID: d.anna.ID, WatcherIDs: []string{d.ivo.ID}}})
	d.rule(store.Rule{Name: "Owned", When: store.RuleOnChange, Condition: `activity.changes.exists(c, c.field == "owner" && c.to == "Anna")`,
		Actions: store.RuleActions{AddTags: []string{"owned"}, Note: "It is Anna's."}})
	d.rule(store.Rule{Name: "Ping", When: store.RuleOnChange, Condition: `!("ping" in ticket.tags)`, Actions: store.RuleActions{AddTags: []string{"ping"}, RemoveTags: []string{"pong"}}})
	d.rule(store.Rule{Name: "Pong", When: store.RuleOnChange, Condition: `"ping" in ticket.tags`, Actions: store.RuleActions{AddTags: []string{"pong"}, RemoveTags: []string{"ping"}}})
	r := d.open()
	urgent := store.PriorityUrgent
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Priority: &urgent}); err != nil {
		t.Fatal(err)
	}
	ticket := d.ticket(r.Ticket)
	if ticket.OwnerID != d.anna.ID || !slices.Contains(ticket.Tags, "owned") {
		t.Errorf("the ticket is %+v", ticket)
	}
	list := d.activities(r.Ticket)
	if len(list) > 20 {
		t.Errorf("%d activities: the rules set each other off", len(list))
	}
	notes, byRule := 0, 0
	for _, a := range list {
		if a.Type == store.TypeNote {
			notes++
		}
		if a.Type == store.TypeStatusChange && a.Author.Kind == store.AuthorSystem && len(a.Rules) > 0 && strings.HasPrefix(a.Comment, "By ") {
			byRule++
		}
	}
	if notes != 1 || byRule < 2 {
		t.Errorf("%d notes and %d changes by rules: %+v", notes, byRule, list)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || !slices.Contains(view.Watchers, d.ivo.ID) {
		t.Errorf("the watchers are %v, %v", view.Watchers, err)
	}
}

// A rule waits its minutes, looks once for each time, and begins when it is made.
func TestRulesOnATime(t *testing.T) {
	d := newDesk(t)
	run := func(later time.Duration) {
		t.Helper()
		d.now = d.now.Add(later)
		if err := d.RunTimeRules(d.ctx); err != nil {
			t.Fatal(err)
		}
	}
	old := d.open()
	d.answer(old.Ticket, "before the rule")
	d.now = d.now.Add(100 * time.Hour)
	closing := d.rule(store.Rule{Name: "Close", When: store.RuleOnTime, Event: store.RuleStatus, AfterMinutes: 60,
		Condition: `ticket.status == "Answered"`, Actions: store.RuleActions{StatusID: d.statusID(statusClosed)}})
	run(0)
	r := d.deliver(letter{from: "carla@ext.example", subject: "another"})
	d.answer(r.Ticket, "done")
	run(59 * time.Minute)
	if d.status(r.Ticket) != statusAnswered {
		t.Fatalf("too early it is %s", d.status(r.Ticket))
	}
	run(time.Minute)
	if d.status(r.Ticket) != statusClosed || d.status(old.Ticket) != statusAnswered {
		t.Errorf("it is %s, and the old one %s", d.status(r.Ticket), d.status(old.Ticket))
	}
	list := d.activities(r.Ticket)
	last := list[len(list)-1]
	if last.Comment != "By Close" || last.Rules[0].ID != closing.ID || last.Author.Kind != store.AuthorSystem {
		t.Errorf("the change is %+v", last)
	}
	d.deliver(letter{from: "carla@ext.example", subject: fmt.Sprintf("[T#%d] not yet", r.Ticket)})
	d.answer(r.Ticket, "now")
	run(30 * time.Minute)
	if d.status(r.Ticket) != statusAnswered {
		t.Errorf("the second time too early: %s", d.status(r.Ticket))
	}
	run(31 * time.Minute)
	if d.status(r.Ticket) != statusClosed {
		t.Errorf("the second time it is %s", d.status(r.Ticket))
	}
}

// A rule that waits since anything happened does not take its own word for that.
func TestRulesOnATimeAreNotTheirOwnEvent(t *testing.T) {
	d := newDesk(t)
	d.rule(store.Rule{When: store.RuleOnTime, Event: store.RuleActivity, AfterMinutes: 10, Actions: store.RuleActions{Note: "Nobody did anything."}})
	if err := d.RunTimeRules(d.ctx); err != nil {
		t.Fatal(err)
	}
	r := d.open()
	for range 5 {
		d.now = d.now.Add(11 * time.Minute)
		if err := d.RunTimeRules(d.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.activities(r.Ticket)); n != 2 {
		t.Errorf("%d activities, want the mail and one note", n)
	}
}

// A reminder after some time goes to who last wrote, as an acknowledgement would.
func TestRulesRemind(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{When: store.RuleOnTime, Event: store.RuleOutgoing, AfterMinutes: 60, Condition: `!ticket.closed`,
		Actions: store.RuleActions{TemplateID: "wait", FreeOwner: true}})
	if err := d.RunTimeRules(d.ctx); err != nil {
		t.Fatal(err)
	}
	anna := d.anna.ID
	for _, mail := range []letter{{from: "a@ext.example", verdict: store.Verified}, {from: "b@ext.example"}} {
		mail.subject = "x"
		r := d.deliver(mail)
		if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{OwnerID: &anna}); err != nil {
			t.Fatal(err)
		}
		d.answer(r.Ticket, "well?")
	}
	internal, err := d.CreateTicket(d.ctx, d.anna, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "s", Text: "t"})
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Hour)
	if err := d.RunTimeRules(d.ctx); err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int64]int{10001: 1, 10002: 0, internal.Number: 0} {
		if rows, _ := d.deliveries(number, store.MailTemplate); len(rows) != want {
			t.Errorf("%d got %d reminders", number, len(rows))
		}
	}
	if owner := d.ticket(10001).OwnerID; owner != "" {
		t.Errorf("the owner is still %s", owner)
	}
}

// A rule that can't look is told of once, and counted each time.
func TestRulesThatFail(t *testing.T) {
	d := newDesk(t)
	var log strings.Builder
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	counted := map[store.RuleResult]int{}
	d.opt.Ruled = func(r store.RuleResult) { counted[r]++ }
	d.rule(store.Rule{Name: "Broken", Condition: `message.to[9] == "x"`})
	d.rule(store.Rule{Name: "Fine", Condition: `message.subject == "x"`})
	var r Result
	for range 3 {
		r = d.deliver(letter{from: "carla@ext.example", subject: "x"})
	}
	if n := strings.Count(log.String(), "a rule can't look"); n != 1 || !strings.Contains(log.String(), "rule=Broken") {
		t.Errorf("the log has it %d times: %s", n, log.String())
	}
	if counted[store.RuleFailed] != 3 || counted[store.RuleMatched] != 3 {
		t.Errorf("counted: %v", counted)
	}
	trace := d.activities(r.Ticket)[0].Rules
	if len(trace) != 2 || trace[0].Result != store.RuleFailed || !strings.Contains(trace[0].Why, "index out of bounds") {
		t.Errorf("the trace is %+v", trace)
	}
	if _, err := d.Explain(d.ctx, d.incoming(letter{from: "carla@ext.example", subject: "x"})); err != nil || counted[store.RuleFailed] != 3 {
		t.Errorf("explaining counts: %v, %v", counted, err)
	}
}

// A rule that calls a webhook writes it into the journal, in the transaction that
// files the mail; the webhook can't be deleted while the rule names it.
func TestRuleCallsAWebhook(t *testing.T) {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutWebhook(ctx, store.Webhook{ID: "hook", Name: "Pager", URL: "https://pager.example", Active: true})
	})
	rule := d.rule(store.Rule{Name: "Page", Condition: `message.subject == "Fire"`, Actions: store.RuleActions{WebhookID: "hook"}})
	d.deliver(letter{from: "carla@ext.example", subject: "Smoke"})
	r := d.deliver(letter{from: "carla@ext.example", subject: "Fire"})
	var called []store.Event
	for _, e := range d.events() {
		if e.Kind == store.EventRuleMatched {
			called = append(called, e)
		}
	}
	if len(called) != 1 || called[0].Ticket != r.Ticket || called[0].ActivityID != r.ActivityID || called[0].Data.Webhook != "hook" || called[0].Data.Rule != rule.ID {
		t.Errorf("called was %+v", called)
	}
	if a := d.last(r.Ticket); len(a.Rules) != 1 || !slices.Contains(a.Rules[0].Did, "webhook: Pager") {
		t.Errorf("the trace is %+v", a.Rules)
	}
	err := d.db.Update(d.ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteWebhook(ctx, "hook") })
	if store.ReasonOf(err) != store.ReasonInUse {
		t.Errorf("it was deleted: %v", err)
	}
	wantField(t, d.CheckRule(d.desk(), &store.Rule{Name: "x", When: store.RuleOnIntake, Condition: "true", Actions: store.RuleActions{WebhookID: "none"}}), "actions.webhook_id")
}
