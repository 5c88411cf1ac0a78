package store

import (
	"context"
	"time"
)

// Audit is one line of the log of who did what to the desk and to its log-ins.
// It names things and fields and holds none of their values.
type Audit struct {
	ID      string // UUIDv7
	At      time.Time
	AgentID string // who did it; "": nobody knows, or the shell
	Action  string // the operation's id, or one of the Audit words
	Thing   string // path of what it was done to, such as /channels/ID
	AuditDetail
}

// AuditDetail is kept as one JSON document.
type AuditDetail struct {
	Email      string   `json:"email,omitempty"`      // as it was typed, where no log-in came of it
	Way        string   `json:"way,omitempty"`        // of a log-in: one of the Way words
	Reason     string   `json:"reason,omitempty"`     // why it came to nothing: a word for programs
	Fields     []string `json:"fields,omitempty"`     // that were sent
	Address    string   `json:"address,omitempty"`    // of the client
	Client     string   `json:"client,omitempty"`     // what its program calls itself
	Credential string   `json:"credential,omitempty"` // id of the session or token
	RequestID  string   `json:"request_id,omitempty"` // the HTTP log's name for it
}

// The actions that are no operation of the API by that name.
const (
	AuditLogin       = "login"
	AuditLoginFailed = "login-failed"
	AuditApply       = "apply" // a desk file, at the shell
)

// AddAudit adds a line to the log.
func (tx *Tx) AddAudit(ctx context.Context, a Audit) error {
	return tx.queue(ctx, `INSERT INTO audit (id, at, agent_id, action, thing, doc) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.ID, us(a.At), a.AgentID, a.Action, a.Thing, toJSON(a.AuditDetail))
}

// AuditFilter chooses lines of the log; empty fields don't.
type AuditFilter struct {
	AgentID string
	Action  string
	Thing   string
	Since   time.Time // from it on
	Until   time.Time // before it
	Cursor  string
	Limit   int // 1 to 200; 0: 50
}

// AuditLog lists the log, newest first.
func (tx *Tx) AuditLog(ctx context.Context, f AuditFilter) ([]Audit, string, error) {
	var w where
	for _, c := range []struct{ column, value string }{{"agent_id", f.AgentID}, {"action", f.Action}, {"thing", f.Thing}} {
		if c.value != "" {
			w.add(c.column+` = ?`, c.value)
		}
	}
	if !f.Since.IsZero() {
		w.add(`at >= ?`, us(f.Since))
	}
	if !f.Until.IsZero() {
		w.add(`at < ?`, us(f.Until))
	}
	c, ok, err := parseCursor(f.Cursor, "audit")
	if err != nil {
		return nil, "", err
	}
	if ok {
		w.add(`(at, id) < (?, ?)`, c.Key, c.ID)
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, func(r Rows, a *Audit) error {
		return r.Scan(&a.ID, at(&a.At), &a.AgentID, &a.Action, &a.Thing, doc(&a.AuditDetail))
	}, `SELECT id, at, agent_id, action, thing, doc FROM audit`+w.sql()+` ORDER BY at DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(a Audit) cursor { return cursor{Sort: "audit", Key: us(a.At), ID: a.ID} })
	return rows, next, err
}

// PruneAudit forgets the lines older than before, and tells how many.
func (tx *Tx) PruneAudit(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM audit WHERE at < $1`, us(before))
	return int(n), err
}
