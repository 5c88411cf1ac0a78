package calendar

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ticketgate/store"
)

// office is open Monday to Friday from 9 to 17 in Berlin, but for Christmas.
func office() store.Calendar {
	hours := map[string][]string{}
	for _, day := range Weekdays()[:5] {
		hours[day] = []string{"09:00-17:00"}
	}
	return store.Calendar{Name: "Office", Timezone: "Europe/Berlin", Hours: hours,
		Holidays: []string{"12-25/12-26", "2026-12-31", "2027-02-01/2027-02-07"}}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAddAndBetween(t *testing.T) {
	night := store.Calendar{Timezone: "Europe/Berlin", Hours: map[string][]string{"sat": {"22:00-24:00"}, "sun": {"00:00-06:00"}}}
	for _, c := range []struct {
		name     string
		calendar store.Calendar
		from     string
		add      time.Duration
		want     string
	}{
		{"within a day", office(), "2026-11-25 10:00 +0100", 2 * time.Hour, "2026-11-25 12:00 +0100"},
		{"to the end of a day", office(), "2026-11-25 10:00 +0100", 7 * time.Hour, "2026-11-25 17:00 +0100"},
		{"over a night", office(), "2026-11-25 16:00 +0100", 2 * time.Hour, "2026-11-26 10:00 +0100"},
		{"from before the opening", office(), "2026-11-25 07:00 +0100", time.Hour, "2026-11-25 10:00 +0100"},
		{"from after the closing", office(), "2026-11-25 20:00 +0100", time.Hour, "2026-11-26 10:00 +0100"},
		{"over a weekend", office(), "2026-11-27 16:30 +0100", time.Hour, "2026-11-30 09:30 +0100"},
		{"over Christmas, of any year", office(), "2027-12-24 16:00 +0100", 2 * time.Hour, "2027-12-27 10:00 +0100"},
		{"over a holiday of one year", office(), "2026-12-30 16:00 +0100", 2 * time.Hour, "2027-01-01 10:00 +0100"},
		{"over a week off", office(), "2027-01-29 16:00 +0100", 2 * time.Hour, "2027-02-08 10:00 +0100"},
		{"in another zone", office(), "2026-11-25 10:00 +0000", 2 * time.Hour, "2026-11-25 13:00 +0100"},
		{"days later", office(), "2026-11-23 09:00 +0100", 40 * time.Hour, "2026-11-27 17:00 +0100"},
		{"the night in which clocks go forward", night, "2026-03-28 21:00 +0100", 7 * time.Hour, "2026-03-29 06:00 +0200"},
		{"from within the hour that is skipped", store.Calendar{Timezone: "Europe/Berlin", Hours: map[string][]string{"sun": {"02:30-04:00"}}}, "2026-03-29 00:00 +0100", time.Hour, "2026-03-29 04:00 +0200"},
		{"to within the hour that is skipped", store.Calendar{Timezone: "Europe/Berlin", Hours: map[string][]string{"sun": {"01:00-02:30"}}}, "2026-03-29 00:00 +0100", time.Hour, "2026-03-29 03:00 +0200"},
		{"the night in which they go back", night, "2026-10-24 21:00 +0200", 9 * time.Hour, "2026-10-25 06:00 +0100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cal, err := New(c.calendar)
			if err != nil {
				t.Fatal(err)
			}
			from, want := at(t, c.from), at(t, c.want)
			if got := cal.Add(from, c.add); !got.Equal(want) {
				t.Errorf("%s later it is %s, want %s", c.add, got.In(want.Location()), want)
			}
			if got := cal.Between(from, want); got != c.add {
				t.Errorf("until then it is %s, want %s", got, c.add)
			}
		})
	}
}

func TestNoCalendarIsAlwaysOpen(t *testing.T) {
	var always *Calendar
	from := at(t, "2026-11-28 03:00 +0000")
	if got := always.Add(from, time.Hour); !got.Equal(from.Add(time.Hour)) || always.Between(from, got) != time.Hour {
		t.Errorf("%s", got)
	}
}

func TestRefusedCalendars(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*store.Calendar)
		field  string
	}{
		"no zone that is known": {func(c *store.Calendar) { c.Timezone = "Mars/Base" }, "timezone"},
		"never open":            {func(c *store.Calendar) { c.Hours = nil }, "hours"},
		"open on no days":       {func(c *store.Calendar) { c.Hours = map[string][]string{"mon": {}} }, "hours"},
		"an unknown day":        {func(c *store.Calendar) { c.Hours["monday"] = []string{"09:00-10:00"} }, "hours"},
		"no range":              {func(c *store.Calendar) { c.Hours["mon"] = []string{"9 to 5"} }, "hours.mon"},
		"over midnight":         {func(c *store.Calendar) { c.Hours["mon"] = []string{"22:00-06:00"} }, "hours.mon"},
		"overlapping":           {func(c *store.Calendar) { c.Hours["mon"] = []string{"09:00-12:00", "11:00-13:00"} }, "hours.mon"},
		"no day":                {func(c *store.Calendar) { c.Holidays = []string{"2026-12-24", "Easter"} }, "holidays[1]"},
		"a day that is none":    {func(c *store.Calendar) { c.Holidays = []string{"2026-02-30"} }, "holidays[0]"},
		"a range backwards":     {func(c *store.Calendar) { c.Holidays = []string{"2026-12-26/2026-12-24"} }, "holidays[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			cal := office()
			c.change(&cal)
			_, err := New(cal)
			if e, ok := errors.AsType[*store.Error](err); !ok || e.Field != c.field {
				t.Errorf("%v, want one about %s", err, c.field)
			}
		})
	}
}

