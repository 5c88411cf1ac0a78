package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"ticketgate/store"
)

// redisBase begins every key, and is the sorted set of what waits by due time.
const redisBase = "ticketgate:outbound"

// putChunk bounds one call of luaPut: Redis does nothing else meanwhile.
const putChunk = 500

// The bell's connection: how long it may be silent, and the pause after it broke.
const (
	redisSilence = 15 * time.Second
	redisPause   = 200 * time.Millisecond
)

// hushRedis points the library's logger, which is one for the process and
// writes to standard error, to ours.
var hushRedis sync.Once

type redisLog struct{ log *slog.Logger }

// Printf keeps what the library has to say at debug level: whatever matters
// comes back as an error of a call as well.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis", "text", fmt.Sprintf(format, v...))
}

// redisQueue is the Queue that several processes share.
type redisQueue struct {
	client                                       redis.UniversalClient
	log                                          *slog.Logger
	keys                                         redisKeys
	take, extend, done, remove, put, next, allow *redis.Script

	sub  *redis.PubSub
	stop context.CancelFunc // ends listen, once sub is closed as well
	over chan struct{}      // closed when listen has ended

	mu   sync.Mutex
	bell chan struct{} // closed and replaced when Redis rings; guarded by mu
}

type redisKeys struct{ waiting, entries, leases, workers, bell, rate string }

func openRedis(url string, log *slog.Logger) (*redisQueue, error) {
	hushRedis.Do(func() { redis.SetLogger(redisLog{log}) })
	client, cluster, err := redisClient(url)
	if err != nil {
		return nil, err
	}
	base := redisBase
	if cluster {
		base += "{q}" // one slot: a script may only touch keys that live together
	}
	q := &redisQueue{
		client: client, log: log,
		keys: redisKeys{
			waiting: base, entries: base + ":entries", leases: base + ":leases",
			workers: base + ":workers", bell: base + ":bell", rate: base + ":rate:",
		},
		take: redis.NewScript(luaTake), extend: redis.NewScript(luaExtend), done: redis.NewScript(luaDone),
		remove: redis.NewScript(luaRemove), put: redis.NewScript(luaPut), next: redis.NewScript(luaNext),
		allow: redis.NewScript(luaAllow),
		over:  make(chan struct{}), bell: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	q.stop = stop
	q.sub = client.Subscribe(ctx) // connects at the first channel
	go q.listen(ctx)
	return q, nil
}

// listen passes the bell of Redis on to whoever waits here. One connection
// serves the whole process, and blocks nobody else's.
func (q *redisQueue) listen(ctx context.Context) {
	defer close(q.over)
	subscribed := false
	for ctx.Err() == nil {
		if err := q.hear(ctx, &subscribed); err != nil {
			// Those who wait look for themselves every second or two.
			_ = waitFor(ctx, nil, redisPause)
			continue
		}
		q.ring()
	}
}

// hear returns at the next sign of life: a bell, or an answer to a ping after
// a long silence, without which a dead connection would stay unnoticed.
func (q *redisQueue) hear(ctx context.Context, subscribed *bool) error {
	if !*subscribed {
		if err := q.sub.Subscribe(ctx, q.keys.bell); err != nil {
			return err
		}
		*subscribed = true // from now on it is renewed with the connection
	}
	_, err := q.sub.ReceiveTimeout(ctx, redisSilence)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return q.sub.Ping(ctx)
	}
	return err
}

func (q *redisQueue) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.bell)
	q.bell = make(chan struct{})
}

func (q *redisQueue) Put(ctx context.Context, entries ...store.Due) error {
	for len(entries) > 0 {
		n := min(putChunk, len(entries))
		args := make([]any, 0, 1+3*n)
		args = append(args, q.keys.bell)
		for _, e := range entries[:n] {
			args = append(args, e.DeliveryID, dueMilli(e.DueAt), marshalDue(e))
		}
		if err := q.put.Run(ctx, q.client, []string{q.keys.waiting, q.keys.entries}, args...).Err(); err != nil {
			return fmt.Errorf("queue: put: %w", err)
		}
		entries = entries[n:]
	}
	return nil
}

