package threading

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// A trial looks at each mail when it came, as the rule would have.
func TestATrialIsAtTheTimeOfTheMail(t *testing.T) {
	d := newDesk(t)
	d.office("Office")
	d.now = moment(t, "2026-11-25 10:00 +0100")
	day := d.deliver(letter{from: "carla@ext.example", subject: "day"})
	d.now = moment(t, "2026-11-25 22:00 +0100")
	night := d.deliver(letter{from: "otto@ext.example", subject: "night"})
	d.now = moment(t, "2026-11-28 12:00 +0100")
	for condition, want := range map[string]int64{
		`time.open("Office")`: day.Ticket, `!time.open("Office")`: night.Ticket, `time.hour == 21`: night.Ticket, `time.hour == 9 && time.weekday == "wednesday"`: day.Ticket,
		`time.business_minutes("Office", timestamp("2026-11-25T08:30:00Z")) == 30`: day.Ticket,
	} {
		r, err := d.TryRule(d.ctx, d.admin, Trial{Rule: store.Rule{When: store.RuleOnIntake, Condition: condition}, Limit: 10})
		if err != nil || r.Tried != 2 || len(r.Mails) != 1 || r.Mails[0].Ticket != want {
			t.Errorf("%s: %+v, %v", condition, r, err)
		}
	}
}

// Rules that wait for each other come to rest: none looks at what follows from itself,
// however long after.
func TestRulesOnATimeDoNotPlayWithEachOther(t *testing.T) {
	for _, event := range []store.RuleEvent{store.RuleActivity, store.RuleStatus} {
		t.Run(string(event), func(t *testing.T) {
			d := newDesk(t)
			for i, status := range []string{statusNew, statusInProgress, statusAnswered} {
				next := []string{statusInProgress, statusAnswered, statusNew}[i]
				a := store.RuleActions{StatusID: d.statusID(next)}
				if event == store.RuleActivity {
					a = store.RuleActions{Note: fmt.Sprint("Nobody did anything ", i)}
				}
				d.rule(store.Rule{Name: status, When: store.RuleOnTime, Event: event, AfterMinutes: 10 + i, Actions: a,
					Condition: fmt.Sprintf(`%v || ticket.status == "%s"`, event == store.RuleActivity, status)})
			}
			run := func(times int) {
				t.Helper()
				for range times {
					if d.now = d.now.Add(5 * time.Minute); d.RunTimeRules(d.ctx) != nil {
						t.Fatal("they do not run")
					}
				}
			}
			run(1)
			r := d.open()
			run(100)
			if n := len(d.activities(r.Ticket)); n != 4 {
				t.Errorf("%d activities, want the mail and one by each rule", n)
			}
			d.close(r.Ticket)
			status := d.statusID(statusNew)
			if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{StatusID: &status}); err != nil {
				t.Fatal(err)
			}
			was := len(d.activities(r.Ticket))
			run(100)
			if n := len(d.activities(r.Ticket)) - was; n != 3 {
				t.Errorf("after an agent did something they did %d things, want one each", n)
			}
		})
	}
}

// What an admin let out of the quarantine is spared there. What a later look-up lets
// out nobody has seen: the rules say what becomes of it.
func TestRulesLookAtWhatDNSLetsOut(t *testing.T) {
	d := newDesk(t)
	d.setChannel(func(c *store.Channel) { c.RequireDKIM = "quarantine" })
	d.rule(store.Rule{Name: "Spam", Condition: `message.subject == "spam"`, Actions: store.RuleActions{Quarantine: true}})
	for subject, want := range map[string]string{"spam": "rule", "ham": ""} {
		in, r := d.waiting(letter{from: "carla@ext.example", subject: subject})
		if r.Outcome != OutcomeQuarantine {
			t.Fatalf("%s: %+v", subject, r)
		}
		d.recheckAs(in, store.Verified)
		in.Auth.Verdict = store.Verified
		reason := ""
		for _, q := range d.quarantined() {
			reason = q.Reason
			if _, err := d.Release(d.ctx, d.admin, q.ID, in); err != nil {
				t.Errorf("an admin releases it: %v", err)
			}
		}
		if reason != want {
			t.Errorf("%s waits as %q, want %q", subject, reason, want)
		}
		if r := d.take(in)[0]; r.Outcome != OutcomeDuplicate || r.Ticket == 0 || len(d.quarantined()) != 0 {
			t.Errorf("%s ends as %+v", subject, r)
		}
	}
}

