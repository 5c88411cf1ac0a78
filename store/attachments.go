package store

import "context"

const attachmentColumns = `activity_id, id, ticket, position, name, type, size, inline, content_id, hash, hidden`

func scanAttachment(r Rows, a *Attachment) error {
	return r.Scan(&a.ActivityID, &a.ID, &a.Ticket, &a.Position, &a.Name, &a.Type, &a.Size, &a.Inline, &a.ContentID, &a.Hash, &a.Hidden)
}

// AddAttachments adds files to their activities, and counts them on their
// tickets. Their blobs must have been added.
func (tx *Tx) AddAttachments(ctx context.Context, attachments []Attachment) error {
	counts := map[int64]int64{}
	for _, a := range attachments {
		err := tx.queue(ctx, `INSERT INTO attachments (`+attachmentColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			a.ActivityID, a.ID, a.Ticket, a.Position, a.Name, a.Type, a.Size, a.Inline, a.ContentID, a.Hash, a.Hidden)
		if err != nil {
			return err
		}
		counts[a.Ticket]++
	}
	for ticket, n := range counts {
		if err := tx.countFiles(ctx, ticket, n); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) countFiles(ctx context.Context, ticket, n int64) error {
	if n == 0 {
		return nil
	}
	return tx.queue(ctx, `UPDATE tickets SET files = files + $2 WHERE number = $1`, ticket, n)
}

// Attachments gives the files of activities, by activity id, in their order.
func (tx *Tx) Attachments(ctx context.Context, activityIDs ...string) (map[string][]Attachment, error) {
	all := map[string][]Attachment{}
	if len(activityIDs) == 0 {
		return all, nil
	}
	rows, err := list(ctx, tx, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments
		WHERE `+tx.db.dialect.In("activity_id", "$1")+` ORDER BY activity_id, position`,
		tx.db.dialect.Strings(activityIDs))
	for _, a := range rows {
		all[a.ActivityID] = append(all[a.ActivityID], a)
	}
	return all, err
}

// Attachment gives one file of an activity.
func (tx *Tx) Attachment(ctx context.Context, activityID, id string) (Attachment, error) {
	return first(ctx, tx, "attachment", scanAttachment, `SELECT `+attachmentColumns+` FROM attachments
		WHERE activity_id = $1 AND id = $2`, activityID, id)
}

// HideAttachment takes a file out of sight, or back.
func (tx *Tx) HideAttachment(ctx context.Context, activityID, id string, hidden bool) error {
	return tx.touched(ctx, "attachment", `UPDATE attachments SET hidden = $3 WHERE activity_id = $1 AND id = $2`, activityID, id, hidden)
}

// TicketFiles lists the files of a ticket, the newest activity's first.
func (tx *Tx) TicketFiles(ctx context.Context, ticket int64, from string, limit int) ([]Attachment, string, error) {
	var w where
	w.add(`ticket = ?`, ticket)
	c, ok, err := parseCursor(from, "files")
	if err != nil {
		return nil, "", err
	}
	if ok {
		w.add(`(activity_id, position) < (?, ?)`, c.ID, c.Key)
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments`+w.sql()+
		` ORDER BY activity_id DESC, position DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(a Attachment) cursor {
		return cursor{Sort: "files", ID: a.ActivityID, Key: int64(a.Position)}
	})
	return rows, next, err
}

// TicketFile gives one file of a ticket.
func (tx *Tx) TicketFile(ctx context.Context, ticket int64, id string) (Attachment, error) {
	return first(ctx, tx, "file", scanAttachment,
		`SELECT `+attachmentColumns+` FROM attachments WHERE ticket = $1 AND id = $2`, ticket, id)
}
