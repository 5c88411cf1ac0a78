package rules

import (
	"errors"
	"testing"
	"time"
)

// nineToFive is open from nine to five, UTC, on every day.
type nineToFive struct{ looked int }

func (n *nineToFive) Open(at time.Time) bool {
	n.looked++
	return at.Hour() >= 9 && at.Hour() < 17
}

func (n *nineToFive) Between(a, b time.Time) time.Duration {
	n.looked++
	return b.Sub(a) / 3
}

// officeFacts are someFacts with a calendar Office.
func officeFacts(hours *nineToFive) *Facts {
	f := someFacts()
	f.Ticket.CreatedAt = f.Time.Now.Add(-9 * time.Hour)
	f.Time.Calendar = func(name string) Hours {
		if name != "Office" {
			return nil
		}
		return hours
	}
	return f
}

func TestBusinessTime(t *testing.T) {
	c := compiler(t)
	for text, want := range map[string]bool{
		`time.open("Office")`: false, // it is half past six
		`time.business_minutes("Office", ticket.created_at) == 180`:                                                      true,
		`time.business_minutes("Office", ticket.last_incoming_at) == -1`:                                                 true,
		`time.business_minutes("Office", time.now) == 0`:                                                                 true,
		`time.business_minutes("Office", timestamp("2026-11-25T15:30:00Z")) >= 60`:                                       true,
		`time.now - ticket.created_at == duration("9h")`:                                                                 true,
		`ticket.updated_at < ticket.created_at && ticket.status_at == ticket.last_outgoing_at && !has(ticket.status_at)`: true,
		`[1, 2].all(n, time.open("Office") || time.business_minutes("Office", ticket.created_at) > n)`:                   true,
		`ticket.new && !time.open("Office") && time.business_minutes('Office', ticket.created_at) == 1`:                  false,
	} {
		condition, err := c.Compile(OnIntake, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _, err := condition.Holds(t.Context(), officeFacts(&nineToFive{})); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
		for _, named := range condition.Calendars() {
			if named.Name != "Office" || named.Line != 1 || named.Column < 1 {
				t.Errorf("%s names %+v", text, named)
			}
		}
	}
}

// A calendar that is not there is an error of the condition, whoever asks for it.
func TestBusinessTimeWithoutACalendar(t *testing.T) {
	c := compiler(t)
	for _, text := range []string{`time.open("Gone")`, `time.business_minutes("Gone", ticket.created_at) > 0`, `rules.Moment{}.open("Office")`} {
		condition, err := c.Compile(OnTime, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*Facts{officeFacts(&nineToFive{}), someFacts()} {
			if holds, _, err := condition.Holds(t.Context(), f); holds || err == nil || errors.Is(err, ErrOverLimit) {
				t.Errorf("%s: %v, %v", text, holds, err)
			}
		}
	}
}

// Counting over years costs what it takes, and loops over it end.
func TestBusinessTimeIsBounded(t *testing.T) {
	condition, err := compiler(t).Compile(OnIntake,
		`message.to.all(a, message.to.all(b, time.business_minutes("Office", timestamp("1971-01-02T00:00:00Z")) >= 0))`)
	if err != nil {
		t.Fatal(err)
	}
	hours := &nineToFive{}
	f := officeFacts(hours)
	for range 100 {
		f.Message.To = append(f.Message.To, "a")
	}
	if _, cost, err := condition.Holds(t.Context(), f); !errors.Is(err, ErrOverLimit) || hours.looked > 30 {
		t.Errorf("%d looks for %d: %v", hours.looked, cost, err)
	}
}
