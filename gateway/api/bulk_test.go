package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

// bulk is the answer to a change of many tickets, as "number status".
func bulk(r reply) (rows []string) {
	r.t.Helper()
	var v struct {
		Results []struct {
			Number int64
			Status int
			Error  *struct {
				Status int
				Reason string
				Errors []struct{ Field string }
			}
		}
	}
	if err := json.Unmarshal(r.is(200).Body.Bytes(), &v); err != nil || v.Results == nil {
		r.t.Fatalf("no results: %v: %s", err, r.Body)
	}
	for _, one := range v.Results {
		row := fmt.Sprint(one.Number, " ", one.Status)
		if (one.Error == nil) != (one.Status == 200) || one.Error != nil && one.Error.Status != one.Status {
			r.t.Errorf("result %+v", one)
		}
		if one.Error != nil && len(one.Error.Errors) > 0 {
			row += " " + one.Error.Errors[0].Field
		}
		rows = append(rows, row)
	}
	return rows
}

func TestManyTicketsAreChangedEachByItself(t *testing.T) {
	f := newFixture(t)
	var numbers []int64
	for range 4 {
		n, _ := f.mailIn(strings.ReplaceAll(customersMail, "one@", store.NewID()+"@"))
		numbers = append(numbers, n)
	}
	hidden := int64(f.do("admin", "POST", "/tickets", m{"kind": "internal", "subject": "x", "text": "x", "channel_id": f.sales}).is(201).json()["number"].(float64))
	f.do("admin", "POST", f.ticketPath(numbers[3])+"/merge", m{"into": numbers[0]}).is(200)
	want := []string{
		fmt.Sprint(numbers[1], " 200"), fmt.Sprint(hidden, " 404"), fmt.Sprint(numbers[0], " 200"), "77777 404", fmt.Sprint(numbers[3], " 409"),
	}
	body := m{
		"numbers": []int64{numbers[1], hidden, numbers[0], 77777, numbers[3]},
		"patch":   m{"status_id": f.statuses["In progress"], "priority": "high", "comment": "All at once."},
	}
	first := f.do("standard", "POST", "/tickets/bulk", body, "Idempotency-Key", "k")
	if got := bulk(first); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	again := f.do("standard", "POST", "/tickets/bulk", body, "Idempotency-Key", "k").is(200)
	if again.Body.String() != first.Body.String() {
		t.Errorf("the same key answers %s", again.Body)
	}
	for _, n := range numbers[:3] {
		ticket := f.do("standard", "GET", f.ticketPath(n), nil).json()
		changed := n != numbers[2]
		if (ticket["priority"] == "high") != changed || (ticket["status_id"] == f.statuses["In progress"]) != changed {
			t.Errorf("ticket %d: %v", n, ticket)
		}
		history := f.do("standard", "GET", f.ticketPath(n)+"/activities", nil).items()
		said := 0
		for _, a := range history {
			if a["comment"] == "All at once." {
				said++
			}
		}
		if (said == 1) != changed || said > 1 {
			t.Errorf("ticket %d says it %d times", n, said)
		}
	}
	if p := f.do("admin", "GET", f.ticketPath(hidden), nil).json()["priority"]; p != "normal" {
		t.Errorf("what the caller doesn't see is %v now", p)
	}
	// What a PATCH would refuse is refused in its row, and nothing of it is done.
	r := f.do("standard", "POST", "/tickets/bulk", m{"numbers": numbers[:1], "patch": m{"priority": "low", "owner_id": "nobody"}})
	if got := bulk(r); !slices.Equal(got, []string{fmt.Sprint(numbers[0], " 422 owner_id")}) {
		t.Errorf("got %q", got)
	}
	if p := f.do("standard", "GET", f.ticketPath(numbers[0]), nil).json()["priority"]; p != "high" {
		t.Errorf("half of it was done: %v", p)
	}
}

