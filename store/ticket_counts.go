package store

import (
	"context"
	"time"
)

// TicketCounts are the numbers beside an agent's lists. Each counts what he may
// see alone.
type TicketCounts struct {
	MyNew            int            // open, of the list my, in the status that their channel begins with
	MyAssigned       int            // open, and his own
	Open             int            //
	HandledToday     int            // closed since the day began
	HandledYesterday int            // closed on the day before
	Held             int            // mail that waits for a decision where it belongs
	Channels         map[string]int // open tickets, by channel id; a channel without any is not named
	Statuses         map[string]int // open tickets, by status id; likewise
}

// TicketCounts counts what an agent may see. Today began at the second time,
// yesterday at the first.
func (tx *Tx) TicketCounts(ctx context.Context, agentID string, yesterday, today time.Time) (TicketCounts, error) {
	c := TicketCounts{Channels: map[string]int{}, Statuses: map[string]int{}}
	if err := tx.countOpen(ctx, agentID, &c); err != nil {
		return c, err
	}
	if err := tx.countHandled(ctx, agentID, yesterday, today, &c); err != nil {
		return c, err
	}
	var w where
	w.add(heldTickets)
	if err := tx.onlyVisible(ctx, &w, TicketFilter{VisibleTo: agentID}); err != nil {
		return c, err
	}
	held, err := tx.count(ctx, `SELECT COUNT(*) FROM tickets`+w.sql(), w.args...)
	c.Held = int(held)
	return c, err
}

// heldTickets is the condition of a held mail's ticket that waits.
const heldTickets = `suggested_ticket <> 0 AND merged_into = 0`

// countOpen reads all that is open once, from the index tickets_open.
func (tx *Tx) countOpen(ctx context.Context, agentID string, c *TicketCounts) error {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	var w where
	mine := sum(`owner_id = ` + w.arg(agentID))
	my := sum(w.fill(ofAgent, agentID, agentID, agentID, agentID, agentID))
	w.add(`closed_at = 0`)
	if err := tx.onlyVisible(ctx, &w, TicketFilter{VisibleTo: agentID}); err != nil {
		return err
	}
	return tx.query(ctx, func(r Rows) error {
		var channel, status string
		var open, my, mine int
		if err := r.Scan(&channel, &status, &open, &my, &mine); err != nil {
			return err
		}
		c.Open += open
		c.Channels[channel] += open
		c.Statuses[status] += open
		c.MyAssigned += mine
		if of := desk.Channel(channel); of != nil && of.DefaultStatusID == status {
			c.MyNew += my
		}
		return nil
	}, `SELECT channel_id, status_id, COUNT(*), `+my+`, `+mine+` FROM tickets`+w.sql()+` GROUP BY channel_id, status_id`, w.args...)
}

// sum counts the rows of which a condition holds.
func sum(condition string) string {
	return `CAST(COALESCE(SUM(CASE WHEN ` + condition + ` THEN 1 ELSE 0 END), 0) AS BIGINT)`
}

func (tx *Tx) countHandled(ctx context.Context, agentID string, yesterday, today time.Time, c *TicketCounts) error {
	var w where
	late := sum(w.fill(`closed_at >= ?`, us(today)))
	w.add(`closed_at > 0 AND closed_at >= ?`, us(yesterday))
	if err := tx.onlyVisible(ctx, &w, TicketFilter{VisibleTo: agentID}); err != nil {
		return err
	}
	return tx.query(ctx, func(r Rows) error {
		var all, late int
		err := r.Scan(&all, &late)
		c.HandledToday, c.HandledYesterday = late, all-late
		return err
	}, `SELECT COUNT(*), `+late+` FROM tickets`+w.sql(), w.args...)
}

// QuarantineCount tells how many mails are in the quarantine.
func (tx *Tx) QuarantineCount(ctx context.Context) (int, error) {
	n, err := tx.count(ctx, `SELECT COUNT(*) FROM quarantine`)
	return int(n), err
}
