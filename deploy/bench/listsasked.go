package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// asked is one kind of request; path draws one of it.
type asked struct {
	name  string
	path  func(r *rand.Rand) string
	pages int // that are turned before the one that is measured
}

// timing is how long a kind of request took one of the people.
type timing struct {
	Name string  `json:"name"`
	Who  string  `json:"who"`
	Rows float64 `json:"rows"` // in the mean
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// questions are all lists, filters, orders, counts and searches.
func (c *crowd) questions(now time.Time) []asked {
	all := []asked{plainly("counts", "/tickets/counts"), plainly("activities", "/activities")}
	for _, sort := range []string{"number", "created_at", "updated_at", "last_incoming_at", "priority"} {
		for _, direction := range []string{"-", ""} {
			for _, list := range []string{"overview", "my"} {
				all = append(all, plainly(list+" sort "+direction+sort, "/tickets?list="+list+"&sort="+direction+sort))
			}
		}
		all = append(all, asked{name: "overview sort -" + sort + ", page 20", path: fixed("/tickets?sort=-" + sort), pages: 19})
	}
	for _, f := range c.filters(now) {
		for _, sort := range []string{"-number", "-updated_at"} {
			all = append(all, asked{name: f.name + " sort " + sort, path: func(r *rand.Rand) string { return f.path(r) + "&sort=" + sort }})
		}
	}
	return append(all, c.searches()...)
}

func plainly(name, path string) asked { return asked{name: name, path: fixed(path)} }

func fixed(path string) func(*rand.Rand) string { return func(*rand.Rand) string { return path } }

// filters are the ways to choose tickets.
func (c *crowd) filters(now time.Time) []asked {
	day := func(ago int) string { return url.QueryEscape(now.AddDate(0, 0, -ago).UTC().Format(time.RFC3339)) }
	of := func(name, field string, draw func(r *rand.Rand) string) asked {
		return asked{name: name, path: func(r *rand.Rand) string { return "/tickets?" + field + "=" + draw(r) }}
	}
	agent := func(r *rand.Rand) string { return c.agents[r.IntN(len(c.agents))] }
	all := []asked{
		plainly("open", "/tickets?open=true"), plainly("closed", "/tickets?open=false"), plainly("held", "/tickets?held=true"),
		plainly("nobody's", "/tickets?owner_id=none"), plainly("nobody's, open", "/tickets?owner_id=none&open=true"),
		of("owner", "owner_id", agent), of("owner, open", "open=true&owner_id", agent),
		of("responsible", "responsible_id", agent), of("watcher", "watcher_id", agent),
		of("largest channel", "channel_id", func(*rand.Rand) string { return c.channels[0] }),
		of("a channel", "channel_id", func(r *rand.Rand) string { return c.channels[r.IntN(len(c.channels))] }),
		of("contact", "contact_id", func(r *rand.Rand) string { return contactID(skewed(r, c.contacts)) }),
		of("company", "company_id", func(r *rand.Rand) string { return companyID(skewed(r, c.companies)) }),
		of("marker", "marker_id", func(r *rand.Rand) string { return c.markers[r.IntN(len(c.markers))] }),
		of("tag", "tag", func(r *rand.Rand) string { return fmt.Sprintf("tag%d", r.IntN(300)) }),
		of("internal, urgent", "kind=internal&priority", func(*rand.Rand) string { return "urgent" }),
		plainly("urgent", "/tickets?priority=urgent"), plainly("kind enquiry", "/tickets?kind=enquiry"),
		plainly("made last week", "/tickets?created_since="+day(7)), plainly("made a year ago", "/tickets?created_since="+day(380)+"&created_until="+day(360)),
		plainly("changed a year ago", "/tickets?updated_since="+day(380)+"&updated_until="+day(360)),
	}
	for name, id := range c.statuses {
		all = append(all, plainly("status "+name, "/tickets?status_id="+id))
	}
	slices.SortFunc(all, func(a, b asked) int { return strings.Compare(a.name, b.name) })
	return all
}

// searches are the words that people look for, from those of every mail to those
// of one.
func (c *crowd) searches() []asked {
	from := func(low, high int) func(*rand.Rand) string {
		return func(r *rand.Rand) string { return word(low + r.IntN(high-low)) }
	}
	words := []struct {
		name string
		draw func(*rand.Rand) string
	}{
		{"word of most", fixed("hello")}, {"word of many", fixed("please")},
		{"frequent word", from(0, 20)}, {"middling word", from(200, 2000)},
		{"uncommon word", from(4000, 20000)}, {"rare word", from(50000, manyWords)}, {"no word", fixed("zzyzx")},
		{"phrase of most", fixed(`"thank you and kind regards"`)}, {"phrase of none", fixed(`"regards kind and you"`)},
		{"most and rare", func(r *rand.Rand) string { return "hello " + word(20000+r.IntN(20000)) }},
		{"two frequent", func(r *rand.Rand) string { return word(r.IntN(50)) + " " + word(50+r.IntN(100)) }},
		{"two middling", func(r *rand.Rand) string { return word(200+r.IntN(1000)) + " " + word(200+r.IntN(1000)) }},
		{"reference", func(r *rand.Rand) string { return fmt.Sprintf("T#%d", 10001+r.IntN(1000)) }},
		{"address", func(r *rand.Rand) string { return address(skewed(r, c.contacts)) }},
		{"our address", fixed("support@desk.example")},
	}
	var all []asked
	for _, w := range words {
		with := func(name, rest string) asked {
			return asked{name: "search " + w.name + name, path: func(r *rand.Rand) string { return rest + "q=" + url.QueryEscape(w.draw(r)) }}
		}
		all = append(all, with("", "/tickets?"), with(", -updated_at", "/tickets?sort=-updated_at&"), with(", open", "/tickets?open=true&"),
			with(", small channel", "/tickets?channel_id="+c.channels[len(c.channels)-1]+"&"), with(" in activities", "/activities?"))
	}
	all = append(all, asked{name: "search word of most, page 20", path: fixed("/tickets?q=hello"), pages: 19})
	return append(all, asked{name: "activities from", path: func(r *rand.Rand) string { return "/activities?from=" + address(skewed(r, c.contacts)) }})
}

// measure asks every question as each of the people, one at a time.
func (d *bigDesk) measure(ctx context.Context, p listsPlan, progress io.Writer) ([]timing, error) {
	var found []timing
	for _, q := range d.crowd.questions(time.Now()) {
		if !strings.Contains(q.name, p.only) {
			continue
		}
		for _, who := range []string{asAdmin, asBusy, asSmall} {
			t, err := d.ask(ctx, q, who, p)
			if err != nil {
				return nil, err
			}
			_, _ = fmt.Fprintf(progress, "%-45s %-6s %6.1f %6.1f\n", t.Name, t.Who, t.P50, t.P99)
			found = append(found, t)
		}
	}
	return found, nil
}

// patience ends the samples of what is slow beyond doubt.
const patience = 4 * time.Second

func (d *bigDesk) ask(ctx context.Context, q asked, who string, p listsPlan) (timing, error) {
	t := timing{Name: q.name, Who: who}
	r := rand.New(rand.NewPCG(p.seed, 3))
	var times []time.Duration
	rows := 0
	begun := time.Now()
	for n := 0; n < p.samples && (n < 3 || time.Since(begun) < patience); n++ {
		took, count, err := d.once(ctx, who, q.path(r), q.pages)
		if err != nil {
			return t, err
		}
		times, rows = append(times, took), rows+count
	}
	slices.Sort(times)
	t.Rows = float64(rows) / float64(len(times))
	t.P50, t.P99 = milliseconds(percentile(times, 0.50)), milliseconds(percentile(times, 0.99))
	return t, nil
}

// once turns pages, and measures the last one.
func (d *bigDesk) once(ctx context.Context, who, path string, pages int) (took time.Duration, rows int, err error) {
	cursor := ""
	for range pages + 1 {
		begun := time.Now()
		body, err := d.get(ctx, who, path+cursor)
		if err != nil {
			return 0, 0, err
		}
		took = time.Since(begun)
		var list struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return 0, 0, err
		}
		if rows = len(list.Items); list.Next == "" {
			break
		}
		cursor = "&cursor=" + list.Next
	}
	return took, rows, nil
}

// writeTimings prints for people: each question with the three who ask it.
func writeTimings(w io.Writer, found []timing) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(t, "asked\twho\trows\tp50 ms\tp99 ms\t\n") // Flush tells
	worst := timing{}
	for _, x := range found {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%.0f\t%.1f\t%.1f\t\n", x.Name, x.Who, x.Rows, x.P50, x.P99)
		if x.P99 > worst.P99 {
			worst = x
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d kinds; the slowest: %s as %s, p99 %.1f ms\n", len(found), worst.Name, worst.Who, worst.P99)
	return err
}
