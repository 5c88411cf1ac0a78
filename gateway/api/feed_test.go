package api

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"ticketgate/store"
	"ticketgate/store/sqlite"
)

// piece is news of events with these ids.
func piece(ids ...int64) news {
	var n news
	for _, id := range ids {
		n.events = append(n.events, store.Event{Position: store.EventPosition{ID: id}})
	}
	return n
}

func ids(waiting []news) (all []int64) {
	for _, n := range waiting {
		for _, e := range n.events {
			all = append(all, e.Position.ID)
		}
	}
	return all
}

func TestASlowStreamFallsBehind(t *testing.T) {
	l := &listener{bell: make(chan struct{}, 1), behind: true}
	l.give(piece(1))
	if waiting, behind := l.take(); len(waiting) != 0 || !behind {
		t.Errorf("before its first reading of the journal: %v, behind %v", ids(waiting), behind)
	}
	l.give(piece(2, 3))
	l.give(piece(4))
	if waiting, behind := l.take(); !slices.Equal(ids(waiting), []int64{2, 3, 4}) || behind {
		t.Errorf("taken are %v, behind %v", ids(waiting), behind)
	}
	l.give(piece(5))
	l.give(piece(make([]int64, feedWaiting)...)) // one too many
	l.give(piece(6))
	if waiting, behind := l.take(); len(waiting) != 0 || !behind {
		t.Errorf("with no room: %v, behind %v", ids(waiting), behind)
	}
	l.give(piece(7))
	l.stayBehind() // the journal could not be read
	if waiting, behind := l.take(); !slices.Equal(ids(waiting), []int64{7}) || !behind {
		t.Errorf("after a reading that failed: %v, behind %v", ids(waiting), behind)
	}
}

// What is committed between a stream's first reading of the journal and the
// follower's is read by the stream, and what comes then is given to it; a
// follower that was told to end gives nothing.
func TestNothingIsMissedWhileAFollowerBegins(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	happen := func() {
		t.Helper()
		err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.AddEvent(ctx, store.Event{Kind: store.EventAgentNotice})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l := &listener{bell: make(chan struct{}, 1), behind: true}
	f := &feed{db: db, listeners: map[*listener]struct{}{l: {}}}
	l.take()
	happen()
	at, err := f.begin(t.Context())
	if _, behind := l.take(); err != nil || at.ID != 1 || !behind {
		t.Errorf("the follower begins at %s (%v), behind %v", at, err, behind)
	}
	happen()
	if at, err = f.read(t.Context(), at); err != nil || at.ID != 2 {
		t.Errorf("then it is at %s (%v)", at, err)
	}
	if waiting, behind := l.take(); !slices.Equal(ids(waiting), []int64{2}) || behind {
		t.Errorf("given are %v, behind %v", ids(waiting), behind)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	f.each(ended, func(*listener) { t.Error("something was given out after the end") })
}