func TestManyTicketsAreChosenByAFilter(t *testing.T) {
	f := newFixture(t)
	var want []string
	for i := range 3 {
		n, _ := f.mailIn(strings.ReplaceAll(customersMail, "one@", store.NewID()+"@"))
		if i > 0 {
			f.do("admin", "PATCH", f.ticketPath(n), m{"priority": "urgent"}).is(200)
			want = slices.Insert(want, 0, fmt.Sprint(n, " 200")) // newest first
		}
	}
	f.do("admin", "POST", "/tickets", m{"kind": "internal", "subject": "x", "text": "x", "channel_id": f.sales, "priority": "urgent"}).is(201)
	patch := m{"owner_id": f.agents["standard"]}
	choose := func(filter m) reply {
		return f.do("standard", "POST", "/tickets/bulk", m{"filter": filter, "patch": patch})
	}
	if got := bulk(choose(m{"priority": "urgent", "open": "true", "q": "printer"})); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := bulk(choose(m{"owner_id": "nobody"})); len(got) != 0 {
		t.Errorf("of nobody's: %q", got)
	}
	if items := f.do("standard", "GET", "/tickets?owner_id="+f.agents["standard"], nil).items(); len(items) != 2 {
		t.Errorf("owned: %v", items)
	}
	for field, body := range map[string]m{
		"numbers":            {"patch": patch},
		"filter":             {"filter": m{}, "patch": patch},
		"filter.list":        {"filter": m{"list": "drafts"}, "patch": patch},
		"filter.priority":    {"filter": m{"priority": "extreme"}, "patch": patch},
		"filter.limit":       {"filter": m{"limit": 5}, "patch": patch},
		"patch":              {"numbers": []int{1}},
		"patch.subject":      {"numbers": []int{1}, "patch": m{"subject": nil}},
		"patch.colour":       {"numbers": []int{1}, "patch": m{"colour": "red"}},
		"patch.priority":     {"numbers": []int{1}, "patch": m{"priority": "extreme"}},
		"patch.comment":      {"numbers": []int{1}, "patch": m{"comment": "\x00"}},
		"patch.participants": {"numbers": []int{1}, "patch": m{"participants": "x"}},
	} {
		f.do("standard", "POST", "/tickets/bulk", body).is(422).refuses(field)
	}
	f.do("standard", "POST", "/tickets/bulk", m{"numbers": []int{1}, "filter": m{"priority": "low"}, "patch": patch}).is(422).refuses("numbers")
	f.do("standard", "POST", "/tickets/bulk", m{"numbers": []int{1, 1}, "patch": patch}).is(422).refuses("numbers")
	f.do("standard", "POST", "/tickets/bulk", m{"numbers": make([]int, 1001), "patch": patch}).is(422)
}

// A change of many has a bound, which is found before the first is changed.
func TestAFilterThatChoosesTooManyChangesNothing(t *testing.T) {
	f := newFixture(t)
	for range 1001 {
		f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.NextNumber(ctx)
			if err != nil {
				return err
			}
			return tx.InsertTicket(ctx, store.Ticket{Number: n, ID: store.NewID(), Kind: store.KindInternal, Subject: "x", Priority: store.PriorityLow,
				ChannelID: f.channel, StatusID: f.statuses["New"], Version: 1, CreatedAt: f.clock(), UpdatedAt: f.clock()})
		}))
	}
	body := m{"filter": m{"priority": "low"}, "patch": m{"priority": "high"}}
	f.do("standard", "POST", "/tickets/bulk", body).is(422).refuses("filter")
	if items := f.do("standard", "GET", "/tickets?priority=high", nil).items(); len(items) != 0 {
		t.Errorf("%d were changed", len(items))
	}
	f.do("standard", "PATCH", f.ticketPath(10001), m{"priority": "normal"}).is(200)
	if rows := bulk(f.do("standard", "POST", "/tickets/bulk", body)); len(rows) != 1000 || slices.ContainsFunc(rows, func(r string) bool { return !strings.HasSuffix(r, " 200") }) {
		t.Errorf("%d rows", len(rows))
	}
}
