package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// EventKind says what an event tells of.
type EventKind string

// The kinds of events. A change of a ticket is told by the activity that it
// leaves in the history.
const (
	EventTicketCreated   EventKind = "ticket.created"
	EventActivityCreated EventKind = "activity.created"
	EventActivityChanged EventKind = "activity.changed"
	EventDeliveryChanged EventKind = "delivery.changed" // of an answer or an acknowledgement
	EventRuleMatched     EventKind = "rule.matched"     // for the webhook that the rule names, and no client
	EventAgentNotice     EventKind = "agent.notice"     // for the agent AgentID alone
	// EventAccessEnded is for the open streams of AgentID and for no client: a
	// session or a token of his is gone, or he is switched off.
	EventAccessEnded EventKind = "access.ended"
)

// Event is one line of the journal of what happened. It names things and holds
// nothing of them: who reads it may not see them any more.
type Event struct {
	Position   EventPosition // set by the journal
	Kind       EventKind
	Ticket     int64  // number; 0: of no ticket
	ActivityID string // or ""
	AgentID    string // whom alone it is for; "": all who see the ticket
	Data       EventData
	At         time.Time
	ChannelID  string // of the ticket at the time of reading; it is not kept
}

// EventData says more about an event, each kind in its own fields.
type EventData struct {
	Fields  []string `json:"fields,omitempty"`  // of an activity that changed
	Verdict Verdict  `json:"verdict,omitempty"` // where auth is one of them
	Rule    string   `json:"rule,omitempty"`    // of a rule that held: its id, and that of the webhook
	Webhook string   `json:"webhook,omitempty"`
	Reason  string   `json:"reason,omitempty"` // of a notice: a word for programs
	Text    string   `json:"text,omitempty"`   // of a notice: for the agent to read

	DeliveryID string        `json:"delivery_id,omitempty"` // of a delivery that changed
	State      DeliveryState `json:"state,omitempty"`       // and where it stands since
}

// EventPosition is a place in the journal: that of an event, or the beginning
// for the zero value. Positions rise in the order in which events can be read.
type EventPosition struct {
	Tx int64 // number of the transaction; SQLite has none
	ID int64
}

// String writes a position as ParseEventPosition reads it.
func (p EventPosition) String() string { return fmt.Sprintf("%d-%d", p.Tx, p.ID) }

// Before tells whether p comes before q.
func (p EventPosition) Before(q EventPosition) bool {
	return p.Tx < q.Tx || p.Tx == q.Tx && p.ID < q.ID
}

// ParseEventPosition reads a position; ok is false for what is none.
func ParseEventPosition(text string) (p EventPosition, ok bool) {
	tx, id, ok := strings.Cut(text, "-")
	if !ok {
		return p, false
	}
	var err1, err2 error
	p.Tx, err1 = strconv.ParseInt(tx, 10, 64)
	p.ID, err2 = strconv.ParseInt(id, 10, 64)
	return p, err1 == nil && err2 == nil && p.String() == text && p.Tx >= 0 && p.ID >= 0
}

// AddEvent writes an event into the journal. It can be read once the
// transaction is committed, and on PostgreSQL all older ones have ended.
func (tx *Tx) AddEvent(ctx context.Context, e Event) error {
	if !tx.told {
		tx.told = true
		tx.AfterCommit(tx.db.bell.ring)
	}
	return tx.queue(ctx, `INSERT INTO events (tx, id, kind, ticket, activity_id, agent_id, data, at)
		VALUES (`+tx.db.dialect.EventPosition+`, $1, $2, $3, $4, $5, $6)`,
		string(e.Kind), e.Ticket, e.ActivityID, e.AgentID, toJSON(e.Data), us(e.At))
}

