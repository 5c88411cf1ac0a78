package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

func smallCrowd() crowd {
	return crowd{
		channels: []string{"c0", "c1", "c2", "c3"}, agents: []string{"a0", "a1"}, seen: map[string][]string{"c0": {"a0", "a1"}},
		statuses: map[string]string{statusNew: "s0", statusProgress: "s1", statusAnswered: "s2", statusSolved: "s3", statusUnsolved: "s4"},
		markers:  []string{"m"}, contacts: 100, companies: 10,
	}
}

func TestAHistoryIsToldInTheOrderOfTime(t *testing.T) {
	const tickets = 2000
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	h := newHistory(smallCrowd(), tickets, 1, now)
	in := map[string]int{}
	told := map[int64]int{}
	open, activities, last := 0, 0, int64(0)
	err := h.run(func(x *oldTicket) error {
		if in[x.channel]++; x.end == 0 {
			open++
		}
		if x.created > x.updated || x.updated > now.UnixMicro() || x.end > x.updated || (x.end == 0) == (x.status == "s3" || x.status == "s4") {
			t.Errorf("ticket %d: created %d, updated %d, closed %d, status %s", x.number, x.created, x.updated, x.end, x.status)
		}
		return nil
	}, func(a *oldActivity) error {
		if activities++; a.n != int64(activities) || a.at < last || a.at < a.ticket.created {
			t.Errorf("activity %d: n %d, at %d after %d", activities, a.n, a.at, last)
		}
		last = a.at
		if told[a.ticket.number]++; told[a.ticket.number] != a.seq {
			t.Errorf("ticket %d: activity %d comes as number %d", a.ticket.number, a.seq, told[a.ticket.number])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != tickets || activities < 4*tickets || activities > 6*tickets {
		t.Errorf("%d activities in %d tickets", activities, len(told))
	}
	if in["c0"] < tickets/2 || in["c3"] == 0 || in["c3"] > in["c0"]/5 || open == 0 || open > tickets/5 {
		t.Errorf("channels %v, %d open", in, open)
	}
}

func TestWordsAreAsFrequentAsInALanguage(t *testing.T) {
	h := newHistory(smallCrowd(), 1, 1, time.Now())
	seen := map[string]int{}
	for range 100000 {
		seen[h.words.draw()]++
	}
	if seen[word(0)] < 2000 || seen[word(0)] > 20000 || len(seen) < 5000 {
		t.Errorf("the first word %d times, %d words in all", seen[word(0)], len(seen))
	}
	all := slices.Sorted(slices.Values(h.words.words))
	if len(slices.Compact(all)) != manyWords {
		t.Error("two words are alike")
	}
}

// TestListsOfASmallDesk holds the rows that are written against the daemon that
// reads them.
func TestListsOfASmallDesk(t *testing.T) {
	for _, on := range []struct {
		name string
		args func(t *testing.T) []string
	}{
		{"SQLite", func(*testing.T) []string { return nil }},
		{"PostgreSQL", func(t *testing.T) []string { return []string{"-postgres", testbed.SharedPostgres(t).URL()} }},
	} {
		t.Run(on.name, func(t *testing.T) {
			var out bytes.Buffer
			args := append([]string{"-tickets", "300", "-channels", "6", "-agents", "4", "-samples", "1", "-json"}, on.args(t)...)
			if err := measureLists(t.Context(), args, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			var found []timing
			if err := json.Unmarshal(out.Bytes(), &found); err != nil {
				t.Fatal(err)
			}
			rows := map[string]float64{}
			for _, x := range found {
				rows[x.Name+" as "+x.Who] = x.Rows
			}
			for name, want := range map[string]float64{
				"overview sort -number as admin": 50, "overview sort -number, page 20 as admin": 50, "my sort -number as busy": 50,
				"search word of most as admin": 50, "search phrase of none as admin": 0, "search no word as admin": 0,
				"search reference as admin": 0, // of a ticket that the small desk has not
				"activities as busy":        50, "closed sort -number as admin": 50,
			} {
				if got, asked := rows[name]; !asked || got != want {
					t.Errorf("%s: %.0f rows, asked %t; want %.0f", name, got, asked, want)
				}
			}
			for _, name := range []string{"open sort -number as admin", "search address as admin", "activities from as admin", "urgent sort -number as admin"} {
				if rows[name] == 0 {
					t.Errorf("%s finds nothing", name)
				}
			}
		})
	}
}
