package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// accountDoc and agentDoc are how these two are kept: with their keys, which
// the API doesn't show.
type accountDoc struct {
	MailAccount
	Key       string   `json:"key"`
	AliasKeys []string `json:"alias_keys"`
}

type agentDoc struct {
	Agent
	Key string `json:"key"`
}

// Desk gives the desk as it is committed now. The snapshot is shared; it costs
// one short query while nothing has changed.
func (db *DB) Desk(ctx context.Context) (*Desk, error) {
	var desk *Desk
	err := db.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
		desk, err = tx.Desk(ctx)
		return err
	})
	return desk, err
}

// maxDeskAge is how old what RecentDesk gives may be.
const maxDeskAge = 50 * time.Millisecond

// recentDesk is a snapshot with the time at which it was surely the newest.
type recentDesk struct {
	desk    *Desk
	at      time.Time
	changes int64 // of this process, by then
}

// RecentDesk gives the desk as Desk does, but for what other processes have
// committed in the last 50 ms. It mostly costs nothing: that is for questions
// which come with every mail, and are asked again in its transaction.
func (db *DB) RecentDesk(ctx context.Context) (*Desk, error) {
	now := recentDesk{at: time.Now(), changes: db.deskChanges.Load()}
	if r := db.deskRecent.Load(); r != nil && r.changes == now.changes && now.at.Sub(r.at) < maxDeskAge {
		return r.desk, nil
	}
	var err error
	if now.desk, err = db.Desk(ctx); err != nil {
		return nil, err
	}
	db.deskRecent.Store(&now)
	return now.desk, nil
}

// Desk gives the desk as this transaction sees it.
func (tx *Tx) Desk(ctx context.Context) (*Desk, error) {
	if tx.desk != nil {
		return tx.desk, nil
	}
	version, err := tx.count(ctx, `SELECT version FROM desk_version`)
	if err != nil {
		return nil, err
	}
	if cached := tx.db.desk.Load(); cached != nil && cached.Version == version {
		tx.desk = cached
		return cached, nil
	}
	// The version was read first: if somebody commits in between, the snapshot
	// is newer than it says, and is read once more for nothing.
	desk, err := tx.readDesk(ctx, version)
	if err != nil {
		return nil, err
	}
	tx.desk = desk
	if !tx.deskChanged {
		tx.db.desk.Store(desk)
	}
	return desk, nil
}

func (tx *Tx) readDesk(ctx context.Context, version int64) (*Desk, error) {
	d := &Desk{Version: version}
	var err error
	if d.Channels, err = docs[Channel](ctx, tx, `SELECT doc FROM channels ORDER BY id`); err != nil {
		return nil, err
	}
	if d.Statuses, err = docs[Status](ctx, tx, `SELECT doc FROM statuses ORDER BY id`); err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.Statuses, func(a, b Status) int { return cmp.Compare(a.Position, b.Position) })
	accounts, err := list(ctx, tx, func(r Rows, a *accountDoc) error {
		return r.Scan(doc(a), at(&a.CreatedAt))
	}, `SELECT doc, created_at FROM accounts ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		a.MailAccount.Key, a.MailAccount.AliasKeys = a.Key, a.AliasKeys
		d.Accounts = append(d.Accounts, a.MailAccount)
	}
	agents, err := docs[agentDoc](ctx, tx, `SELECT doc FROM agents ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for _, a := range agents {
		a.Agent.Key = a.Key
		d.Agents = append(d.Agents, a.Agent)
	}
	d.Subscriptions, err = list(ctx, tx, func(r Rows, s *Subscription) error {
		return r.Scan(&s.ChannelID, &s.AgentID, &s.Type)
	}, `SELECT channel_id, agent_id, type FROM subscriptions ORDER BY channel_id, agent_id`)
	if err != nil {
		return nil, err
	}
	d.index()
	err = tx.readThings(ctx, d)
	d.sortRules()
	return d, err
}

// docs reads records that are kept as one JSON document.
func docs[T any](ctx context.Context, tx *Tx, sql string, args ...any) ([]T, error) {
	return list(ctx, tx, func(r Rows, v *T) error { return r.Scan(doc(v)) }, sql, args...)
}

// AccountTimes tells when a mail account last received and sent.
type AccountTimes struct {
	Received, Sent time.Time
}

// AccountTimes gives the times of all mail accounts, by id.
func (tx *Tx) AccountTimes(ctx context.Context) (map[string]AccountTimes, error) {
	all := map[string]AccountTimes{}
	err := tx.query(ctx, func(r Rows) error {
		var id string
		var t AccountTimes
		err := r.Scan(&id, at(&t.Received), at(&t.Sent))
		all[id] = t
		return err
	}, `SELECT id, last_received_at, last_sent_at FROM accounts`)
	return all, err
}

// TouchAccount notes when a mail account received or sent; a zero time, or one
// that is older than what is noted, changes nothing. The desk's version stays.
func (tx *Tx) TouchAccount(ctx context.Context, id string, received, sent time.Time) error {
	// The condition on whole seconds spares a busy account a row version for
	// each mail, over which writers would have to wait for each other.
	return tx.queue(ctx, `UPDATE accounts SET
		last_received_at = CASE WHEN $2 > last_received_at THEN $2 ELSE last_received_at END,
		last_sent_at = CASE WHEN $3 > last_sent_at THEN $3 ELSE last_sent_at END
		WHERE id = $1 AND ($2 >= last_received_at + 1000000 OR $3 >= last_sent_at + 1000000)`,
		id, us(received), us(sent))
}

// AgentPassword gives the argon2id hash of an agent's password; "" if none is
// set.
func (tx *Tx) AgentPassword(ctx context.Context, agentID string) (string, error) {
	return first(ctx, tx, "agent", func(r Rows, s *string) error { return r.Scan(s) },
		`SELECT password FROM agents WHERE id = $1`, agentID)
}
