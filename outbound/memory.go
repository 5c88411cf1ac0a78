package outbound

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"ticketgate/store"
)

// memoryQueue is the Queue of a process that runs alone.
type memoryQueue struct {
	now func() time.Time

	mu      sync.Mutex
	waiting dueHeap              // guarded by mu
	byID    map[string]*dueItem  // what waiting holds; guarded by mu
	leases  map[string]lease     // guarded by mu
	limits  map[string]time.Time // when the next message is due by an even pace; guarded by mu
	bell    chan struct{}        // closed and replaced at each Put; guarded by mu
}

type lease struct {
	worker string
	until  time.Time
	entry  store.Due
}

type dueItem struct {
	store.Due
	index int
}

func newMemoryQueue(now func() time.Time) *memoryQueue {
	return &memoryQueue{
		now: now, byID: map[string]*dueItem{}, leases: map[string]lease{},
		limits: map[string]time.Time{}, bell: make(chan struct{}),
	}
}

func (q *memoryQueue) Put(_ context.Context, entries ...store.Due) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range entries {
		q.put(e)
	}
	q.ring()
	return nil
}

func (q *memoryQueue) put(e store.Due) {
	if item := q.byID[e.DeliveryID]; item != nil {
		item.Due = e
		heap.Fix(&q.waiting, item.index)
		return
	}
	item := &dueItem{Due: e}
	q.byID[e.DeliveryID] = item
	heap.Push(&q.waiting, item)
}

func (q *memoryQueue) ring() {
	close(q.bell)
	q.bell = make(chan struct{})
}

func (q *memoryQueue) Take(_ context.Context, worker string, span time.Duration) (store.Due, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.endLeases(now)
	item := q.best(now)
	if item == nil {
		return store.Due{}, false, nil
	}
	q.drop(item)
	q.leases[item.DeliveryID] = lease{worker: worker, until: now.Add(span), entry: item.Due}
	return item.Due, true, nil
}

// endLeases puts back what was leased for too long.
func (q *memoryQueue) endLeases(now time.Time) {
	for id, l := range q.leases {
		if l.until.After(now) {
			continue
		}
		delete(q.leases, id)
		if q.byID[id] == nil && l.entry.DeliveryID != "" {
			l.entry.DueAt = now
			q.put(l.entry)
		}
	}
}

// best gives the entry to take, or nil.
func (q *memoryQueue) best(now time.Time) (best *dueItem) {
	var aside []*dueItem
	for len(q.waiting) > 0 && len(aside) < takeAmong && !q.waiting[0].DueAt.After(now) {
		item := heap.Pop(&q.waiting).(*dueItem)
		aside = append(aside, item)
		if _, leased := q.leases[item.DeliveryID]; !leased && (best == nil || item.Priority > best.Priority) {
			best = item
		}
	}
	for _, item := range aside {
		heap.Push(&q.waiting, item)
	}
	if best == nil && len(aside) == takeAmong { // all of them are leased
		if best = q.firstFree(); best != nil && best.DueAt.After(now) {
			best = nil
		}
	}
	return best
}

// firstFree gives the earliest entry that is not leased as well, or nil. There
// are no more leases than workers, so it looks past few.
func (q *memoryQueue) firstFree() *dueItem {
	var aside []*dueItem
	for len(q.waiting) > 0 {
		if _, leased := q.leases[q.waiting[0].DeliveryID]; !leased {
			break
		}
		aside = append(aside, heap.Pop(&q.waiting).(*dueItem))
	}
	var first *dueItem
	if len(q.waiting) > 0 {
		first = q.waiting[0]
	}
	for _, item := range aside {
		heap.Push(&q.waiting, item)
	}
	return first
}

func (q *memoryQueue) drop(item *dueItem) {
	heap.Remove(&q.waiting, item.index)
	delete(q.byID, item.DeliveryID)
}

func (q *memoryQueue) Extend(_ context.Context, id, worker string, span time.Duration) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, ok := q.leases[id]
	if ok && l.worker != worker {
		return false, nil
	}
	l.worker, l.until = worker, q.now().Add(span)
	q.leases[id] = l
	return true, nil
}

func (q *memoryQueue) Done(_ context.Context, id, worker string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leases[id].worker == worker {
		delete(q.leases, id)
		q.ring()
	}
	return nil
}

func (q *memoryQueue) Remove(_ context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item := q.byID[id]; item != nil {
		q.drop(item)
	}
	return nil
}

func (q *memoryQueue) Wait(ctx context.Context, max time.Duration) error {
	q.mu.Lock()
	bell, span := q.bell, min(max, q.untilNext())
	q.mu.Unlock()
	if span <= 0 {
		return ctx.Err()
	}
	return waitFor(ctx, bell, span)
}

// untilNext is how long it takes until an entry is due or a lease ends.
func (q *memoryQueue) untilNext() time.Duration {
	now, next := q.now(), time.Duration(1<<62)
	if item := q.firstFree(); item != nil {
		next = item.DueAt.Sub(now)
	}
	for _, l := range q.leases {
		next = min(next, l.until.Sub(now))
	}
	return next
}

// waitFor returns at the bell or after span; with an error when ctx ends.
func waitFor(ctx context.Context, bell <-chan struct{}, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-bell:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (q *memoryQueue) Len(context.Context) (waiting, leased int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), len(q.leases), nil
}

func (q *memoryQueue) Has(_ context.Context, ids ...string) ([]bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	found := make([]bool, len(ids))
	for i, id := range ids {
		_, leased := q.leases[id]
		found[i] = leased || q.byID[id] != nil
	}
	return found, nil
}

// Allow is the generic cell rate algorithm with no burst: messages leave at an
// even pace.
func (q *memoryQueue) Allow(_ context.Context, key string, perMinute int) (time.Duration, error) {
	if perMinute <= 0 {
		return 0, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if next := q.limits[key]; next.After(now) {
		return next.Sub(now), nil
	}
	q.limits[key] = now.Add(time.Minute / time.Duration(perMinute))
	return 0, nil
}

func (q *memoryQueue) Ping(context.Context) error { return nil }
func (q *memoryQueue) Close() error               { return nil }

// dueHeap is a heap by due time; among equals the id decides, as in Redis.
type dueHeap []*dueItem

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if !h[i].DueAt.Equal(h[j].DueAt) {
		return h[i].DueAt.Before(h[j].DueAt)
	}
	return h[i].DeliveryID < h[j].DeliveryID
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	item := x.(*dueItem)
	item.index = len(*h)
	*h = append(*h, item)
}
func (h *dueHeap) Pop() any {
	old := *h
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return item
}
