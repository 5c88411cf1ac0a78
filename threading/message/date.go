package message

import (
	"strconv"
	"strings"
	"time"
)

// maxDateLen bounds a Date field that is looked at.
const maxDateLen = 200

// ParseDate reads a date as RFC 5322, 3.3 and 4.3 write it, and as mailers do:
// weekday or none, two-digit years, names for zones, comments, ISO 8601. The
// zero time stands for anything that is no date.
func ParseDate(s string) time.Time {
	if len(s) > maxDateLen {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, strings.TrimSpace(s)); err == nil {
		return t
	}
	if open := strings.IndexByte(s, '('); open >= 0 {
		s = s[:open]
	}
	var d dateWords
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '\r' || r == '\n' }) {
		d.take(word)
	}
	return d.time()
}

// dateWords collects the parts of a date in whatever order they come.
type dateWords struct {
	day, year, month  int
	hour, minute, sec int
	zone              int // seconds east of UTC
	clock, bad        bool
}

func (d *dateWords) take(word string) {
	switch {
	case strings.IndexByte(word, ':') > 0:
		d.takeClock(word)
	case d.clock && (word[0] == '+' || word[0] == '-'):
		d.takeOffset(word)
	case word[0] >= '0' && word[0] <= '9':
		d.takeNumber(word)
	default:
		d.takeName(word)
	}
}

func (d *dateWords) takeClock(word string) {
	parts := strings.SplitN(word, ":", 4)
	if len(parts) > 3 || d.clock {
		d.bad = true
		return
	}
	values := [3]int{}
	for i, p := range parts {
		p, _, _ = strings.Cut(p, ".")
		n, err := strconv.Atoi(p)
		d.bad = d.bad || err != nil || n < 0 || n > 60
		values[i] = n
	}
	d.hour, d.minute, d.sec, d.clock = values[0], values[1], values[2], true
}

func (d *dateWords) takeOffset(word string) {
	digits := strings.ReplaceAll(word[1:], ":", "")
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 4 || n < 0 || n/100 > 24 || n%100 > 59 {
		return // a zone that can't be read is UTC, the date is still good
	}
	d.zone = n/100*3600 + n%100*60
	if word[0] == '-' {
		d.zone = -d.zone
	}
}

func (d *dateWords) takeNumber(word string) {
	if parts := strings.Split(word, "-"); len(parts) == 3 { // 21-Nov-97
		for _, p := range parts {
			if p != "" {
				d.take(p)
			}
		}
		return
	}
	n, err := strconv.Atoi(word)
	switch {
	case err != nil:
		d.bad = true
	case d.day == 0 && n >= 1 && n <= 31:
		d.day = n
	case d.year == 0 && (len(word) == 4 || d.month != 0 && len(word) <= 3):
		d.year = fullYear(n, len(word))
	}
}

// fullYear completes the short years of RFC 5322, 4.3.
func fullYear(n, digits int) int {
	switch {
	case digits > 3:
		return n
	case digits == 3 || n >= 50:
		return 1900 + n
	}
	return 2000 + n
}

func (d *dateWords) takeName(word string) {
	if len(word) >= 3 && d.month == 0 {
		const months = "janfebmaraprmayjunjulaugsepoctnovdec"
		if i := strings.Index(months, strings.ToLower(word[:3])); i >= 0 && i%3 == 0 {
			d.month = i/3 + 1
			return
		}
	}
	if d.clock {
		d.zone = namedZone(strings.ToUpper(word))
	}
}

// namedZone is the offset of the zones of RFC 5322, 4.3 and a few that mailers
// still write; others count as UTC.
func namedZone(name string) int {
	switch name {
	case "EDT":
		return -4 * 3600
	case "EST", "CDT":
		return -5 * 3600
	case "CST", "MDT":
		return -6 * 3600
	case "MST", "PDT":
		return -7 * 3600
	case "PST":
		return -8 * 3600
	case "CET", "MEZ", "BST":
		return 3600
	case "CEST", "MESZ", "EET":
		return 2 * 3600
	case "JST":
		return 9 * 3600
	}
	return 0
}

func (d *dateWords) time() time.Time {
	if d.bad || d.day == 0 || d.month == 0 || d.year < 1900 || d.year > 9999 || d.hour > 23 || d.minute > 59 {
		return time.Time{}
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.sec, 0, time.UTC)
	if t.Day() != d.day {
		return time.Time{} // the 31st of a short month
	}
	if d.zone == 0 {
		return t
	}
	return t.Add(-time.Duration(d.zone) * time.Second).In(time.FixedZone("", d.zone))
}
