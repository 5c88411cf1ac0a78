package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
)

// eventsAfter reads the journal behind a position.
func eventsAfter(t *testing.T, db *store.DB, after store.EventPosition, limit int) []store.Event {
	t.Helper()
	var found []store.Event
	view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		found, err = tx.Events(ctx, after, limit)
		return err
	})
	return found
}

// addEvent adds one event to the journal.
func addEvent(t *testing.T, db *store.DB, e store.Event) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddEvent(ctx, e) })
}

func testEvents(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	db, other := handle(), handle()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if last, err := tx.LastEvent(ctx); last != (store.EventPosition{}) || err != nil {
			t.Errorf("the empty journal ends at %s, %v", last, err)
		}
		return nil
	})
	told, elsewhere := db.EventsAdded(), other.EventsAdded()
	ticket := addTicket(t, db, nil).Number
	select {
	case <-told:
	default:
		t.Error("nobody was woken by a commit of this process")
	}
	activity := addActivity(t, db, ticket, nil).ID
	notice := store.Event{Kind: store.EventAgentNotice, Ticket: ticket, ActivityID: activity, AgentID: "anna", At: noon(3),
		Data: store.EventData{Reason: "no_access", Text: "„nothing“ was changed"}}
	addEvent(t, db, notice)
	wantCode(t, db.Dry(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvent(ctx, store.Event{Kind: "never"})
	}), "", "")
	notice.ChannelID = "support"
	want := []store.Event{
		{Kind: store.EventTicketCreated, Ticket: ticket, At: noon(0), ChannelID: "support"},
		{Kind: store.EventActivityCreated, Ticket: ticket, ActivityID: activity, At: noon(1), ChannelID: "support"},
		notice,
	}
	got := eventsAfter(t, other, store.EventPosition{}, 10)
	for i := range got {
		want[i].Position = got[i].Position
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("journal %+v", got)
	}
	if one := eventsAfter(t, db, got[0].Position, 1); len(one) != 1 || one[0].Position != got[1].Position {
		t.Errorf("behind the first comes %+v", one)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if last, err := tx.LastEvent(ctx); last != got[2].Position || err != nil {
			t.Errorf("the journal ends at %s, %v", last, err)
		}
		return nil
	})
	// The channel is the ticket's as it is now.
	to := addTicket(t, db, func(t *store.Ticket) { t.ChannelID = "sales" }).Number
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		tk, err := tx.Ticket(ctx, ticket)
		if err != nil {
			return err
		}
		tk.ChannelID = "backend"
		if err := tx.UpdateTicket(ctx, tk); err != nil {
			return err
		}
		_, err = tx.MoveActivity(ctx, activity, to, noon(4))
		return err
	})
	got = eventsAfter(t, db, store.EventPosition{}, 10)
	moved := got[len(got)-1]
	if got[0].ChannelID != "backend" || moved.Kind != store.EventActivityChanged || moved.Ticket != to ||
		moved.ChannelID != "sales" || !slices.Equal(moved.Data.Fields, []string{"ticket"}) {
		t.Errorf("after the move: %+v", got)
	}
	select {
	case <-elsewhere:
		t.Error("a process that committed nothing was woken")
	default:
	}
}

func testEventPositions(t *testing.T, _ Open) {
	for _, text := range []string{"0-0", "0-7", "123-456"} {
		if p, ok := store.ParseEventPosition(text); !ok || p.String() != text {
			t.Errorf("%s is read as %s, %v", text, p, ok)
		}
	}
	for _, text := range []string{"", "7", "-1-2", "1--2", "01-2", "1-2-3", "1-x", " 1-2", "+1-2", "9223372036854775808-1"} {
		if p, ok := store.ParseEventPosition(text); ok {
			t.Errorf("%q is read as %s", text, p)
		}
	}
	a, b, c := store.EventPosition{Tx: 1, ID: 9}, store.EventPosition{Tx: 2, ID: 3}, store.EventPosition{Tx: 2, ID: 4}
	if !a.Before(b) || !b.Before(c) || !a.Before(c) || b.Before(b) || c.Before(b) || b.Before(a) {
		t.Error("positions are in no order")
	}
}

func testEventPruning(t *testing.T, open Open) {
	db := one(t, open)
	missed := func(after store.EventPosition) (known, missed bool) {
		view(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
			known, missed, err = tx.MissedEvents(ctx, after)
			return err
		})
		return known, missed
	}
	prune := func(before time.Time, want int) {
		t.Helper()
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PruneEvents(ctx, before)
			if n != want {
				t.Errorf("%d events pruned, want %d", n, want)
			}
			return err
		})
	}
	prune(noon(60), 0)
	if known, missed := missed(store.EventPosition{}); !known || missed {
		t.Errorf("the beginning of an empty journal: %v %v", known, missed)
	}
	for i := range 5 {
		addEvent(t, db, store.Event{Kind: store.EventAgentNotice, AgentID: fmt.Sprint(i), At: noon(i)})
	}
	all := eventsAfter(t, db, store.EventPosition{}, 10)
	prune(noon(2), 2)
	prune(noon(2), 0)
	for i, want := range []bool{true, false, false, false, false} {
		if known, missed := missed(all[i].Position); !known || missed != want {
			t.Errorf("who had read up to event %d: known %v, missed %v", i, known, missed)
		}
	}
	if known, missed := missed(store.EventPosition{}); !known || !missed {
		t.Errorf("the beginning: %v %v", known, missed)
	}
	if known, _ := missed(store.EventPosition{Tx: all[4].Position.Tx, ID: all[4].Position.ID + 1}); known {
		t.Error("a position that nothing had is known")
	}
	prune(noon(60), 2) // the newest stays
	left := eventsAfter(t, db, store.EventPosition{}, 10)
	if len(left) != 1 || left[0].Position != all[4].Position {
		t.Errorf("left are %+v", left)
	}
	addEvent(t, db, store.Event{Kind: store.EventAgentNotice, At: noon(70)})
	if next := eventsAfter(t, db, all[4].Position, 10); len(next) != 1 {
		t.Errorf("behind the newest comes %+v", next)
	}
}

// testEventsOfTwoHandles follows the journal while many write: what is read
// once in order is all, and each once.
func testEventsOfTwoHandles(t *testing.T, open Open) {
	const writers, each = 6, 60
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	follower := handle()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := handles[w%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					e := store.Event{Kind: store.EventAgentNotice, AgentID: fmt.Sprintf("%d.%d", w, i), At: noon(i)}
					if err := tx.AddEvent(ctx, e); err != nil {
						return err
					}
					if i%3 != 0 {
						return nil
					}
					_, err := tx.Meta(ctx, "none") // what is written stays open for the time of a query
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { defer close(written); wg.Wait() }()
	limit := time.After(time.Minute)
	seen := map[string]int{}
	var at store.EventPosition
	for len(seen) < writers*each {
		found := eventsAfter(t, follower, at, 7)
		for _, e := range found {
			if !at.Before(e.Position) {
				t.Fatalf("%s comes after %s", e.Position, at)
			}
			at = e.Position
			seen[e.AgentID]++
		}
		select {
		case <-limit:
			t.Fatalf("%d of %d events were seen", len(seen), writers*each)
		default:
		}
	}
	<-written
	if more := eventsAfter(t, follower, at, 7); len(more) != 0 {
		t.Errorf("and then %+v", more)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("event %s was seen %d times", name, n)
		}
	}
}