// Several rules with several answers to one mail are one address's automatic mails of
// the day, and keep its limits together.
func TestAnswersOfManyRules(t *testing.T) {
	for name, c := range map[string]struct {
		known bool
		want  int
	}{"a stranger gets one": {false, 1}, "a known contact gets what ack_limit says": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.furnishRules()
			d.setChannel(ack)
			d.setChannel(func(c *store.Channel) { c.AckLimit = 3 })
			for _, when := range []store.RuleWhen{store.RuleOnIntake, store.RuleOnChange, store.RuleOnChange, store.RuleOnChange} {
				d.rule(store.Rule{When: when, Actions: store.RuleActions{TemplateID: "wait"}})
			}
			if c.known {
				d.put(store.Contact{Name: "Carla"}, "carla@ext.example")
			}
			var sent int
			for i := range 4 {
				r := d.deliver(letter{from: "carla@ext.example", subject: fmt.Sprint("matter ", i), verdict: store.Verified})
				acks, _ := d.deliveries(r.Ticket, store.MailAck)
				answers, _ := d.deliveries(r.Ticket, store.MailTemplate)
				sent += len(acks) + len(answers)
			}
			if sent != c.want {
				t.Errorf("%d automatic mails, want %d", sent, c.want)
			}
		})
	}
}

// A number that an agent typed joins mail as one that a rule found.
func TestANumberThatAnAgentTyped(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{Name: "Jira", Actions: store.RuleActions{Extract: &store.RuleExtract{Field: "jira", From: store.ExtractSubject, Pattern: `(?i)\b[a-z]{2,10}-\d+\b`}}})
	first := d.deliver(letter{from: "carla@ext.example", subject: "Broken"})
	if _, err := d.PatchTicket(d.ctx, d.anna, first.Ticket, TicketPatch{Fields: map[string]any{"jira": " Abc-12 "}}); err != nil {
		t.Fatal(err)
	}
	if r := d.deliver(letter{from: "carla@ext.example", subject: "Abc-12 is done"}); r.Ticket != first.Ticket {
		t.Errorf("it went to %d by %s", r.Ticket, r.MatchedBy)
	}
}

// The trace, explain and a trial tell of the answers that go out, and of the others why
// they don't.
func TestTheTraceTellsWhichAnswersGo(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.setChannel(ack)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutWebhook(ctx, store.Webhook{ID: "hook", Name: "Pager", URL: "https://pager.example", Active: true})
	})
	d.rule(store.Rule{Name: "One", Condition: `message.subject == "wait"`, Actions: store.RuleActions{TemplateID: "wait", NoAcknowledgement: true, WebhookID: "hook"}})
	d.rule(store.Rule{Name: "Two", Actions: store.RuleActions{TemplateID: "wait"}})
	d.rule(store.Rule{Name: "Three", When: store.RuleOnChange, Condition: `activity.type == "incoming"`, Actions: store.RuleActions{TemplateID: "wait", AddTags: []string{"t"}}})
	for _, c := range []struct {
		name, want, changed string
		mail                letter
	}{
		{"one of two", "One [no acknowledgement webhook: Pager answer: Wait] [] Two [] [answer: the address had its acknowledgements of the day]", "Three [tags: none -> t] [answer: the address had its acknowledgements of the day]",
			letter{from: "a@ext.example", subject: "wait", verdict: store.Verified}},
		{"acknowledged before", "Two [] [answer: the address had its acknowledgements of the day]", "Three [tags: none -> t] [answer: the address had its acknowledgements of the day]",
			letter{from: "b@ext.example", subject: "x", verdict: store.Verified}},
		{"nobody who is known", "Two [] [answer: the sender is not verified]", "Three [tags: none -> t] [answer: the sender is not verified]", letter{from: "c@ext.example", subject: "x"}},
		{"a machine", "Two [] [answer: a machine wrote it]", "Three [tags: none -> t] [answer: a machine wrote it]",
			letter{from: "d@ext.example", subject: "x", verdict: store.Verified, header: "Auto-Submitted: auto-generated\r\n"}},
	} {
		in := d.incoming(c.mail)
		x, err := d.Explain(d.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		r := d.take(in)[0]
		list := d.activities(r.Ticket)
		if got := traced(list[0].Rules); got != c.want {
			t.Errorf("%s: the mail says %s, want %s", c.name, got, c.want)
		}
		if got := traced(x.Rules); got != c.want {
			t.Errorf("%s: explain says %s, want %s", c.name, got, c.want)
		}
		if n := len(x.Effects.Templates); n != strings.Count(c.want, "webhook: Pager answer: Wait]") || len(x.Effects.Webhooks) != n {
			t.Errorf("%s: explain tells of %+v", c.name, x.Effects)
		}
		if got := traced(d.last(r.Ticket).Rules); got != c.changed {
			t.Errorf("%s: the change says %s, want %s", c.name, got, c.changed)
		}
	}
	tried, err := d.TryRule(d.ctx, d.admin, Trial{Rule: store.Rule{When: store.RuleOnIntake, Actions: store.RuleActions{TemplateID: "wait"}}, Limit: 10})
	if err != nil || fmt.Sprint(tried.Mails[0].Refused, tried.Mails[3].Did) != "[answer: a machine wrote it] [answer: Wait]" {
		t.Errorf("tried: %+v, %v", tried.Mails, err)
	}
}