// Add and Between are each other's inverse, and neither goes backwards.
func TestAddAndBetweenAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cal, err := New(office())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		from := start.Add(time.Duration(rapid.IntRange(0, 2*365*24*60).Draw(t, "minute")) * time.Minute)
		a := time.Duration(rapid.IntRange(0, 60*24*30).Draw(t, "a")) * time.Minute
		b := time.Duration(rapid.IntRange(0, 60*24*30).Draw(t, "b")) * time.Minute
		then := cal.Add(from, a)
		if got := cal.Between(from, then); got != a {
			t.Fatalf("%s after %s is %s, and only %s between them", a, from, then, got)
		}
		if whole := cal.Add(from, a+b); whole.Before(then) || !cal.Add(then, b).Equal(whole) {
			t.Fatalf("%s and then %s is another time than both together", a, b)
		}
	})
}

// Where clocks go forward at midnight that day begins an hour later, and no earlier.
func TestAMidnightThatIsSkipped(t *testing.T) {
	days := map[string][]string{}
	for _, day := range Weekdays() {
		days[day] = []string{"00:00-24:00"}
	}
	for _, zone := range []string{"America/Santiago", "America/Havana", "Asia/Beirut", "Africa/Cairo"} {
		cal, err := New(store.Calendar{Timezone: zone, Hours: days})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		end := start.AddDate(1, 0, 0)
		if got := cal.Between(start, end); got != end.Sub(start) {
			t.Errorf("%s: of %s it is open %s", zone, end.Sub(start), got)
		}
	}
}

// zones change their clocks at night, at midnight, by half an hour, over the date line,
// and not at all.
var zones = []string{"Europe/Berlin", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "UTC"}

// Back is the inverse of Between: what happened by then, and nothing later, is at
// least so much business time ago. Open says the same as both.
func TestBackAgreesWithBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := office()
		c.Timezone = rapid.SampledFrom(zones).Draw(t, "zone")
		c.Hours["sat"], c.Hours["sun"] = []string{"22:00-24:00"}, []string{"00:00-02:30", "03:00-03:01"}
		cal, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 2*365*24*60).Draw(t, "minute")) * time.Minute)
		d := time.Duration(rapid.IntRange(1, 60*24*30).Draw(t, "d")) * time.Minute
		last, ok := cal.Back(now, d)
		if !ok {
			t.Fatal("there is no such moment")
		}
		if got := cal.Between(last, now); got != d {
			t.Fatalf("since %s it is %s, want %s", last, got, d)
		}
		if got := cal.Between(last.Add(time.Second), now); got >= d {
			t.Fatalf("a second later it is still %s", got)
		}
		if open := cal.Between(now, now.Add(time.Second)) > 0; cal.Open(now) != open {
			t.Fatalf("at %s open is %v", now, !open)
		}
	})
}

func TestOpen(t *testing.T) {
	cal, err := New(office())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"2026-11-25 08:59 +0100": false, "2026-11-25 09:00 +0100": true, "2026-11-25 15:59 +0000": true, "2026-11-25 17:00 +0100": false,
		"2026-11-28 12:00 +0100": false, "2025-12-25 12:00 +0100": false, "2026-12-31 12:00 +0100": false, "2027-12-31 12:00 +0100": true,
	} {
		if got := cal.Open(at(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A calendar that holidays never let open has no business time, and says so soon.
func TestACalendarThatNeverOpens(t *testing.T) {
	c := office()
	c.Holidays = []string{"01-01/12-31"}
	cal, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	now := at(t, "2026-11-25 12:00 +0100")
	if last, ok := cal.Back(now, time.Minute); ok {
		t.Errorf("a minute of business time has passed since %s", last)
	}
	if got := cal.Add(now, time.Minute); !got.Equal(now.AddDate(10, 0, 0)) {
		t.Errorf("a minute later it is %s", got)
	}
	if cal.Open(now) || cal.Between(now.AddDate(-50, 0, 0), now) != 0 {
		t.Error("it is open")
	}
}

func BenchmarkBack(b *testing.B) {
	c := office()
	for year := range 1000 {
		c.Holidays = append(c.Holidays, time.Date(2000+year, 5, 1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	never := c
	never.Holidays = append([]string{"01-01/12-31"}, c.Holidays...)
	for name, c := range map[string]store.Calendar{"hours": c, "never": never} {
		cal, err := New(c)
		if err != nil {
			b.Fatal(err)
		}
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cal.Back(now, 4*time.Hour)
			}
		})
	}
}