// Events gives at most limit events behind a position, in the order of the
// journal. What was given once is followed by nothing that comes before it,
// however transactions overlap: one that still runs holds back those that began
// after it, and no transaction of a store runs longer than a minute.
func (tx *Tx) Events(ctx context.Context, after EventPosition, limit int) ([]Event, error) {
	return list(ctx, tx, func(r Rows, e *Event) error {
		return r.Scan(&e.Position.Tx, &e.Position.ID, (*string)(&e.Kind), &e.Ticket, &e.ActivityID, &e.AgentID,
			doc(&e.Data), at(&e.At), &e.ChannelID)
	}, `SELECT e.tx, e.id, e.kind, e.ticket, e.activity_id, e.agent_id, e.data, e.at, COALESCE(t.channel_id, '')
		FROM events e LEFT JOIN tickets t ON t.number = e.ticket
		WHERE (e.tx, e.id) > ($1, $2) AND e.tx < `+tx.db.dialect.EventsSettled+`
		ORDER BY e.tx, e.id LIMIT $3`, after.Tx, after.ID, limit)
}

// LastEvent gives the position behind which Events finds what comes from now on.
func (tx *Tx) LastEvent(ctx context.Context) (EventPosition, error) {
	var p EventPosition
	err := tx.query(ctx, func(r Rows) error { return r.Scan(&p.Tx, &p.ID) }, `SELECT tx, id FROM events
		WHERE tx < `+tx.db.dialect.EventsSettled+` ORDER BY tx DESC, id DESC LIMIT 1`)
	return p, err
}

// metaForgotten holds the position up to which the journal was pruned.
const metaForgotten = "events_forgotten"

// MissedEvents tells of a reader who goes on behind a position: known is false
// where no event of the journal can have had it, missed true where some that
// came after it are no longer kept.
func (tx *Tx) MissedEvents(ctx context.Context, after EventPosition) (known, missed bool, err error) {
	last, err := tx.LastEvent(ctx)
	if err != nil || last.Before(after) {
		return false, false, err
	}
	text, err := tx.Meta(ctx, metaForgotten)
	if err != nil {
		return false, false, err
	}
	forgotten, _ := ParseEventPosition(text) // none before the first was pruned
	return true, after.Before(forgotten) && !last.Before(forgotten), nil
}

// pruneEvents is how many events one PruneEvents removes at most: it holds up
// the intake for as long.
const pruneEvents = 1000

// PruneEvents forgets the oldest events, those of before, at most 1000 of them.
// It tells how many: when there are none left, 0. The newest event always
// stays, so that positions go on rising, and so does what webhooks are still to
// be told.
func (tx *Tx) PruneEvents(ctx context.Context, before time.Time) (int, error) {
	if _, err := tx.exec(ctx, `DELETE FROM events WHERE `+tx.db.dialect.EventsForeign); err != nil {
		return 0, err
	}
	settled := tx.db.dialect.EventsSettled
	old, err := list(ctx, tx, func(r Rows, p *EventPosition) error { return r.Scan(&p.Tx, &p.ID) }, `SELECT tx, id
		FROM (SELECT tx, id, at FROM events WHERE tx < `+settled+` ORDER BY tx, id LIMIT $2) AS oldest
		WHERE at < $1 AND (tx, id) < (SELECT tx, id FROM events WHERE tx < `+settled+` ORDER BY tx DESC, id DESC LIMIT 1)
		ORDER BY tx, id`, us(before), pruneEvents)
	if err == nil {
		old, err = tx.withoutUntold(ctx, old)
	}
	if err != nil || len(old) == 0 {
		return 0, err
	}
	last := old[len(old)-1]
	n, err := tx.exec(ctx, `DELETE FROM events WHERE (tx, id) <= ($1, $2) AND at < $3`, last.Tx, last.ID, us(before))
	if err != nil {
		return 0, err
	}
	return int(n), tx.SetMeta(ctx, metaForgotten, last.String())
}

// EventsAdded gives a channel that is closed when this process next commits an
// event. It says nothing of other processes.
func (db *DB) EventsAdded() <-chan struct{} { return db.bell.wait() }

// bell wakes all who wait for it. It is safe for concurrent use, and costs next
// to nothing while nobody waits.
type bell struct {
	mu   sync.Mutex
	next chan struct{} // nil: nobody waits
}

func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
