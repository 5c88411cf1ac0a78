package threading

import (
	"testing"

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
