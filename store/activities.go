package store

import (
	"context"
	"strings"
	"time"
)

const activityColumns = `id, ticket, seq, type, medium, author, created_by, account_id, answers, subject, text, html,
	reply_text, reply_length, message_id, raw_hash, sender, automatic, external, created_at, detail`

func scanActivity(r Rows, a *Activity) error {
	var reply int
	err := r.Scan(&a.ID, &a.Ticket, &a.Seq, (*string)(&a.Type), (*string)(&a.Medium), doc(&a.Author), &a.CreatedBy,
		&a.AccountID, &a.Answers, &a.Subject, &a.Text, &a.HTML, &a.ReplyText, &reply, &a.MessageID, &a.RawHash, &a.Sender,
		&a.Automatic, &a.External, at(&a.CreatedAt), doc(&a.ActivityDetail))
	if err == nil && reply >= 0 {
		a.ReplyText = a.Text[:min(reply, len(a.Text))]
	}
	return err
}

func activityArgs(a Activity) []any {
	reply, length := keptReply(a)
	return []any{a.ID, a.Ticket, a.Seq, string(a.Type), string(a.Medium), toJSON(a.Author), a.CreatedBy, a.AccountID,
		a.Answers, a.Subject, a.Text, a.HTML, reply, length, a.MessageID, a.RawHash, a.Sender, a.Automatic, a.External,
		us(a.CreatedAt), toJSON(a.ActivityDetail)}
}

// keptReply is how the reply text is kept: what the text begins with, as it
// mostly does, by its length alone, for it is half of a row; else as it is,
// with -1 for the length.
func keptReply(a Activity) (text string, length int) {
	if strings.HasPrefix(a.Text, a.ReplyText) {
		return "", len(a.ReplyText)
	}
	return a.ReplyText, -1
}

// InsertActivity adds an activity to its ticket's history, and tells of it. It
// sets a.Seq, and brings the ticket's Activities and UpdatedAt up to date.
func (tx *Tx) InsertActivity(ctx context.Context, a *Activity) error {
	if err := tx.drawSeq(ctx, a); err != nil {
		return err
	}
	err := tx.queue(ctx, `INSERT INTO activities (`+activityColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
		activityArgs(*a)...)
	if err != nil {
		return err
	}
	return tx.AddEvent(ctx, Event{Kind: EventActivityCreated, Ticket: a.Ticket, ActivityID: a.ID, At: a.CreatedAt})
}

// drawSeq takes the next place in the ticket's history.
func (tx *Tx) drawSeq(ctx context.Context, a *Activity) error {
	if err := tx.ready(true, nil); err != nil {
		return err
	}
	seq, err := tx.count(ctx, `UPDATE tickets SET activities = activities + 1,
		updated_at = CASE WHEN $2 > updated_at THEN $2 ELSE updated_at END
		WHERE number = $1 RETURNING activities`, a.Ticket, us(a.CreatedAt))
	if err == nil && seq == 0 {
		err = Errorf(CodeNotFound, "no such ticket")
	}
	a.Seq = int(seq)
	return err
}

// MoveActivity puts an activity at the end of another ticket's history, with
// its attachments and the mail that went out by it, and tells of it. It brings
// UpdatedAt and the counts of that ticket up to date; the first one's Activities
// stays, for it numbers what comes.
func (tx *Tx) MoveActivity(ctx context.Context, id string, to int64, now time.Time) (Activity, error) {
	a, err := tx.Activity(ctx, id)
	if err != nil || a.Ticket == to {
		return a, err
	}
	from := a.Ticket
	a.Ticket = to
	if err := tx.drawSeq(ctx, &Activity{Ticket: from, CreatedAt: now}); err != nil {
		return a, err
	}
	moved := Activity{Ticket: to, CreatedAt: now}
	if err := tx.drawSeq(ctx, &moved); err != nil {
		return a, err
	}
	a.Seq = moved.Seq
	if err := tx.UpdateActivity(ctx, a); err != nil {
		return a, err
	}
	if sql := tx.db.dialect.MoveIndex; sql != "" {
		if err := tx.defers(sql, id); err != nil {
			return a, err
		}
	}
	for _, sql := range []string{
		`UPDATE mails SET ticket = $2 WHERE id IN (SELECT mail_id FROM deliveries WHERE activity_id = $1)`,
		`UPDATE deliveries SET ticket = $2 WHERE activity_id = $1`,
	} {
		if err := tx.queue(ctx, sql, id, to); err != nil {
			return a, err
		}
	}
	n, err := tx.exec(ctx, `UPDATE attachments SET ticket = $2 WHERE activity_id = $1`, id, to)
	if err != nil {
		return a, err
	}
	if err := tx.countFiles(ctx, from, -n); err != nil {
		return a, err
	}
	if err := tx.countFiles(ctx, to, n); err != nil {
		return a, err
	}
	return a, tx.AddEvent(ctx, Event{Kind: EventActivityChanged, Ticket: to, ActivityID: id, At: now,
		Data: EventData{Fields: []string{"ticket"}}})
}

