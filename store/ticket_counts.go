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
//
// Each number is read of all channels from an index of its own, and what the
// agent may not see is left out here: told of channels, a database may rather
// read all the tickets of those.
func (tx *Tx) TicketCounts(ctx context.Context, agentID string, yesterday, today time.Time) (TicketCounts, error) {
	c := TicketCounts{Channels: map[string]int{}, Statuses: map[string]int{}}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return c, err
	}
	t := ticketCounter{tx: tx, desk: desk, agentID: agentID, counts: &c}
	if err := t.open(ctx); err != nil {
		return c, err
	}
	if err := t.handled(ctx, yesterday, today); err != nil {
		return c, err
	}
	return c, t.held(ctx)
}

// ticketCounter counts for one agent; "" sees all.
type ticketCounter struct {
	tx      *Tx
	desk    *Desk
	agentID string
	counts  *TicketCounts
}

func (t *ticketCounter) sees(channelID string) bool {
	return t.agentID == "" || t.desk.Sees(t.agentID, channelID)
}

// open reads all that is open once, from the index tickets_open.
func (t *ticketCounter) open(ctx context.Context) error {
	var w where
	mine := sum(`owner_id = ` + w.arg(t.agentID))
	of := t.tx.my(t.desk, t.agentID)
	my := sum(w.fill(of.sql, of.args...))
	return t.tx.query(ctx, func(r Rows) error {
		var channel, status string
		var open, my, mine int
		if err := r.Scan(&channel, &status, &open, &my, &mine); err != nil || !t.sees(channel) {
			return err
		}
		c := t.counts
		c.Open += open
		c.Channels[channel] += open
		c.Statuses[status] += open
		c.MyAssigned += mine
		if of := t.desk.Channel(channel); of != nil && of.DefaultStatusID == status {
			c.MyNew += my
		}
		return nil
	}, `SELECT channel_id, status_id, COUNT(*), `+my+`, `+mine+` FROM tickets WHERE closed_at = 0 GROUP BY channel_id, status_id`, w.args...)
}

// sum counts the rows of which a condition holds.
func sum(condition string) string {
	return `CAST(COALESCE(SUM(CASE WHEN ` + condition + ` THEN 1 ELSE 0 END), 0) AS BIGINT)`
}

// handled reads what was closed from the index tickets_closed.
func (t *ticketCounter) handled(ctx context.Context, yesterday, today time.Time) error {
	return t.tx.query(ctx, func(r Rows) error {
		var channel string
		var all, late int
		if err := r.Scan(&channel, &all, &late); err != nil || !t.sees(channel) {
			return err
		}
		t.counts.HandledToday += late
		t.counts.HandledYesterday += all - late
		return nil
	}, // Grouped by what no index has, it does not read along that of the channels.
		`SELECT channel_id || '', COUNT(*), `+sum(`closed_at >= $2`)+` FROM tickets
		WHERE closed_at > 0 AND closed_at >= $1 GROUP BY channel_id || ''`, us(yesterday), us(today))
}

// held reads what waits from the index tickets_held.
func (t *ticketCounter) held(ctx context.Context) error {
	return t.tx.query(ctx, func(r Rows) error {
		var channel string
		var held int
		if err := r.Scan(&channel, &held); err != nil || !t.sees(channel) {
			return err
		}
		t.counts.Held += held
		return nil
	}, `SELECT channel_id, COUNT(*) FROM tickets WHERE `+heldTickets+` GROUP BY channel_id`)
}

// QuarantineCount tells how many mails are in the quarantine.
func (tx *Tx) QuarantineCount(ctx context.Context) (int, error) {
	n, err := tx.count(ctx, `SELECT COUNT(*) FROM quarantine`)
	return int(n), err
}