// traced gives what rules that held did and could not do.
func traced(list []store.RuleTrace) string {
	var told []string
	for _, r := range list {
		if r.Result == store.RuleMatched {
			told = append(told, fmt.Sprint(r.Name, " ", r.Did, " ", r.Refused))
		}
	}
	return strings.Join(told, " ")
}

// A mail to two of our accounts opens two tickets, and a rule answers it once.
func TestARuleAnswersAMailOnce(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	second := d.secondAccount("sales")
	d.put(store.Contact{Name: "Carla"}, "carla@ext.example")
	for _, when := range []store.RuleWhen{store.RuleOnIntake, store.RuleOnChange} {
		d.rule(store.Rule{Name: string(when), When: when, Condition: `activity.type == "incoming"`, Actions: store.RuleActions{TemplateID: "wait"}})
	}
	in := d.incoming(letter{from: "carla@ext.example", subject: "x", verdict: store.Verified})
	in.Recipients = append(in.Recipients, second.Address)
	sent := 0
	for _, r := range d.take(in) {
		rows, _ := d.deliveries(r.Ticket, store.MailTemplate)
		sent += len(rows)
	}
	if sent != 2 {
		t.Errorf("%d answers, want one by each rule", sent)
	}
}

// A mail that an agent hid is answered by no rule.
func TestNoRuleAnswersWhatIsHidden(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{Name: "Late", When: store.RuleOnChange, Condition: `ticket.priority == "high"`, Actions: store.RuleActions{TemplateID: "wait"}})
	r := d.deliver(letter{from: "carla@ext.example", subject: "x", verdict: store.Verified})
	d.hide(r.Ticket, r.ActivityID)
	high := store.PriorityHigh
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{Priority: &high}); err != nil {
		t.Fatal(err)
	}
	if rows, _ := d.deliveries(r.Ticket, store.MailTemplate); len(rows) != 0 {
		t.Error("it was answered")
	}
}

// A subject that has no end costs its beginning, however many rules look for numbers.
func TestNumbersInALongSubject(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{Name: "Jira", Condition: `message.subject.size() <= 32768`,
		Actions: store.RuleActions{Extract: &store.RuleExtract{Field: "jira", From: store.ExtractSubject, Pattern: `ABC-\d+`}}})
	first := d.deliver(letter{from: "carla@ext.example", subject: strings.Repeat("word ", 10_000) + "ABC-1"})
	if trace := d.activities(first.Ticket)[0].Rules; len(trace) != 1 || len(trace[0].Did) != 0 {
		t.Errorf("the trace is %+v", trace)
	}
	second := d.deliver(letter{from: "carla@ext.example", subject: strings.Repeat("word ", 100) + "ABC-2"})
	if r := d.deliver(letter{from: "carla@ext.example", subject: strings.Repeat("word ", 10_000) + "ABC-2"}); r.Ticket == second.Ticket {
		t.Error("it was looked for to the end")
	}
}

// Of a mail that a rule puts into the quarantine nothing else is done, nor told.
func TestTheTraceOfWhatIsPutAside(t *testing.T) {
	d := newDesk(t)
	d.furnishRules()
	d.rule(store.Rule{Name: "First", Actions: store.RuleActions{Priority: store.PriorityHigh, TemplateID: "wait", Note: "n", WatcherIDs: []string{d.anna.ID}}})
	d.rule(store.Rule{Name: "Spam", Condition: `message.subject == "spam"`, Actions: store.RuleActions{Quarantine: true, AddTags: []string{"spam"}}})
	const want = "First [] [] Spam [quarantine] []"
	in := d.incoming(letter{from: "carla@ext.example", subject: "spam", verdict: store.Verified})
	x, err := d.Explain(d.ctx, in)
	if err != nil || traced(x.Rules) != want || !x.Effects.Quarantine || len(x.Effects.Templates)+x.Effects.Notes+len(x.Effects.Watchers) != 0 {
		t.Errorf("explain says %s, %+v, %v", traced(x.Rules), x.Effects, err)
	}
	d.take(in)
	if got := traced(d.quarantined()[0].Rules); got != want {
		t.Errorf("the quarantine says %s", got)
	}
	high := d.deliver(letter{from: "carla@ext.example", subject: "hello", verdict: store.Verified})
	reply := d.incoming(letter{from: "carla@ext.example", subject: fmt.Sprintf("[T#%d] spam", high.Ticket), verdict: store.Verified})
	d.rule(store.Rule{Name: "Reply", Condition: `message.subject.endsWith("spam")`, Actions: store.RuleActions{Quarantine: true}})
	if r := d.take(reply)[0]; r.Outcome != OutcomeQuarantine || traced(d.quarantined()[0].Rules) != "First [] [] Reply [quarantine] []" {
		t.Errorf("%+v: %s", r, traced(d.quarantined()[0].Rules))
	}
}