// UpdateActivity writes the whole activity as a says.
func (tx *Tx) UpdateActivity(ctx context.Context, a Activity) error {
	return tx.touched(ctx, "activity", `UPDATE activities SET ticket = $2, seq = $3, type = $4, medium = $5,
		author = $6, created_by = $7, account_id = $8, answers = $9, subject = $10, text = $11, html = $12,
		reply_text = $13, reply_length = $14, message_id = $15, raw_hash = $16, sender = $17, automatic = $18,
		external = $19, created_at = $20, detail = $21 WHERE id = $1`, activityArgs(a)...)
}

// Activity gives an activity.
func (tx *Tx) Activity(ctx context.Context, id string) (Activity, error) {
	return first(ctx, tx, "activity", scanActivity, `SELECT `+activityColumns+` FROM activities WHERE id = $1`, id)
}

// Activities lists a ticket's history, oldest first.
func (tx *Tx) Activities(ctx context.Context, ticket int64, from string, limit int) ([]Activity, string, error) {
	c, _, err := parseCursor(from, "activities")
	if err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanActivity, `SELECT `+activityColumns+` FROM activities
		WHERE ticket = $1 AND seq > $2 ORDER BY seq LIMIT $3`, ticket, c.Key, limit+1)
	rows, next := page(rows, limit, func(a Activity) cursor { return cursor{Sort: "activities", Key: int64(a.Seq)} })
	return rows, next, err
}

// LastIncoming gives the newest activity that a participant wrote and no
// machine.
func (tx *Tx) LastIncoming(ctx context.Context, ticket int64) (Activity, error) {
	return first(ctx, tx, "activity", scanActivity, `SELECT `+activityColumns+` FROM activities
		WHERE ticket = $1 AND type = 'incoming' AND sender = 'participant' AND automatic = ''
		ORDER BY seq DESC LIMIT 1`, ticket)
}

// ActivityCounts gives how many activities lie on each of some tickets now.
func (tx *Tx) ActivityCounts(ctx context.Context, numbers ...int64) (map[int64]int, error) {
	counts := make(map[int64]int, len(numbers))
	if len(numbers) == 0 {
		return counts, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	err := tx.query(ctx, func(r Rows) error {
		var ticket int64
		var n int
		err := r.Scan(&ticket, &n)
		counts[ticket] = n
		return err
	}, `SELECT ticket, COUNT(*) FROM activities WHERE `+condition+` GROUP BY ticket`, args...)
	return counts, err
}

// WorkedOn tells whether an agent did anything in a ticket: wrote, noted down,
// or changed it.
func (tx *Tx) WorkedOn(ctx context.Context, ticket int64) (bool, error) {
	n, err := tx.count(ctx, `SELECT 1 FROM activities WHERE ticket = $1
		AND (created_by <> '' OR type IN ('outgoing', 'note')) LIMIT 1`, ticket)
	return n > 0, err
}

// NothingSaid tells whether a ticket's history holds changes alone.
func (tx *Tx) NothingSaid(ctx context.Context, ticket int64) (bool, error) {
	n, err := tx.count(ctx, `SELECT 1 FROM activities WHERE ticket = $1 AND type <> 'status_change' LIMIT 1`, ticket)
	return n == 0, err
}

// ThreadID is the Message-ID of one activity of a ticket.
type ThreadID struct {
	ActivityID string
	MessageID  string // without brackets
	Type       ActivityType
}

// Thread gives the Message-IDs of a ticket's activities, oldest first, but for
// those of strangers: the customer has nothing to do with them. Of more
// than limit it gives the first half and the last half of limit; 0 is all.
func (tx *Tx) Thread(ctx context.Context, ticket int64, limit int) ([]ThreadID, error) {
	all, err := list(ctx, tx, func(r Rows, t *ThreadID) error {
		return r.Scan(&t.ActivityID, &t.MessageID, (*string)(&t.Type))
	}, `SELECT id, message_id, type FROM activities WHERE ticket = $1 AND message_id <> ''
		AND sender <> 'stranger' ORDER BY seq`, ticket)
	if limit > 0 && len(all) > limit {
		head := limit / 2
		all = append(all[:head:head], all[len(all)-(limit-head):]...)
	}
	return all, err
}
