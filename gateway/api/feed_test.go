package api

import (
	"slices"
	"testing"

	"ticketgate/store"
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
