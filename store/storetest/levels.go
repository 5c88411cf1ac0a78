package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"ticketgate/store"
)

func testLevels(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutCalendar(ctx, store.Calendar{ID: "cal", Name: "Office", Timezone: "UTC", Hours: map[string][]string{"mon": {"09:00-17:00"}}}); err != nil {
			return err
		}
		for _, id := range []string{"gold", "free"} {
			if err := tx.PutServiceLevel(ctx, store.ServiceLevel{ID: id, Name: id, RespondMinutes: 5, CalendarID: map[string]string{"gold": "cal"}[id], ManagerID: map[string]string{"gold": "anna"}[id]}); err != nil {
				return err
			}
		}
		return tx.PutChannel(ctx, store.Channel{ID: "third", Name: "Third", Escalation: store.Escalation{AfterMinutes: 5, ToChannelID: "sales", Notify: []string{"otto"}}})
	})
	set := func(kind, id, level string) (changed bool) {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			changed, err = tx.SetLevel(ctx, kind, id, level)
			return err
		})
		return changed
	}
	if !set(store.LevelOfContact, "a", "free") || set(store.LevelOfContact, "a", "free") || !set(store.LevelOfContact, "a", "gold") || set(store.LevelOfCompany, "a", "") {
		t.Error("whether a level changed was told wrongly")
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		own, err := tx.LevelsOf(ctx, store.LevelOfContact, "a", "b")
		if !maps.Equal(own, map[string]string{"a": "gold"}) {
			t.Errorf("%v", own)
		}
		desk, err2 := tx.Desk(ctx)
		if err2 != nil || !desk.KeepsTime() || desk.Calendar("cal").Hours["mon"][0] != "09:00-17:00" || desk.ServiceLevel("gold").RespondMinutes != 5 {
			t.Errorf("%+v %v", desk, err2)
		}
		return err
	})
	for name, del := range map[string]txFunc{
		"calendar of a level":      func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCalendar(ctx, "cal") },
		"level of a contact":       func(ctx context.Context, tx *store.Tx) error { return tx.DeleteServiceLevel(ctx, "gold") },
		"manager of a level":       func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAgent(ctx, "anna") },
		"agent of an escalation":   func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAgent(ctx, "otto") },
		"channel of an escalation": func(ctx context.Context, tx *store.Tx) error { return tx.DeleteChannel(ctx, "sales") },
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, db.Update(t.Context(), del), store.CodeConflict, store.ReasonInUse) })
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteServiceLevel(ctx, "free") })
}

func testClocks(t *testing.T, open Open) {
	db := one(t, open)
	a, b, c := addTicket(t, db, nil).Number, addTicket(t, db, nil).Number, addTicket(t, db, func(t *store.Ticket) { t.ClosedAt = noon(1) }).Number
	put := func(c store.Clock) {
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutClock(ctx, c) })
	}
	whole := store.Clock{Ticket: a, RespondBy: noon(3), ResolveBy: noon(5), DueAt: noon(2), LevelID: "gold", Since: noon(1), Waits: true,
		Responding: time.Minute, Resolving: time.Hour, Quiet: noon(1), EscalatedFrom: []string{"x"}, Missed: true}
	put(whole)
	put(store.Clock{Ticket: b, RespondBy: noon(2)})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Clocks(ctx, a, b, c)
		must(t, err)
		got := all[a]
		if !got.RespondBy.Equal(noon(3)) || !got.DueAt.Equal(noon(2)) || got.Responding != time.Minute || !slices.Equal(got.EscalatedFrom, []string{"x"}) || len(all) != 2 {
			t.Errorf("%+v", all)
		}
		first := store.DueClock{Ticket: a, At: noon(2)}
		if due, err := tx.DueClocks(ctx, noon(3), first, 9); err != nil || len(due) != 0 {
			t.Errorf("due behind the only one are %v, %v", due, err)
		}
		for at, want := range map[int][]store.DueClock{1: nil, 2: {first}} {
			if due, err := tx.DueClocks(ctx, noon(at), store.DueClock{}, 9); err != nil || !slices.Equal(due, want) {
				t.Errorf("due at %d are %v, %v", at, due, err)
			}
		}
		open, err := tx.OpenTickets(ctx, a, 9)
		if !slices.Equal(open, []int64{b}) {
			t.Errorf("open behind the first are %v", open)
		}
		must(t, err)
		// By the time to answer; none is behind all others.
		for sort, want := range map[string][]int64{"respond_by": {b, a, c}, "-respond_by": {c, a, b}} {
			var got []int64
			for cursor := ""; ; {
				found, next, err := tx.Tickets(ctx, store.TicketFilter{Sort: sort, Limit: 1, Cursor: cursor})
				must(t, err)
				got = append(got, numbers(found)...)
				if cursor = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("by %s they are %v, want %v", sort, got, want)
			}
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if any, err := tx.AnyClock(ctx); !any || err != nil {
			t.Errorf("no clock: %v", err)
		}
		return tx.DeleteClock(ctx, b)
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		ticket, err := tx.Ticket(ctx, b)
		if !ticket.RespondBy.IsZero() {
			t.Errorf("it still sorts by %v", ticket.RespondBy)
		}
		return err
	})
}

func testAlarms(t *testing.T, open Open) {
	db := one(t, open)
	for i, id := range []string{"1", "2", "3"} {
		v := store.Alarm{ID: id, Ticket: 10001, AgentID: "anna", At: noon(3 - i), Comment: "c" + id, CreatedBy: "otto", CreatedAt: noon(0)}
		update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutAlarm(ctx, v) })
	}
	due := func(at int, behind ...store.Alarm) (ids []string) {
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			found, err := tx.DueAlarms(ctx, noon(at), append(behind, store.Alarm{})[0], 9)
			for _, v := range found {
				ids = append(ids, v.ID)
			}
			return err
		})
		return ids
	}
	if got := due(3, store.Alarm{ID: "3", At: noon(1)}); !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("behind the first are %v", got)
	}
	if got := due(2); !slices.Equal(got, []string{"3", "2"}) {
		t.Errorf("due are %v", got)
	}
	end := func(id string, at int) (ended bool) {
		update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			ended, err = tx.EndAlarm(ctx, id, noon(at), noon(9))
			return err
		})
		return ended
	}
	if end("3", 2) || !end("3", 1) || end("3", 1) { // moved meanwhile, mine, told before
		t.Error("who tells of an alarm was said wrongly")
	}
	if got := due(9); !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("due are %v", got)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		first, next, err := tx.Alarms(ctx, 10001, "", 2)
		must(t, err)
		rest, _, err := tx.Alarms(ctx, 10001, next, 2)
		if len(first) != 2 || first[0].ID != "3" || !first[0].DoneAt.Equal(noon(9)) || len(rest) != 1 || rest[0].Comment != "c1" {
			t.Errorf("%+v %+v", first, rest)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.MoveAlarms(ctx, 10001, 10002); err != nil {
			return err
		}
		return tx.DeleteAlarm(ctx, 10002, "1")
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAlarm(ctx, 10001, "2") }), store.CodeNotFound, "")
}
