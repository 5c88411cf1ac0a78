// Package calendar counts business time: the hours of a week in a time zone,
// without the holidays.
package calendar

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketgate/store"
)

// Calendar counts time within its hours. A nil Calendar is always open. It is not
// changed after New, and safe for concurrent use.
type Calendar struct {
	zone     *time.Location
	week     [7][]span // by time.Weekday
	holidays []holiday
}

// span is an opening on a day, in minutes since midnight.
type span struct{ from, to int }

// holiday is a range of days, both included; in every year where yearly is set.
type holiday struct {
	from, to string // 2006-01-02, or 01-02
	yearly   bool
}

// Weekdays are the keys of a calendar's hours, Monday first.
func Weekdays() []string { return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

// horizon bounds how many days are looked at: more than ten years.
const horizon = 3700

// New reads a calendar. Errors are invalid, with the field.
func New(c store.Calendar) (*Calendar, error) {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil || c.Timezone == "Local" {
		return nil, store.Invalid("timezone", "is none that is known, such as Europe/Berlin")
	}
	read := &Calendar{zone: zone}
	open := false
	for day, ranges := range c.Hours {
		at := slices.Index(Weekdays(), day)
		if at < 0 {
			return nil, store.Invalid("hours", "has the days %s", strings.Join(Weekdays(), ", "))
		}
		spans, err := readSpans(ranges)
		if err != nil {
			return nil, store.Invalid("hours."+day, "%v", err)
		}
		read.week[(at+1)%7] = spans
		open = open || len(spans) > 0
	}
	if !open {
		return nil, store.Invalid("hours", "must open at some time of the week")
	}
	for i, text := range c.Holidays {
		h, ok := readHoliday(text)
		if !ok {
			return nil, store.Invalid("holidays["+strconv.Itoa(i)+"]", "is no day such as 2026-12-25 or 12-25, nor two with a / between them")
		}
		read.holidays = append(read.holidays, h)
	}
	return read, nil
}

func readSpans(ranges []string) ([]span, error) {
	spans := make([]span, 0, len(ranges))
	for _, text := range ranges {
		from, to, ok := strings.Cut(text, "-")
		s := span{minutes(from), minutes(to)}
		if !ok || s.from < 0 || s.to <= s.from {
			return nil, errors.New("there is one that is no range such as 09:00-17:00, within one day")
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return nil, errors.New("the ranges overlap")
		}
	}
	return spans, nil
}

// minutes reads 09:30, and 24:00 as the end of the day; -1 for what is no time.
func minutes(text string) int {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return 24 * 60
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return -1
	}
	return t.Hour()*60 + t.Minute()
}

func readHoliday(text string) (holiday, bool) {
	from, to, ranged := strings.Cut(text, "/")
	if !ranged {
		to = from
	}
	for _, layout := range []string{time.DateOnly, "01-02"} {
		_, err1 := time.Parse(layout, from)
		_, err2 := time.Parse(layout, to)
		if layout == "01-02" && err1 != nil && from == "02-29" { // no such day in the year 0 of a bare layout
			err1, err2 = nil, err1
		}
		if err1 == nil && err2 == nil && from <= to {
			return holiday{from: from, to: to, yearly: layout == "01-02"}, true
		}
	}
	return holiday{}, false
}

// closed tells whether a day is a holiday.
func (c *Calendar) closed(day time.Time) bool {
	full := day.Format(time.DateOnly)
	return slices.ContainsFunc(c.holidays, func(h holiday) bool {
		text := full
		if h.yearly {
			text = full[5:]
		}
		return h.from <= text && text <= h.to
	})
}

// opening is one time of being open.
type opening struct{ from, to time.Time }

// openings calls give for the times of being open from a time on, in their order,
// until it is false or the horizon is reached. Clocks that change make an opening
// longer or shorter, as its walls' clocks say.
func (c *Calendar) openings(from time.Time, give func(opening) bool) {
	local := from.In(c.zone)
	for i := range horizon {
		day := time.Date(local.Year(), local.Month(), local.Day()+i, 12, 0, 0, 0, c.zone)
		if c.closed(day) {
			continue
		}
		for _, s := range c.week[day.Weekday()] {
			o := opening{c.at(day, s.from), c.at(day, s.to)}
			if o.from.Before(from) {
				o.from = from
			}
			if o.from.Before(o.to) && !give(o) {
				return
			}
		}
	}
}

// at gives when the clocks show a minute of a day; of one that they skip, when they
// skip it.
func (c *Calendar) at(day time.Time, minute int) time.Time {
	t := time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, c.zone)
	shown := t.Hour()*60 + t.Minute()
	if shown == minute%(24*60) {
		return t
	}
	begins, ends := t.ZoneBounds()
	if shown < minute {
		return ends
	}
	return begins
}

// Add gives the moment by which d of business time has passed since from: the
// first one, so that it lies within the hours, or at their end. For no time, or
// less, it is from itself. What lies beyond ten years is given as the end of those.
func (c *Calendar) Add(from time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return from
	}
	if c == nil {
		return from.Add(d)
	}
	end := from.AddDate(10, 0, 0)
	c.openings(from, func(o opening) bool {
		if long := o.to.Sub(o.from); long < d {
			d -= long
			return true
		}
		end = o.from.Add(d)
		return false
	})
	return end.UTC()
}

// Between gives the business time between two moments; 0 where b is not after a.
func (c *Calendar) Between(a, b time.Time) time.Duration {
	if !b.After(a) {
		return 0
	}
	if c == nil {
		return b.Sub(a)
	}
	var sum time.Duration
	c.openings(a, func(o opening) bool {
		if !o.from.Before(b) {
			return false
		}
		if o.to.After(b) {
			o.to = b
		}
		sum += o.to.Sub(o.from)
		return true
	})
	return sum
}
