package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ticketgate/gateway/gateway"
	"ticketgate/store"
)

type queueCommand struct {
	List    queueListCommand    `cmd:"" help:"List what has not left yet."`
	Show    queueShowCommand    `cmd:"" help:"Print all about one delivery, as JSON."`
	Retry   queueRetryCommand   `cmd:"" help:"Try a delivery at once, also one that failed."`
	Hold    queueHoldCommand    `cmd:"" help:"Keep a delivery until it is released."`
	Release queueReleaseCommand `cmd:"" help:"Let a held delivery go."`
	Cancel  queueCancelCommand  `cmd:"" help:"Never send a delivery."`
}

type queueListCommand struct {
	State string `help:"Only deliveries in this state (sent, failed, ...); default all that have not left."`
	JSON  bool   `name:"json" help:"Print one JSON object a line."`
}

// Run lists deliveries as mailq does: a line each, its last answer below.
func (c *queueListCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	queue, err := gateway.OpenLedger(core)
	if err != nil {
		return err
	}
	defer queue.Close()
	rows, err := queue.List(ctx, store.DeliveryState(c.State))
	if err != nil {
		return err
	}
	if c.JSON {
		return w.jsonLines(rows)
	}
	if len(rows) == 0 {
		return w.say("the queue is empty")
	}
	if err := w.say("%-36s  %-9s  %-9s  %-20s  %s", "ID", "STATE", "TICKET", "NEXT TRY", "RECIPIENT"); err != nil {
		return err
	}
	for _, d := range rows {
		if err := w.listed(core, d); err != nil {
			return err
		}
	}
	return w.say("-- %s", queue.Summary(ctx, rows))
}

func (w *world) listed(core *gateway.Core, d store.Delivery) error {
	next := "-"
	if d.State.Waiting() && !d.NextAttemptAt.IsZero() {
		next = d.NextAttemptAt.UTC().Format(time.RFC3339)
	}
	err := w.say("%-36s  %-9s  %-9s  %-20s  %s", d.ID, d.State, core.Threading.Reference(d.Ticket), next, d.Recipient)
	if err == nil && (d.LastText != "" || d.Reason != "") {
		err = w.say("%38s(%s)", "", lastWord(d))
	}
	return err
}

func lastWord(d store.Delivery) string {
	if d.LastText == "" {
		return d.Reason
	}
	if d.LastCode == 0 {
		return d.LastText
	}
	return fmt.Sprintf("%d %s", d.LastCode, d.LastText)
}

func (w *world) jsonLines(rows []store.Delivery) error {
	encoder := json.NewEncoder(w.stdout)
	for _, d := range rows {
		if err := encoder.Encode(gateway.LedgerRow(d, nil)); err != nil {
			return err
		}
	}
	return nil
}

type queueShowCommand struct {
	ID string `arg:"" help:"The delivery."`
}

// Run prints a delivery with all its attempts.
func (c *queueShowCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	var d store.Delivery
	var attempts map[string][]store.Attempt
	err = core.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if d, err = tx.Delivery(ctx, c.ID); err != nil {
			return err
		}
		attempts, err = tx.Attempts(ctx, c.ID)
		return err
	})
	if store.IsNotFound(err) {
		return fmt.Errorf("there is no delivery %s", c.ID)
	}
	if err != nil {
		return err
	}
	return w.printJSON(gateway.LedgerRow(d, attempts[c.ID]))
}

type deliveryIDs struct {
	IDs []string `arg:"" name:"id" help:"The deliveries."`
}

// change does one thing to all of them, and says how each stands then.
func (c *deliveryIDs) change(ctx context.Context, w *world, action string) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	queue, err := gateway.OpenLedger(core)
	if err != nil {
		return err
	}
	defer queue.Close()
	failed := false
	for _, id := range c.IDs {
		d, err := queue.Change(ctx, id, action, w.now())
		if err != nil {
			failed = true
			_, _ = fmt.Fprintf(w.stderr, "ticketgate: %s: %v\n", id, err)
			continue
		}
		if err := w.say("%s %s", id, d.State); err != nil {
			return err
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}

type queueRetryCommand struct{ deliveryIDs }

// Run makes them due now.
func (c *queueRetryCommand) Run(ctx context.Context, w *world) error {
	return c.change(ctx, w, store.ActionRetry)
}

type queueHoldCommand struct{ deliveryIDs }

// Run holds them.
func (c *queueHoldCommand) Run(ctx context.Context, w *world) error {
	return c.change(ctx, w, store.ActionHold)
}

type queueReleaseCommand struct{ deliveryIDs }

// Run releases them.
func (c *queueReleaseCommand) Run(ctx context.Context, w *world) error {
	return c.change(ctx, w, store.ActionRelease)
}

type queueCancelCommand struct{ deliveryIDs }

// Run cancels them.
func (c *queueCancelCommand) Run(ctx context.Context, w *world) error {
	return c.change(ctx, w, store.ActionCancel)
}
