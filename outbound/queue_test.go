package outbound

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// TestQueue holds both queues to what the interface promises.
func TestQueue(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		testQueue(t, func(t *testing.T) Queue { return openTestQueue(t, "embedded") })
	})
	t.Run("redis", func(t *testing.T) {
		server := testbed.Redis(t)
		testQueue(t, func(t *testing.T) Queue {
			server.FlushAll()
			return openTestQueue(t, server.URL())
		})
	})
}

func openTestQueue(t testing.TB, url string) Queue {
	t.Helper()
	q, err := OpenQueue(url, quietLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func dueIn(id string, span time.Duration) store.Due {
	return store.Due{
		DeliveryID: id, Ticket: 10001, AccountID: "a", Domain: "example.org",
		Priority: 1, Attempt: 2, DueAt: time.Now().Add(span).Truncate(time.Millisecond).UTC(),
	}
}

// queueCase is one promise.
type queueCase struct {
	name string
	run  func(t *testing.T, q Queue)
}

func testQueue(t *testing.T, open func(*testing.T) Queue) {
	for _, c := range []queueCase{
		{"earliest first, and nothing before its time", queueOrder},
		{"an answer before the notifications of the same time", queuePriority},
		{"an entry keeps what it says", queueFields},
		{"a second put moves, and never doubles", queuePutAgain},
		{"a lease hides, Done ends it", queueLease},
		{"an ended lease gives the entry back", queueLeaseEnds},
		{"Extend keeps a lease, and gives up one that another holds", queueExtend},
		{"what is put while leased stays after Done", queuePutWhileLeased},
		{"Remove drops what waits", queueRemove},
		{"Wait wakes at a put, at a due time, and after max", queueWait},
		{"Wait ends with its context", queueWaitContext},
		{"a limit spaces messages evenly", queueAllow},
		{"many takers, each entry once", queueRace},
		{"a thousand entries in one put", queueMany},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func put(t *testing.T, q Queue, entries ...store.Due) {
	t.Helper()
	if err := q.Put(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
}

// take returns the id of the taken entry, "" for none.
func take(t *testing.T, q Queue, worker string, lease time.Duration) string {
	t.Helper()
	d, ok, err := q.Take(t.Context(), worker, lease)
	if err != nil {
		t.Fatal(err)
	}
	if ok == (d.DeliveryID == "") {
		t.Fatalf("Take: %+v, %v", d, ok)
	}
	return d.DeliveryID
}

func expectLen(t *testing.T, q Queue, waiting, leased int) {
	t.Helper()
	w, l, err := q.Len(t.Context())
	if err != nil || w != waiting || l != leased {
		t.Errorf("Len: %d waiting, %d leased, %v; want %d, %d", w, l, err, waiting, leased)
	}
}

func queueOrder(t *testing.T, q Queue) {
	if got := take(t, q, "w", time.Minute); got != "" {
		t.Errorf("an empty queue gives %q", got)
	}
	put(t, q, dueIn("late", -time.Second), dueIn("first", -time.Hour), dueIn("future", time.Hour))
	for _, want := range []string{"first", "late", ""} {
		if got := take(t, q, "w", time.Minute); got != want {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	expectLen(t, q, 1, 2)
}

func queuePriority(t *testing.T, q Queue) {
	entry := func(id string, priority int, span time.Duration) store.Due {
		d := dueIn(id, span)
		d.Priority = priority
		return d
	}
	put(t, q, entry("note", 0, -3*time.Second), entry("answer", 2, -2*time.Second), entry("ack", 1, -time.Second),
		entry("second answer", 2, -time.Second), entry("future answer", 2, time.Hour))
	for _, want := range []string{"answer", "second answer", "ack", "note", ""} {
		if got := take(t, q, "w", time.Minute); got != want {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	// What is leased as well competes for nothing, and nothing waits for ever.
	put(t, q, entry("answer", 2, -time.Hour), entry("old note", 0, -time.Minute))
	for i := range takeAmong {
		put(t, q, entry(fmt.Sprint("held", i), 0, -2*time.Hour))
	}
	for range takeAmong + 1 {
		take(t, q, "w", time.Minute)
	}
	for i := range takeAmong {
		put(t, q, entry(fmt.Sprint("held", i), 2, -2*time.Hour))
	}
	put(t, q, entry("later answer", 2, -time.Second))
	for _, want := range []string{"later answer", ""} {
		if got := take(t, q, "w", time.Minute); got != want {
			t.Errorf("behind those that are leased: took %q, want %q", got, want)
		}
	}
	for i := range 2 * takeAmong {
		put(t, q, entry(fmt.Sprintf("n%03d", i), 0, -time.Minute))
	}
	put(t, q, entry("late answer", 2, -time.Second))
	if got := take(t, q, "w", time.Minute); got != "n000" {
		t.Errorf("took %q before those that have waited long", got)
	}
}

func queueFields(t *testing.T, q Queue) {
	want := dueIn("d", -time.Second)
	put(t, q, want)
	if got, _, err := q.Take(t.Context(), "w", time.Minute); err != nil || got != want {
		t.Errorf("took %+v, %v; want %+v", got, err, want)
	}
	has, err := q.Has(t.Context(), "d", "other")
	if err != nil || !has[0] || has[1] {
		t.Errorf("Has: %v, %v", has, err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func queuePutAgain(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second))
	put(t, q, dueIn("d", time.Hour))
	expectLen(t, q, 1, 0)
	if got := take(t, q, "w", time.Minute); got != "" {
		t.Errorf("took %q, which was moved into the future", got)
	}
	put(t, q, dueIn("d", -time.Second))
	if got := take(t, q, "w", time.Minute); got != "d" {
		t.Errorf("took %q, which was moved into the past", got)
	}
	expectLen(t, q, 0, 1)
}

func queueLease(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second))
	take(t, q, "w1", time.Minute)
	if got := take(t, q, "w2", time.Minute); got != "" {
		t.Errorf("took %q, which is leased", got)
	}
	if err := q.Done(t.Context(), "d", "w2"); err != nil {
		t.Fatal(err)
	}
	expectLen(t, q, 0, 1) // it is not w2's
	for range 2 {
		if err := q.Done(t.Context(), "d", "w1"); err != nil {
			t.Fatal(err)
		}
	}
	expectLen(t, q, 0, 0)
}

func queueLeaseEnds(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second))
	take(t, q, "w1", 30*time.Millisecond)
	got := ""
	for begin := time.Now(); got == "" && time.Since(begin) < 10*time.Second; {
		if err := q.Wait(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		got = take(t, q, "w2", time.Minute)
	}
	if got != "d" {
		t.Fatal("the lease never ended")
	}
	if err := q.Done(t.Context(), "d", "w1"); err != nil {
		t.Fatal(err)
	}
	expectLen(t, q, 0, 1) // the stale worker can't end the other's lease
}

func queueExtend(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second))
	take(t, q, "w1", 50*time.Millisecond)
	if ok, err := q.Extend(t.Context(), "d", "w1", time.Minute); err != nil || !ok {
		t.Fatalf("Extend: %v, %v", ok, err)
	}
	if err := waitFor(t.Context(), nil, 80*time.Millisecond); err != nil { // past the first lease
		t.Fatal(err)
	}
	if got := take(t, q, "w2", time.Minute); got != "" {
		t.Errorf("took %q, whose lease was extended", got)
	}
	if ok, err := q.Extend(t.Context(), "d", "w2", time.Minute); err != nil || ok {
		t.Errorf("another's lease: %v, %v", ok, err)
	}
	if ok, err := q.Extend(t.Context(), "lost", "w1", time.Minute); err != nil || !ok {
		t.Errorf("a lost lease is made again: %v, %v", ok, err)
	}
	expectLen(t, q, 0, 2)
}

func queuePutWhileLeased(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second))
	take(t, q, "w1", time.Minute)
	put(t, q, dueIn("d", -time.Second), dueIn("e", 0))
	for _, want := range []string{"e", ""} {
		if got := take(t, q, "w2", time.Minute); got != want {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	if err := q.Done(t.Context(), "d", "w1"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := q.Take(t.Context(), "w2", time.Minute); err != nil || got.DeliveryID != "d" || got.Ticket != 10001 {
		t.Errorf("took %+v, %v", got, err)
	}
}

func queueRemove(t *testing.T, q Queue) {
	put(t, q, dueIn("d", -time.Second), dueIn("e", -time.Second))
	for _, id := range []string{"d", "never there"} {
		if err := q.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	expectLen(t, q, 1, 0)
	if got := take(t, q, "w", time.Minute); got != "e" {
		t.Errorf("took %q", got)
	}
}

func queueWait(t *testing.T, q Queue) {
	begin := time.Now()
	if err := q.Wait(t.Context(), 20*time.Millisecond); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("Wait for max: %v after %v", err, time.Since(begin))
	}
	woken := make(chan error, 1)
	go func() { woken <- q.Wait(context.Background(), time.Minute) }()
	for waiting := true; waiting; { // it may begin to wait after a put
		put(t, q, dueIn("d", time.Hour))
		select {
		case err := <-woken:
			if err != nil {
				t.Error(err)
			}
			waiting = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	put(t, q, dueIn("soon", 50*time.Millisecond))
	begin = time.Now()
	for take(t, q, "w", time.Minute) == "" {
		if err := q.Wait(t.Context(), 30*time.Second); err != nil || time.Since(begin) > 10*time.Second {
			t.Fatalf("Wait for a due time: %v after %v", err, time.Since(begin))
		}
	}
}

func queueWaitContext(t *testing.T, q Queue) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	for q.Wait(ctx, time.Minute) == nil { // it may wake for nothing
		if time.Since(begin) > 10*time.Second {
			t.Fatal("Wait goes on after its context has ended")
		}
	}
}

func queueAllow(t *testing.T, q Queue) {
	allow := func(key string, perMinute int) time.Duration {
		t.Helper()
		wait, err := q.Allow(t.Context(), key, perMinute)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	if wait := allow("a", 2); wait != 0 {
		t.Errorf("the first has to wait %v", wait)
	}
	if wait := allow("a", 2); wait < 20*time.Second || wait > 30*time.Second {
		t.Errorf("the second has to wait %v", wait)
	}
	if wait := allow("b", 2) + allow("none", 0) + allow("none", 0); wait != 0 {
		t.Errorf("another account has to wait %v", wait)
	}
	begin := time.Now()
	for range 3 { // 20 ms apart
		for wait := allow("fast", 3000); wait > 0; wait = allow("fast", 3000) {
			if err := waitFor(t.Context(), nil, wait); err != nil {
				t.Fatal(err)
			}
		}
	}
	if took := time.Since(begin); took < 35*time.Millisecond {
		t.Errorf("three messages in %v", took)
	}
}

func queueRace(t *testing.T, q Queue) {
	const entries, takers = 200, 8
	for i := range entries {
		put(t, q, dueIn(fmt.Sprint("d", i), -time.Second))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var group sync.WaitGroup
	for w := range takers {
		group.Go(func() {
			worker := fmt.Sprint("w", w)
			for {
				d, ok, err := q.Take(context.Background(), worker, time.Minute)
				if err != nil || !ok {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				seen[d.DeliveryID]++
				mu.Unlock()
				if err := q.Done(context.Background(), d.DeliveryID, worker); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	if len(seen) != entries {
		t.Errorf("%d entries were taken", len(seen))
	}
	expectLen(t, q, 0, 0)
}

func queueMany(t *testing.T, q Queue) {
	var entries []store.Due
	for i := range 1234 {
		entries = append(entries, dueIn(fmt.Sprint("d", i), time.Hour))
	}
	put(t, q, entries...)
	put(t, q, entries...)
	expectLen(t, q, 1234, 0)
}

// TestRedisKeysHoldNoContent looks at what stands in Redis as an admin does.
// TestQueueComesBack: Redis is restarted empty, paused, out of memory: each
// call errs in bounded time, and works again by itself (Q02, Q04, Q05).
