package threading

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// office makes a calendar: Monday to Friday from 9 to 17 in Berlin, but for Christmas
// and what else is given.
func (d *desk) office(name string, holidays ...string) store.Calendar {
	d.t.Helper()
	c := store.Calendar{ID: store.NewID(), Name: name, Timezone: "Europe/Berlin", Hours: map[string][]string{}, Holidays: append(holidays, "12-25/12-26")}
	for _, day := range []string{"mon", "tue", "wed", "thu", "fri"} {
		c.Hours[day] = []string{"09:00-17:00"}
	}
	d.putCalendar(c)
	return c
}

func (d *desk) putCalendar(c store.Calendar) {
	d.t.Helper()
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCalendar(ctx, c) })
}

// runAt lets the rules look that wait, at a time.
func (d *desk) runAt(text string) {
	d.t.Helper()
	d.now = moment(d.t, text)
	if err := d.RunTimeRules(d.ctx); err != nil {
		d.t.Fatal(err)
	}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

// A rule that counts by a calendar waits for its business minutes: over nights,
// weekends, holidays and the days on which clocks change.
func TestRulesOnBusinessTime(t *testing.T) {
	for _, c := range []struct{ name, came, before, due string }{
		{"within a day", "2026-11-25 09:30 +0100", "2026-11-25 13:29 +0100", "2026-11-25 13:30 +0100"},
		{"over a night", "2026-11-25 15:00 +0100", "2026-11-26 10:59 +0100", "2026-11-26 11:00 +0100"},
		{"over a weekend", "2026-11-27 22:00 +0100", "2026-11-30 12:59 +0100", "2026-11-30 13:00 +0100"},
		{"over Christmas", "2026-12-24 16:00 +0100", "2026-12-28 11:59 +0100", "2026-12-28 12:00 +0100"},
		{"clocks go forward", "2026-03-27 14:00 +0100", "2026-03-30 09:59 +0200", "2026-03-30 10:00 +0200"},
		{"clocks go back", "2026-10-23 14:00 +0200", "2026-10-26 09:59 +0100", "2026-10-26 10:00 +0100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			cal := d.office("Office")
			d.rule(store.Rule{Name: "Silence", When: store.RuleOnTime, Event: store.RuleIncoming, AfterMinutes: 4 * 60, CalendarID: cal.ID,
				Condition: `!ticket.closed && time.open("Office") == (time.hour < 16) && time.business_minutes("Office", ticket.last_incoming_at) >= 240`,
				Actions:   store.RuleActions{Priority: store.PriorityHigh}})
			d.runAt(c.came)
			r := d.deliver(letter{from: "carla@ext.example", subject: "x"})
			if d.runAt(c.before); d.ticket(r.Ticket).Priority != store.PriorityNormal {
				t.Errorf("at %s it is too early", c.before)
			}
			if d.runAt(c.due); d.ticket(r.Ticket).Priority != store.PriorityHigh {
				t.Errorf("at %s nothing is done", c.due)
			}
			for range 3 {
				d.now = d.now.Add(24 * time.Hour)
				d.runAt(d.now.Format("2006-01-02 15:04 -0700"))
			}
			if n := len(d.activities(r.Ticket)); n != 2 {
				t.Errorf("%d activities, want the mail and one change", n)
			}
		})
	}
}

// A rule whose calendar does not open waits; what came before it opens is left alone,
// as before a rule that is made.
func TestRulesOnATimeThatNeverComes(t *testing.T) {
	d := newDesk(t)
	cal := d.office("Office", "01-01/12-31")
	d.rule(store.Rule{Name: "Silence", When: store.RuleOnTime, Event: store.RuleCreated, AfterMinutes: 60, CalendarID: cal.ID,
		Actions: store.RuleActions{Priority: store.PriorityHigh}})
	d.runAt("2026-11-25 09:00 +0100")
	old := d.deliver(letter{from: "carla@ext.example", subject: "x"})
	d.runAt("2026-11-27 12:00 +0100")
	cal.Holidays = nil
	d.putCalendar(cal)
	d.runAt("2026-11-27 12:01 +0100")
	fresh := d.deliver(letter{from: "otto@ext.example", subject: "y"})
	d.runAt("2026-11-27 13:01 +0100")
	if before, after := d.ticket(old.Ticket).Priority, d.ticket(fresh.Ticket).Priority; before != store.PriorityNormal || after != store.PriorityHigh {
		t.Errorf("the old one is %s, the new one %s", before, after)
	}
}

