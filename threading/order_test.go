package threading

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Who needs two tickets takes the lower number first, whichever the agent named
// first: while somebody else has that one, the other is free.
func TestTwoTicketsAreHeldInTheirOrder(t *testing.T) {
	d, _ := twoNodes(t)
	for name, act := range map[string]func(low, high int64) error{
		"link":   func(low, high int64) error { return d.AddLink(d.ctx, d.admin, high, low, "related") },
		"unlink": func(low, high int64) error { return hard(d.DeleteLink(d.ctx, d.admin, high, low, "related")) },
		"merge":  func(low, high int64) error { _, err := d.Merge(d.ctx, d.admin, high, low); return err },
		"move": func(low, high int64) error {
			_, err := d.MoveActivity(d.ctx, d.admin, high, d.said(high)[0].ID, low)
			return err
		},
		"confirm": func(_, high int64) error { _, err := d.Confirm(d.ctx, d.admin, high, RememberNothing); return err },
		"dismiss": func(_, high int64) error { _, err := d.Dismiss(d.ctx, d.admin, high); return err },
	} {
		t.Run(name, func(t *testing.T) {
			low := d.open().Ticket
			from, subject := "carla@ext.example", "another matter"
			if name == "confirm" || name == "dismiss" {
				from, subject = "eve@evil.example", fmt.Sprintf("[T#%d] me", low)
			}
			high := d.deliver(letter{from: from, subject: subject}).Ticket
			d.heldInOrder(t, low, high, func() error { return act(low, high) })
		})
	}
}

// heldInOrder has act wait for the lower ticket, and finds the upper one free.
func (d *desk) heldInOrder(t *testing.T, lower, upper int64, act func() error) {
	side, err := pgx.Connect(d.ctx, d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close(d.ctx)
	tx, err := side.Begin(d.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(d.ctx, `SELECT 1 FROM tickets WHERE number = $1 FOR UPDATE`, lower); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- act() }()
	for waits, limit := false, time.Now().Add(10*time.Second); !waits; {
		err := tx.QueryRow(d.ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)`).Scan(&waits)
		if err != nil || time.Now().After(limit) {
			t.Fatalf("nobody waits: %v", err)
		}
	}
	if _, err := tx.Exec(d.ctx, `SELECT 1 FROM tickets WHERE number = $1 FOR UPDATE NOWAIT`, upper); err != nil {
		t.Errorf("T#%d is held by who waits for T#%d: %v", upper, lower, err)
	}
	if err := tx.Rollback(d.ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
