package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ticketgate/store"
)

// Queue says when which delivery is to be tried, and who is trying it. It is
// the only place that workers take work from, and holds nothing that the
// ledger can't give again. All methods are safe for concurrent use, by several
// processes if the implementation is shared between them. An error means that
// the queue could not be reached, and that the call may or may not have had its
// effect: each may be made again.
//
// There are two, one in Redis and one in the process (OpenQueue), and one
// conformance suite that both pass.
type Queue interface {
	// Put adds entries. One that is there already by its delivery id moves to
	// the new due time; one that is leased is kept beside the lease, and can
	// be taken when the lease has ended. Whoever waits is woken.
	Put(ctx context.Context, entries ...store.Due) error
	// Take removes the entry that has been due for longest and leases it to
	// worker; of the first takeAmong the one with the highest Priority, so that
	// an answer need not wait for the notifications of the same moment. It
	// returns false when none is due. An entry whose lease ends before Done is
	// due again at once.
	Take(ctx context.Context, worker string, lease time.Duration) (store.Due, bool, error)
	// Extend renews worker's lease from now. A lease that got lost is made
	// again; it returns false when the delivery is leased to somebody else.
	Extend(ctx context.Context, id, worker string, lease time.Duration) (bool, error)
	// Done drops worker's lease. It leaves alone a lease of somebody else, and
	// an entry that was put after Take.
	Done(ctx context.Context, id, worker string) error
	// Remove drops an entry that waits. A lease stays.
	Remove(ctx context.Context, id string) error
	// Wait returns when something is due, after a Put, or after max, whichever
	// comes first, and now and then for nothing; with an error only when ctx
	// ends or the queue can't be reached.
	Wait(ctx context.Context, max time.Duration) error
	// Len tells how many entries wait, due or not, and how many are leased.
	Len(ctx context.Context) (waiting, leased int, err error)
	// Has tells for each id whether it waits or is leased.
	Has(ctx context.Context, ids ...string) ([]bool, error)
	// Allow asks whether one more message may go out under the limit of key,
	// perMinute of them evenly spaced over all processes. 0 means now, and
	// counts; else it is how long to wait before asking again.
	Allow(ctx context.Context, key string, perMinute int) (wait time.Duration, err error)
	// Ping tells whether the queue can be reached.
	Ping(ctx context.Context) error
	// Close releases what the queue holds; the entries stay, if they are kept
	// outside the process.
	Close() error
}

// takeAmong is how many of the entries that have been due for longest compete by
// priority. Further behind time alone counts, so that nothing waits for ever.
const takeAmong = 32

// OpenQueue opens the queue that url names:
//
//	embedded                                               in this process
//	redis://[user:password@]host:port[/db], rediss://      one server
//	redis+sentinel://[user:password@]host:port,.../master[/db]
//	redis+cluster://[user:password@]host:port,...
//
// A server that can't be reached is no error here: the calls err until it can.
func OpenQueue(url string, log *slog.Logger) (Queue, error) {
	if url == "" || url == "embedded" {
		return newMemoryQueue(time.Now), nil
	}
	scheme, _, ok := strings.Cut(url, "://")
	if !ok || !strings.HasPrefix(scheme, "redis") {
		return nil, fmt.Errorf("redis.url is neither embedded nor a redis URL")
	}
	return openRedis(url, log)
}

// entry is how a Due stands in Redis: nothing in it tells who writes to whom.
type entry struct {
	DeliveryID string `json:"delivery_id"`
	Ticket     int64  `json:"ticket"`
	AccountID  string `json:"account"`
	Domain     string `json:"domain"`
	Priority   int    `json:"priority"`
	Attempt    int    `json:"attempt"`
	Due        int64  `json:"due"` // Unix milliseconds
}

// dueMilli rounds up: the ledger grants nothing that is a microsecond early.
func dueMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func marshalDue(d store.Due) string {
	text, _ := json.Marshal(entry{
		DeliveryID: d.DeliveryID, Ticket: d.Ticket, AccountID: d.AccountID, Domain: d.Domain,
		Priority: d.Priority, Attempt: d.Attempt, Due: dueMilli(d.DueAt),
	}) // strings and numbers: can't fail
	return string(text)
}

func unmarshalDue(id, text string) store.Due {
	e := entry{}
	// A damaged entry still names its delivery, and the ledger knows the rest.
	_ = json.Unmarshal([]byte(text), &e)
	return store.Due{
		DeliveryID: id, Ticket: e.Ticket, AccountID: e.AccountID, Domain: e.Domain,
		Priority: e.Priority, Attempt: e.Attempt, DueAt: time.UnixMilli(e.Due).UTC(),
	}
}