// A calendar that rules count by stays, and one that a condition names keeps its name.
func TestACalendarThatRulesName(t *testing.T) {
	d := newDesk(t)
	waited, named := d.office("Waited"), d.office("Named")
	waits := d.rule(store.Rule{Name: "Waits", When: store.RuleOnTime, Event: store.RuleCreated, AfterMinutes: 1, CalendarID: waited.ID})
	asks := d.rule(store.Rule{Name: "Asks", Condition: `time.open("Named") || !time.open("Named")`, Actions: store.RuleActions{Priority: store.PriorityHigh}})
	remove := func(id string) error {
		return d.db.Update(d.ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCalendar(ctx, id) })
	}
	rename := func(c store.Calendar) error {
		c.Name += " too"
		return d.db.Update(d.ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutCalendar(ctx, c) })
	}
	for name, c := range map[string]struct {
		err  error
		rule string
	}{
		"removing what a rule waits by": {remove(waited.ID), waits.Name}, "removing what a condition names": {remove(named.ID), asks.Name},
		"renaming what a condition names": {rename(named), asks.Name},
	} {
		if store.ReasonOf(c.err) != store.ReasonInUse || !strings.Contains(fmt.Sprint(c.err), "rule "+c.rule) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if err := rename(waited); err != nil {
		t.Errorf("renaming what a rule waits by: %v", err)
	}
	named.Hours = map[string][]string{"sun": {"00:00-24:00"}}
	d.putCalendar(named) // other hours, the same name
	asks.Condition = "true"
	if err := d.CheckRule(d.desk(), &asks); err != nil || len(asks.Calendars) > 0 {
		t.Fatalf("%v, %v", asks.Calendars, err)
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutRule(ctx, asks) })
	if err := remove(named.ID); err != nil {
		t.Errorf("removing what no rule names any more: %v", err)
	}
	for field, r := range map[string]store.Rule{
		"condition":   {Name: "x", When: store.RuleOnIntake, Condition: `time.open("Named")`},
		"calendar_id": {Name: "x", When: store.RuleOnTime, Event: store.RuleCreated, AfterMinutes: 1, CalendarID: named.ID},
	} {
		wantField(t, d.CheckRule(d.desk(), &r), field)
	}
	wantField(t, d.CheckRule(d.desk(), &store.Rule{Name: "x", When: store.RuleOnIntake, CalendarID: waited.ID}), "calendar_id")
}

// A calendar that can't be read any more is no reason to act, nor to lose a mail.
func TestRulesWithoutTheirCalendar(t *testing.T) {
	d := newDesk(t)
	cal := d.office("Office")
	d.rule(store.Rule{Name: "Asks", Condition: `!time.open("Office")`, Actions: store.RuleActions{Quarantine: true}})
	d.rule(store.Rule{Name: "Waits", When: store.RuleOnTime, Event: store.RuleCreated, AfterMinutes: 1, CalendarID: cal.ID,
		Actions: store.RuleActions{Priority: store.PriorityHigh}})
	d.runAt("2026-11-25 10:00 +0100")
	cal.Timezone = "Mars/Base" // which the machine does not know any more
	d.putCalendar(cal)
	r := d.deliver(letter{from: "carla@ext.example", subject: "x"})
	if trace := d.activities(r.Ticket)[0].Rules; len(trace) != 1 || trace[0].Result != store.RuleFailed || !strings.Contains(trace[0].Why, "there is no calendar") {
		t.Errorf("the trace is %+v", trace)
	}
	if d.runAt("2026-11-25 15:00 +0100"); d.ticket(r.Ticket).Priority != store.PriorityNormal {
		t.Error("it acted without its calendar")
	}
	cal.Timezone = "Europe/Berlin"
	d.putCalendar(cal)
	if d.runAt("2026-11-25 15:01 +0100"); d.ticket(r.Ticket).Priority != store.PriorityHigh {
		t.Error("the calendar is there again, and it does not act")
	}
}
