package store

import (
	"context"
	"time"
)

// AddWatcher has an agent watch a ticket. It is false where he does already.
func (tx *Tx) AddWatcher(ctx context.Context, number int64, agentID string) (bool, error) {
	n, err := tx.exec(ctx, `INSERT INTO watchers (ticket, agent_id) VALUES ($1, $2)
		ON CONFLICT (ticket, agent_id) DO NOTHING`, number, agentID)
	return n > 0, err
}

// RemoveWatcher ends an agent's watching of a ticket.
func (tx *Tx) RemoveWatcher(ctx context.Context, number int64, agentID string) error {
	return tx.touched(ctx, "watcher", `DELETE FROM watchers WHERE ticket = $1 AND agent_id = $2`, number, agentID)
}

// Watchers gives the ids of the agents who watch tickets, by ticket.
func (tx *Tx) Watchers(ctx context.Context, numbers ...int64) (map[int64][]string, error) {
	all := map[int64][]string{}
	if len(numbers) == 0 {
		return all, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	err := tx.query(ctx, func(r Rows) error {
		var number int64
		var id string
		err := r.Scan(&number, &id)
		all[number] = append(all[number], id)
		return err
	}, `SELECT ticket, agent_id FROM watchers WHERE `+condition+` ORDER BY ticket, agent_id`, args...)
	return all, err
}

// Digest is one thing that an agent is told of in his next digest.
type Digest struct {
	ID         string
	AgentID    string
	Ticket     int64
	ActivityID string
	Reason     string
	DueAt      time.Time
}

// AddDigest puts a thing down for an agent's next digest.
func (tx *Tx) AddDigest(ctx context.Context, d Digest) error {
	return tx.queue(ctx, `INSERT INTO digests (id, agent_id, ticket, activity_id, reason, due_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, d.ID, d.AgentID, d.Ticket, d.ActivityID, d.Reason, us(d.DueAt))
}

// DigestsDue gives the agents who are to get a digest by now, at most limit.
func (tx *Tx) DigestsDue(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return list(ctx, tx, func(r Rows, id *string) error { return r.Scan(id) },
		`SELECT DISTINCT agent_id FROM digests WHERE due_at <= $1 ORDER BY agent_id LIMIT $2`, us(now), limit)
}

// TakeDigests gives what an agent is to be told by now, the oldest first and at
// most limit, and forgets it: it is told in this transaction, by one node alone.
func (tx *Tx) TakeDigests(ctx context.Context, agentID string, now time.Time, limit int) ([]Digest, error) {
	if err := tx.Serialise(ctx, "digest "+agentID); err != nil {
		return nil, err
	}
	found, err := list(ctx, tx, func(r Rows, d *Digest) error {
		return r.Scan(&d.ID, &d.AgentID, &d.Ticket, &d.ActivityID, &d.Reason, at(&d.DueAt))
	}, `SELECT id, agent_id, ticket, activity_id, reason, due_at FROM digests
		WHERE agent_id = $1 AND due_at <= $2 ORDER BY id LIMIT $3`, agentID, us(now), limit)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if _, err := tx.exec(ctx, `DELETE FROM digests WHERE id = $1`, d.ID); err != nil {
			return nil, err
		}
	}
	return found, nil
}