func (q *redisQueue) Take(ctx context.Context, worker string, lease time.Duration) (store.Due, bool, error) {
	found, err := q.take.Run(ctx, q.client,
		[]string{q.keys.waiting, q.keys.entries, q.keys.leases, q.keys.workers},
		time.Now().UnixMilli(), lease.Milliseconds(), worker, takeAmong).StringSlice()
	switch {
	case errors.Is(err, redis.Nil):
		return store.Due{}, false, nil
	case err != nil:
		return store.Due{}, false, fmt.Errorf("queue: take: %w", err)
	case len(found) != 2:
		return store.Due{}, false, fmt.Errorf("queue: take: %d values", len(found))
	}
	return unmarshalDue(found[0], found[1]), true, nil
}

func (q *redisQueue) Extend(ctx context.Context, id, worker string, lease time.Duration) (bool, error) {
	n, err := q.extend.Run(ctx, q.client, []string{q.keys.leases, q.keys.workers},
		id, worker, lease.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("queue: extend: %w", err)
	}
	return n == 1, nil
}

func (q *redisQueue) Done(ctx context.Context, id, worker string) error {
	err := q.done.Run(ctx, q.client,
		[]string{q.keys.waiting, q.keys.entries, q.keys.leases, q.keys.workers},
		id, worker, q.keys.bell).Err()
	if err != nil {
		return fmt.Errorf("queue: done: %w", err)
	}
	return nil
}

func (q *redisQueue) Remove(ctx context.Context, id string) error {
	err := q.remove.Run(ctx, q.client, []string{q.keys.waiting, q.keys.entries, q.keys.leases}, id).Err()
	if err != nil {
		return fmt.Errorf("queue: remove: %w", err)
	}
	return nil
}

func (q *redisQueue) Wait(ctx context.Context, max time.Duration) error {
	q.mu.Lock()
	bell := q.bell
	q.mu.Unlock()
	// Asked after the bell was taken: what is put from here on rings it.
	ms, err := q.next.Run(ctx, q.client, []string{q.keys.waiting, q.keys.leases}, time.Now().UnixMilli()).Int64()
	if err != nil {
		return fmt.Errorf("queue: wait: %w", err)
	}
	span := max
	if ms >= 0 {
		span = min(span, time.Duration(ms)*time.Millisecond)
	}
	if span <= 0 {
		return ctx.Err()
	}
	return waitFor(ctx, bell, span)
}

func (q *redisQueue) Len(ctx context.Context) (waiting, leased int, err error) {
	var a, b *redis.IntCmd
	_, err = q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		a, b = p.ZCard(ctx, q.keys.waiting), p.ZCard(ctx, q.keys.leases)
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("queue: len: %w", err)
	}
	return int(a.Val()), int(b.Val()), nil
}

func (q *redisQueue) Has(ctx context.Context, ids ...string) ([]bool, error) {
	found := make([]bool, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	for _, key := range []string{q.keys.waiting, q.keys.leases} {
		// ZMSCORE tells a missing member from one with score 0 only in the
		// raw reply; due times and leases are never 0.
		scores, err := q.client.ZMScore(ctx, key, ids...).Result()
		if err != nil {
			return nil, fmt.Errorf("queue: has: %w", err)
		}
		for i, score := range scores {
			found[i] = found[i] || score != 0
		}
	}
	return found, nil
}

func (q *redisQueue) Allow(ctx context.Context, key string, perMinute int) (time.Duration, error) {
	if perMinute <= 0 {
		return 0, nil
	}
	span := max(1, time.Minute.Milliseconds()/int64(perMinute))
	ms, err := q.allow.Run(ctx, q.client, []string{q.keys.rate + key}, span).Int64()
	if err != nil {
		return 0, fmt.Errorf("queue: allow: %w", err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (q *redisQueue) Ping(ctx context.Context) error { return q.client.Ping(ctx).Err() }

func (q *redisQueue) Close() error {
	q.stop()
	err := q.sub.Close()
	<-q.over
	return errors.Join(err, q.client.Close())
}

// advice tells what in the server's settings endangers the queue, or "".
func (q *redisQueue) advice(ctx context.Context) string {
	info, err := q.client.Info(ctx, "memory").Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && policy != "noeviction" {
			return "Redis may drop entries of the queue (maxmemory-policy " + policy + "); set noeviction"
		}
	}
	return ""
}
