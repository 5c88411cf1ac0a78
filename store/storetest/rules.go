package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ticketgate/store"
)

func testRules(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	rules := []store.Rule{
		{ID: "r1", Name: "last", Position: 9, When: store.RuleOnIntake, Actions: store.RuleActions{ChannelID: "sales", AddTags: []string{"vip"}}},
		{ID: "r2", Name: "second", Position: 1, When: store.RuleOnTime, Event: store.RuleStatus, AfterMinutes: 60},
		{ID: "r0", Name: "first", Position: 1, Active: true, When: store.RuleOnChange, Condition: "true", Stop: true},
	}
	for _, r := range rules {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutRule(ctx, r) })
	}
	desk, err := db.Desk(t.Context())
	must(t, err)
	if got := fmt.Sprintf("%+v", desk.Rules); got != fmt.Sprintf("%+v", []store.Rule{rules[2], rules[1], rules[0]}) {
		t.Errorf("the rules are %s", got)
	}
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutRule(ctx, store.Rule{ID: "r3", Name: "first"})
	}), store.CodeConflict, store.ReasonDuplicate)
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteChannel(ctx, "sales") }),
		store.CodeConflict, store.ReasonInUse)
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRule(ctx, "r1") })
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteChannel(ctx, "sales") })
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i := range store.MaxRules - 2 {
			if err := tx.PutRule(ctx, store.Rule{ID: fmt.Sprintf("n%03d", i), Name: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutRule(ctx, store.Rule{ID: "more", Name: "one more"})
	}), store.CodeConflict, "")
}

// testRuleMarks moves the mark of a rule from two nodes: each stretch is one's alone.
func testRuleMarks(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	a, b := handle(), handle()
	first := store.RuleMark{RuleID: "r", Event: store.RuleStatus, At: noon(1)}
	next := store.RuleMark{RuleID: "r", Event: store.RuleStatus, At: noon(2), Ticket: 10001}
	for _, db := range []*store.DB{a, b} { // the second finds it set
		m := first
		if db == b {
			m.At = noon(5)
		}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.StartRuleMark(ctx, m) })
	}
	for i, db := range []*store.DB{a, b} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			ok, err := tx.AdvanceRuleMark(ctx, first, next)
			if ok != (i == 0) {
				t.Errorf("node %d moved the mark: %v", i, ok)
			}
			return err
		})
	}
	other := store.RuleMark{RuleID: "r", Event: store.RuleCreated, At: noon(3)}
	for _, m := range []store.RuleMark{next, other} { // the same event stays, another begins anew
		update(t, a, func(ctx context.Context, tx *store.Tx) error { return tx.StartRuleMark(ctx, m) })
		wantMarks(t, b, m)
	}
	update(t, b, func(ctx context.Context, tx *store.Tx) error { return tx.DropRuleMark(ctx, "r") })
	wantMarks(t, a)
}

func wantMarks(t *testing.T, db *store.DB, want ...store.RuleMark) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		marks, err := tx.RuleMarks(ctx)
		if fmt.Sprint(marks) != fmt.Sprint(want) && len(marks)+len(want) > 0 {
			t.Errorf("the marks are %v, want %v", marks, want)
		}
		return err
	})
}

func testRuleDue(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	for i := range 6 { // the later made, the longer ago everything else
		addTicket(t, db, func(v *store.Ticket) {
			v.CreatedAt, v.UpdatedAt = noon(i), noon(i)
			v.StatusAt, v.LastIncomingAt, v.LastOutgoingAt = noon(6-i), noon(16-i), noon(26-i)
			if i == 3 {
				v.StatusAt, v.LastIncomingAt, v.LastOutgoingAt = time.Time{}, time.Time{}, time.Time{}
			}
		})
	}
	for _, c := range []struct {
		mark  store.RuleMark
		until time.Time
		limit int
		want  string
	}{
		{store.RuleMark{Event: store.RuleCreated}, noon(2), 9, "[10001 10002 10003]"},
		{store.RuleMark{Event: store.RuleCreated, At: noon(0), Ticket: 10001}, noon(2), 1, "[10002]"},
		{store.RuleMark{Event: store.RuleActivity, At: noon(1), Ticket: 10001}, noon(3), 9, "[10002 10003 10004]"},
		{store.RuleMark{Event: store.RuleStatus}, noon(5), 9, "[10006 10005 10003 10002]"},
		{store.RuleMark{Event: store.RuleStatus, At: noon(2), Ticket: 10005}, noon(5), 9, "[10003 10002]"},
		{store.RuleMark{Event: store.RuleIncoming}, noon(12), 9, "[10006 10005]"},
		{store.RuleMark{Event: store.RuleOutgoing}, noon(24), 2, "[10006 10005]"},
		{store.RuleMark{Event: store.RuleOutgoing, At: noon(21), Ticket: 10006}, noon(30), 9, "[10005 10003 10002 10001]"},
	} {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			due, err := tx.RuleDue(ctx, c.mark, c.until, c.limit)
			var numbers []int64
			for _, v := range due {
				numbers = append(numbers, v.Number)
				if at := v.EventAt(c.mark.Event); at.After(c.until) || at.IsZero() {
					t.Errorf("%s of %d was at %v", c.mark.Event, v.Number, at)
				}
			}
			if fmt.Sprint(numbers) != c.want {
				t.Errorf("%s behind %v: %v, want %s", c.mark.Event, c.mark.At, numbers, c.want)
			}
			return err
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.LastTicketBy(ctx, noon(3))
		if n != 10004 {
			t.Errorf("the last one by then is %d", n)
		}
		return err
	})
}

func testIncomingMails(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	number := addTicket(t, db, nil).Number
	for i, a := range []store.Activity{
		{ID: "a1", Type: store.TypeIncoming, Medium: store.MediumEmail, RawHash: "x"}, {ID: "a2", Type: store.TypeNote, Medium: store.MediumInternal},
		{ID: "a3", Type: store.TypeIncoming, Medium: store.MediumPhone}, {ID: "a4", Type: store.TypeIncoming, Medium: store.MediumEmail, RawHash: "x"},
		{ID: "a5", Type: store.TypeStatusChange, ActivityDetail: store.ActivityDetail{Rules: []store.RuleTrace{{ID: "r", Name: "R", Result: store.RuleMatched, Did: []string{"x"}}}}},
	} {
		a.Ticket, a.CreatedAt = number, noon(i)
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.InsertActivity(ctx, &a) })
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		newest, err := tx.IncomingMails(ctx, "", 1)
		must(t, err)
		rest, err := tx.IncomingMails(ctx, "a4", 9)
		must(t, err)
		if len(newest) != 1 || newest[0].ID != "a4" || len(rest) != 1 || rest[0].ID != "a1" {
			t.Errorf("mails: %+v, %+v", newest, rest)
		}
		last, err := tx.LatestActivities(ctx, number, 2)
		if len(last) != 2 || last[0].ID != "a5" || last[1].ID != "a4" || len(last[0].Rules) != 1 || last[0].Rules[0].Did[0] != "x" {
			t.Errorf("the last are %+v", last)
		}
		must(t, err)
		none, err := tx.LatestActivities(ctx, 999, 2)
		if len(none) != 0 {
			t.Errorf("of no ticket: %+v", none)
		}
		return err
	})
}
