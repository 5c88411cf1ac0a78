package store

import (
	"context"
	"time"
)

// Worked is time that an agent spent on a ticket.
type Worked struct {
	ID        string
	Ticket    int64
	AgentID   string
	Minutes   int
	Day       string // 2006-01-02
	Comment   string
	CreatedBy string
	CreatedAt time.Time
}

const workedColumns = `id, ticket, agent_id, minutes, day, comment, created_by, created_at`

func scanWorked(r Rows, v *Worked) error {
	return r.Scan(&v.ID, &v.Ticket, &v.AgentID, &v.Minutes, &v.Day, &v.Comment, &v.CreatedBy, at(&v.CreatedAt))
}

// PutWorked adds an entry, or replaces what it says; it stays with its ticket.
func (tx *Tx) PutWorked(ctx context.Context, v Worked) error {
	_, err := tx.exec(ctx, `INSERT INTO times (`+workedColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET agent_id = excluded.agent_id, minutes = excluded.minutes, day = excluded.day,
		comment = excluded.comment`, v.ID, v.Ticket, v.AgentID, v.Minutes, v.Day, v.Comment, v.CreatedBy, us(v.CreatedAt))
	return err
}

// Worked gives an entry of a ticket.
func (tx *Tx) Worked(ctx context.Context, ticket int64, id string) (Worked, error) {
	return first(ctx, tx, "entry", scanWorked,
		`SELECT `+workedColumns+` FROM times WHERE ticket = $1 AND id = $2`, ticket, id)
}

// DeleteWorked removes an entry of a ticket.
func (tx *Tx) DeleteWorked(ctx context.Context, ticket int64, id string) error {
	return tx.touched(ctx, "entry", `DELETE FROM times WHERE ticket = $1 AND id = $2`, ticket, id)
}

// WorkedOnTicket lists the entries of a ticket, the newest first.
func (tx *Tx) WorkedOnTicket(ctx context.Context, ticket int64, from string, limit int) ([]Worked, string, error) {
	var w where
	w.add(`ticket = ?`, ticket)
	if err := w.after(from, "times"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanWorked,
		`SELECT `+workedColumns+` FROM times`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(v Worked) cursor { return cursor{Sort: "times", ID: v.ID} })
	return rows, next, err
}

// MoveWorked puts the entries of a ticket to another.
func (tx *Tx) MoveWorked(ctx context.Context, from, to int64) error {
	return tx.queue(ctx, `UPDATE times SET ticket = $2 WHERE ticket = $1`, from, to)
}

// Minutes gives the sums of tickets.
func (tx *Tx) Minutes(ctx context.Context, numbers ...int64) (map[int64]int, error) {
	sums := map[int64]int{}
	if len(numbers) == 0 {
		return sums, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	err := tx.query(ctx, func(r Rows) error {
		var number int64
		var n int
		err := r.Scan(&number, &n)
		sums[number] = n
		return err
	}, `SELECT ticket, CAST(SUM(minutes) AS BIGINT) FROM times WHERE `+condition+` GROUP BY ticket`, args...)
	return sums, err
}

// WorkedSum is what an agent worked for a company.
type WorkedSum struct {
	AgentID string `json:"agent_id"`
	Minutes int    `json:"minutes"`
}

// WorkedFor sums what agents worked on a company's tickets that an agent may see,
// from one day to another; "" is no bound.
func (tx *Tx) WorkedFor(ctx context.Context, companyID, visibleTo, since, until string) ([]WorkedSum, error) {
	var w where
	w.add(`company_id = ? AND company_id <> ''`, companyID)
	if err := tx.onlyVisible(ctx, &w, visibleTo); err != nil {
		return nil, err
	}
	if since != "" {
		w.add(`day >= ?`, since)
	}
	if until != "" {
		w.add(`day <= ?`, until)
	}
	return list(ctx, tx, func(r Rows, s *WorkedSum) error { return r.Scan(&s.AgentID, &s.Minutes) },
		`SELECT agent_id, CAST(SUM(minutes) AS BIGINT) FROM times JOIN tickets ON number = ticket`+w.sql()+
			` GROUP BY agent_id ORDER BY agent_id`, w.args...)
}
