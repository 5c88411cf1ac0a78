package store

import (
	"context"
	"time"
)

// ActivityFilter chooses activities of all tickets; empty fields don't.
type ActivityFilter struct {
	VisibleTo string    // an agent's id: only those of tickets that he may see; "": all
	Query     string    // full text; each word or "quoted phrase" must occur
	MessageID string    // without brackets: of the mail that it is
	From      string    // an address that wrote it
	Since     time.Time // from this time on
	Cursor    string
	Limit     int // 1 to 200; 0: 50
}

// FindActivities lists activities, newest first. What was hidden is found by
// neither text nor sender. A broken cursor is CodeInvalid with the field cursor.
func (tx *Tx) FindActivities(ctx context.Context, f ActivityFilter) ([]Activity, string, error) {
	c, ok, err := parseCursor(f.Cursor, "activities of all")
	if err != nil {
		return nil, "", err
	}
	var w where
	if ok {
		w.add(`(created_at, id) < (?, ?)`, c.Key, c.ID)
	}
	if !f.Since.IsZero() {
		w.add(`created_at >= ?`, us(f.Since))
	}
	if f.MessageID != "" {
		// Two ids may share a hash. That a mail only named the id is not asked for.
		w.add(`id IN (SELECT activity_id FROM message_refs WHERE hash = ? AND message_id = ? AND kind <> 'named')`,
			refHash(f.MessageID), f.MessageID)
	}
	if f.From != "" {
		// The index finds whoever speaks of the address: few to look at.
		f.Query += ` "` + f.From + `"`
		w.add(tx.db.dialect.From(w.arg(f.From)))
	}
	if f.Query != "" && !w.found(tx, f.Query, "id", tx.db.dialect.Found) {
		return nil, "", nil
	}
	if err := tx.onlyVisibleActivities(ctx, &w, f.VisibleTo); err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, scanActivity, `SELECT `+activityColumns+` FROM activities`+w.sql()+
		` ORDER BY created_at DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(a Activity) cursor {
		return cursor{Sort: "activities of all", Key: us(a.CreatedAt), ID: a.ID}
	})
	return rows, next, err
}

// found adds the condition that the search finds a column's value. It is false
// for a query in which there is nothing that a text could hold as a word.
func (w *where) found(tx *Tx, query, column string, match func(param string) string) bool {
	phrases := searchPhrases(query)
	if len(phrases) > 0 {
		w.add(column + ` IN (` + match(w.arg(tx.db.dialect.Phrases(phrases))) + `)`)
	}
	return len(phrases) > 0
}

func (tx *Tx) onlyVisibleActivities(ctx context.Context, w *where, agentID string) error {
	if agentID == "" {
		return nil
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	if a := desk.Agent(agentID); a == nil || a.Role != RoleAdmin {
		w.add(`EXISTS (SELECT 1 FROM tickets t WHERE t.number = activities.ticket AND ` +
			w.among(tx, "t.channel_id", desk.VisibleChannels(agentID)) + `)`)
	}
	return nil
}
