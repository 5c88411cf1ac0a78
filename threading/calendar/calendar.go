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
	week     [7][]span    // by time.Weekday
	yearly   [13][32]bool // holidays of every year, by month and day
	holidays []holiday    // of one year each
}

// span is an opening on a day, in minutes since midnight.
type span struct{ from, to int }

// holiday is a range of days, both included, each as the number 20061231.
type holiday struct{ from, to int }

// Weekdays are the keys of a calendar's hours, Monday first.
func Weekdays() []string { return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

// horizon bounds how many years are looked at: a calendar may have so many holidays
// that it never opens.
const horizon = 10

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
		if !read.addHoliday(text) {
			return nil, store.Invalid("holidays["+strconv.Itoa(i)+"]", "is no day such as 2026-12-25 or 12-25, nor two with a / between them")
		}
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

// addHoliday reads a day, or two with all between them; false where it is none.
func (c *Calendar) addHoliday(text string) bool {
	from, to, ranged := strings.Cut(text, "/")
	if !ranged {
		to = from
	}
	if a, ok := dayNumber(from); ok {
		b, ok := dayNumber(to)
		c.holidays = append(c.holidays, holiday{a, b})
		return ok && a <= b
	}
	a, ok1 := dayNumber("2000-" + from) // a year that has a 29th of February
	b, ok2 := dayNumber("2000-" + to)
	for day := a; ok1 && ok2 && day <= b; day++ {
		if month, day := day/100%100, day%100; day < 32 {
			c.yearly[month][day] = true
		}
	}
	return ok1 && ok2 && a <= b
}

// dayNumber reads a day such as 2006-12-31 as 20061231.
func dayNumber(text string) (int, bool) {
	day, err := time.Parse(time.DateOnly, text)
	return numberOf(day), err == nil
}

func numberOf(day time.Time) int {
	year, month, d := day.Date()
	return year*10_000 + int(month)*100 + d
}

// closed tells whether a day is a holiday.
func (c *Calendar) closed(day time.Time) bool {
	number := numberOf(day)
	return c.yearly[number/100%100][number%100] ||
		slices.ContainsFunc(c.holidays, func(h holiday) bool { return h.from <= number && number <= h.to })
}

// opening is one time of being open.
type opening struct{ from, to time.Time }

// openings calls give for the times of being open between two moments, in their
// order, until it is false. Clocks that change make an opening longer or shorter, as
// its walls' clocks say.
func (c *Calendar) openings(from, until time.Time, give func(opening) bool) {
	local := from.In(c.zone)
	for i := 0; ; i++ {
		day := noon(local, i)
		if !c.at(day, 0).Before(until) {
			return
		}
		for _, s := range c.spans(day) {
			o := opening{later(c.at(day, s.from), from), earlier(c.at(day, s.to), until)}
			if o.from.Before(o.to) && !give(o) {
				return
			}
		}
	}
}

// openingsBack is openings from the last one to the first.
func (c *Calendar) openingsBack(from, until time.Time, give func(opening) bool) {
	local := until.In(c.zone)
	for i := 0; ; i-- {
		day := noon(local, i)
		if !c.at(day, 24*60).After(from) {
			return
		}
		for _, s := range slices.Backward(c.spans(day)) {
			o := opening{later(c.at(day, s.from), from), earlier(c.at(day, s.to), until)}
			if o.from.Before(o.to) && !give(o) {
				return
			}
		}
	}
}

// noon gives the middle of the day that lies some days after another.
func noon(day time.Time, after int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day()+after, 12, 0, 0, 0, day.Location())
}

// spans gives the openings of a day.
func (c *Calendar) spans(day time.Time) []span {
	if c.closed(day) {
		return nil
	}
	return c.week[day.Weekday()]
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// at gives when the clocks show a minute of a day; of one that they skip, when they
// skip it.
func (c *Calendar) at(day time.Time, minute int) time.Time {
	t := time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, c.zone)
	shown := numberOf(t)*24*60 + t.Hour()*60 + t.Minute()
	if minute == 24*60 {
		day, minute = noon(day, 1), 0
	}
	wanted := numberOf(day)*24*60 + minute
	if shown == wanted {
		return t
	}
	begins, ends := t.ZoneBounds()
	if shown < wanted {
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
	end := from.AddDate(horizon, 0, 0)
	c.openings(from, end, func(o opening) bool {
		if long := o.to.Sub(o.from); long < d {
			d -= long
			return true
		}
		end = o.from.Add(d)
		return false
	})
	return end.UTC()
}

// Back gives the last moment since which d of business time has passed by to: what
// happened by then is at least so long ago. It is false where ten years hold less
// than d.
func (c *Calendar) Back(to time.Time, d time.Duration) (time.Time, bool) {
	if c == nil || d <= 0 {
		return to.Add(-max(0, d)), true
	}
	var start time.Time
	c.openingsBack(to.AddDate(-horizon, 0, 0), to, func(o opening) bool {
		if long := o.to.Sub(o.from); long < d {
			d -= long
			return true
		}
		start = o.to.Add(-d).UTC()
		return false
	})
	return start, !start.IsZero()
}

// Between gives the business time between two moments, of the first ten years; 0
// where b is not after a.
func (c *Calendar) Between(a, b time.Time) time.Duration {
	if !b.After(a) {
		return 0
	}
	if c == nil {
		return b.Sub(a)
	}
	var sum time.Duration
	c.openings(a, earlier(b, a.AddDate(horizon, 0, 0)), func(o opening) bool {
		sum += o.to.Sub(o.from)
		return true
	})
	return sum
}

// Open tells whether a moment lies within the hours; when they end they are over.
func (c *Calendar) Open(at time.Time) bool {
	if c == nil {
		return true
	}
	day := noon(at.In(c.zone), 0)
	return slices.ContainsFunc(c.spans(day), func(s span) bool {
		return !at.Before(c.at(day, s.from)) && at.Before(c.at(day, s.to))
	})
}
